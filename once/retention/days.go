package retention

import (
	"context"
	"fmt"
	"time"

	"payonce/once"
)

// Ahead is how many days of partitions are kept in stock.
const Ahead = 30

const (
	outboxTable = "outbox_events"
	inboxTable  = "consumer_inbox"
)

var partitioned = []string{outboxTable, inboxTable}

// Days are the statements by which days are made and dropped, for a program whose tables'
// owner gives it functions of its own. The zero value are those of payonce/once/schema.
type Days struct {
	// Make makes the days of the table @table from yesterday until @ahead days from now, in
	// UTC.
	Make string
	// Drop drops the day @part of the table @table and returns dropped, gone when it was
	// not there, or kept when it holds an event that was never published.
	Drop string
}

const (
	// Yesterday is included: a clock may be a little behind.
	makeSQL = `
SELECT {ensure_days}(CAST(@table AS regclass), (clock_timestamp() AT TIME ZONE 'UTC')::date - 1,
  (clock_timestamp() AT TIME ZONE 'UTC')::date + CAST(@ahead AS integer))`

	dropSQL = `
SELECT {drop_day}(CAST(@table AS regclass), @part, CASE WHEN CAST(@table AS text) LIKE '%outbox_events' THEN 'published_at IS NULL' ELSE '' END)`
)

func (d Days) make() string {
	if d.Make == "" {
		return makeSQL
	}
	return d.Make
}

func (d Days) drop() string {
	if d.Drop == "" {
		return dropSQL
	}
	return d.Drop
}

// Making a partition locks its parent against all for a moment, and a statement that
// waits for that lock makes every writer behind it wait too. So the wait is kept
// far below what a request would notice.
const giveWaySQL = `SELECT set_config('lock_timeout', '200ms', true)`

// MakeAhead makes the partitions of the coming days. It may be called by any
// number of processes at once; what exists is left alone. After an error some
// may be missing, and the next call makes them.
func MakeAhead(ctx context.Context, db once.DB, schema once.Schema, by Days) error {
	for _, table := range partitioned {
		if err := makeAhead(ctx, db, schema, by, table); err != nil {
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
func makeAhead(ctx context.Context, db once.DB, schema once.Schema, by Days, table string) error {
	return patiently(ctx, makeTries, func() error {
		return db.InTx(ctx, func(tx once.Tx) error {
			if _, err := tx.Exec(ctx, giveWaySQL); err != nil {
				return err
			}
			_, err := once.Written(schema, by.make()).Exec(ctx, tx, once.Args{"table": schema.In("{" + table + "}"), "ahead": Ahead})
			return err
		})
	})
}

// patiently tries again, with longer pauses each time, while a lock is not free: it is in a
// moment.
func patiently(ctx context.Context, tries int, work func() error) (err error) {
	for try := range tries {
		if err = work(); !once.LockTimeout(err) {
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
// theirs: a gap is what breaks a write. The series is longer than any stock. Each name is
// read once: readiness asks this all the time.
const daysLeftSQL = `
WITH made AS (
  SELECT right(c.relname, 8) AS day
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent IN (to_regclass(@outbox), to_regclass(@inbox))
), wanted AS (
  SELECT away, to_char((clock_timestamp() AT TIME ZONE 'UTC')::date + away, 'YYYYMMDD') AS day FROM generate_series(0, 365) AS away
), missing AS (
  SELECT away FROM wanted LEFT JOIN made USING (day) GROUP BY away HAVING count(made.day) < 2
)
SELECT coalesce(min(away), 366) - 1 FROM missing`

// DaysLeft says for how many days after today every partitioned table has its
// partitions, without a gap; -1 when today's is missing. Fewer than three means
// that MakeAhead has failed for weeks: readiness says no.
func DaysLeft(ctx context.Context, db once.DB, schema once.Schema) (days int, err error) {
	rows, err := once.Written(schema, daysLeftSQL).Read(ctx, db, once.Args{
		"outbox": schema.In("{" + outboxTable + "}"), "inbox": schema.In("{" + inboxTable + "}"),
	})
	_, err = once.One(rows, err, &days)
	return days, err
}
