package retention

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"payonce/internal/platform/postgres"
	"payonce/once"
)

// Ahead is how many days of partitions are kept in stock.
const Ahead = 30

var partitioned = []string{outboxTable, inboxTable}

// Making a partition locks its parent against everybody for a moment, and who
// waits for that lock makes every writer behind it wait too. So the wait is kept
// far below what a capture would notice.
const giveWaySQL = `SELECT set_config('lock_timeout', '200ms', true)`

// Days are UTC days. Yesterday is included: a clock may be a little behind.
const makeAheadSQL = `
SELECT ensure_day_partitions($1, (clock_timestamp() AT TIME ZONE 'UTC')::date - 1, (clock_timestamp() AT TIME ZONE 'UTC')::date + $2::integer)`

// Prepare brings a database up to date: its schema, by the migrations, and then
// its partitions. It returns how many migrations it applied. Under locks, so that
// several may do it at once.
func Prepare(ctx context.Context, pg postgres.Config, files fs.FS) (applied int, err error) {
	if applied, err = postgres.Migrate(ctx, pg, files); err != nil {
		return applied, err
	}
	db, err := postgres.Open(ctx, pg)
	if err != nil {
		return applied, err
	}
	defer func() { _ = db.Close() }()
	return applied, MakeAhead(ctx, db)
}

// MakeAhead makes the partitions of the coming days. It may be called by any
// number of processes at once; what exists is left alone. After an error some
// may be missing, and the next call makes them.
func MakeAhead(ctx context.Context, db *postgres.DB) error {
	for _, table := range partitioned {
		if err := makeAhead(ctx, db, table); err != nil {
			return fmt.Errorf("partitions of %s: %w", table, err)
		}
	}
	return nil
}

const (
	makeTries = 10
	makePause = 50 * time.Millisecond
)

// makeAhead gives way to writers: a lock that is not free soon is left, and
// asked for again a little later.
func makeAhead(ctx context.Context, db *postgres.DB, table string) (err error) {
	for try := range makeTries {
		err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
			if _, err := tx.Exec(ctx, giveWaySQL); err != nil {
				return err
			}
			var made int
			return tx.Get(ctx, &made, makeAheadSQL, table, Ahead)
		})
		if !once.LockTimeout(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try+1) * makePause):
		}
	}
	return err
}

// The first day that has no partition ends the stock, also when later days have
// theirs: a gap is what breaks a capture. The series is longer than any stock.
const daysLeftSQL = `
SELECT coalesce(min(away), 366) - 1
  FROM (VALUES ('outbox_events'), ('consumer_inbox')) AS p (parent), generate_series(0, 365) AS away
 WHERE NOT EXISTS (
   SELECT FROM pg_inherits i
    WHERE i.inhparent = to_regclass(p.parent)
      AND i.inhrelid = to_regclass(p.parent || '_' || to_char((clock_timestamp() AT TIME ZONE 'UTC')::date + away, 'YYYYMMDD')))`

// DaysLeft says for how many days after today every partitioned table has its
// partitions, without a gap; -1 when today's is missing. Fewer than three means
// that MakeAhead has failed for weeks: readiness says no.
func DaysLeft(ctx context.Context, db *postgres.DB) (int, error) {
	var days int
	err := db.Get(ctx, &days, daysLeftSQL)
	return days, err
}
