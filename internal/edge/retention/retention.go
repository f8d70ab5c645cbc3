package retention

import (
	"context"
	"errors"
	"fmt"
	"time"

	"payonce/internal/platform/postgres"
)

// Ahead is how many days of partitions are kept in stock.
const Ahead = 30

var partitioned = []string{"outbox_events", "consumer_inbox"}

// Making a partition locks its parent against everybody for a moment, and who
// waits for that lock makes every writer behind it wait too. So the wait is kept
// far below what a capture would notice.
const giveWaySQL = `SELECT set_config('lock_timeout', '200ms', true)`

// Days are UTC days. Yesterday is included: a clock may be a little behind.
const makeAheadSQL = `
SELECT ensure_day_partitions($1, (clock_timestamp() AT TIME ZONE 'UTC')::date - 1, (clock_timestamp() AT TIME ZONE 'UTC')::date + $2::integer)`

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
		if !postgres.LockTimeout(err) {
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

const day = 24 * time.Hour

// Windows are the lifetimes that have to fit together.
type Windows struct {
	Keys        time.Duration // an idempotency key and its answer
	Inbox       time.Duration // an inbox row
	Outbox      time.Duration // a published outbox row
	OutboxAlarm time.Duration // the age at which an unpublished event alarms
	Retries     time.Duration // the whole retry schedule of a message
	ReplayLimit time.Duration // how old an event may be when a person replays it
}

// Defaults are the windows of the shop, with its retry schedule still to fill in.
func Defaults() Windows {
	return Windows{Keys: 72 * time.Hour, Inbox: 30 * day, Outbox: 7 * day, OutboxAlarm: time.Hour, ReplayLimit: 14 * day}
}

// Windows that are too short; [Lint] wraps one of these for each.
var (
	ErrKeysTooShort   = errors.New("the life of idempotency keys is too short")
	ErrInboxTooShort  = errors.New("the life of inbox rows is too short")
	ErrOutboxTooShort = errors.New("the life of published events is too short")
)

// KeyHorizon is for how long clients were promised that a retry finds the answer.
const KeyHorizon = day

// Lint names every window that is shorter than the way back that it guards, with
// what to do about it. Every process runs it at start and refuses to work when
// one is: the damage shows only months later, as an effect that came twice.
func Lint(w Windows) error {
	var short []error
	need := func(have, want time.Duration, which error, why string) {
		if have < want {
			short = append(short, fmt.Errorf("%w: %s, but it must be at least %s: %s", which, have, want, why))
		}
	}
	need(w.Keys, KeyHorizon, ErrKeysTooShort, "clients were promised a day to retry; set PAYONCE_KEY_TTL")
	// The longest way of an event: it waits in the outbox until somebody is told,
	// goes through every retry, dies, and is replayed on the last day allowed.
	need(w.Inbox, w.OutboxAlarm+w.Retries+w.ReplayLimit+day, ErrInboxTooShort,
		"an event may wait in the outbox, go through every retry and be replayed by a person, and must still be recognised; keep more partitions of consumer_inbox")
	need(w.Inbox, w.Outbox, ErrInboxTooShort,
		"an event that is still in the outbox can still be sent again; keep partitions of consumer_inbox at least as long as those of outbox_events")
	need(w.Outbox, w.Retries+day, ErrOutboxTooShort,
		"whoever looks into yesterday's trouble, and the audit, need the event after its last retry; keep more partitions of outbox_events")
	return errors.Join(short...)
}
