package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/postgres"
	"payonce/once"
)

// AlertKept is about a day that should be gone and is not; its subject is the
// partition.
var AlertKept = alert.Kind{
	Name:   "partition_kept",
	Means:  "a day should be gone and is not: an unpublished event, or a lock that was never free",
	Remedy: "as for `outbox_age`; a long transaction is to be found in `pg_stat_activity`",
	Ends:   "retention, when the day is gone",
}

// dated is a day's partition whose time is over.
type dated struct {
	Part string    `db:"part"`
	Day  time.Time `db:"day"`
	// Late is for how long it should be gone.
	Late float64 `db:"late_seconds"`
}

// A day's last event is born just before the next day begins, and has the whole
// window from then on.
const overdueSQL = `
SELECT part, day, extract(epoch FROM over) AS late_seconds
  FROM (SELECT part, day, clock_timestamp() - $2::float8 * interval '1 second' - ((day + 1)::timestamp AT TIME ZONE 'UTC') AS over
          FROM (SELECT c.relname::text AS part, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
                  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = to_regclass($1) AND c.relname ~ ('^' || $1 || '_[0-9]{8}$')) AS days) AS aged
 WHERE over >= interval '0'
 ORDER BY day`

// Whoever drops a day waits for its locks, and everybody who writes waits behind
// that: never for longer than this.
const shortLockSQL = `SELECT set_config('lock_timeout', '50ms', true)`

const dropSQL = `SELECT drop_day_partition($1, $2)`

// dropOverdue drops every day of a table that is older than its window and holds
// no row that must stay. A day that stays is tried again with the next run, and
// an alert is raised. It may be called by any number of processes at once.
func (k *Keeper) dropOverdue(ctx context.Context, table string, window time.Duration) error {
	var days []dated
	if err := k.cfg.DB.Select(ctx, &days, overdueSQL, table, window.Seconds()); err != nil {
		return fmt.Errorf("partitions of %s: %w", table, err)
	}
	for _, d := range days {
		if err := k.drop(ctx, table, d); err != nil {
			return fmt.Errorf("partition %s: %w", d.Part, err)
		}
	}
	return nil
}

func (k *Keeper) drop(ctx context.Context, table string, d dated) error {
	if table == outboxTable {
		if waits, err := k.holdsUnpublished(ctx, d); err != nil || waits {
			if err == nil {
				err = k.kept(ctx, table, d, "it holds an event that was never published")
			}
			return err
		}
		if err := k.archive(ctx, d); err != nil {
			return err
		}
	}
	fate, err := k.dropOne(ctx, table, d.Part)
	switch {
	case once.LockTimeout(err):
		k.cfg.Log.Info("a partition is in use and stays for now", "partition", d.Part)
		if d.Late < day.Seconds() {
			return nil // The next run finds a quieter moment.
		}
		return k.kept(ctx, table, d, "its lock was never free for 50 ms")
	case err != nil:
		return err
	case fate == "kept":
		return k.kept(ctx, table, d, "it holds an event that was never published")
	case fate == "dropped":
		k.count(table, 1)
		k.cfg.Log.Info("a partition was dropped", "partition", d.Part)
	}
	return nil
}

// dropOne tries a few times, with longer pauses each time, because a lock that
// is not free now is free in a moment.
func (k *Keeper) dropOne(ctx context.Context, table, part string) (fate string, err error) {
	for try := range dropTries {
		err = postgres.InTx(ctx, k.cfg.DB, func(tx postgres.Tx) error {
			if _, err := tx.Exec(ctx, shortLockSQL); err != nil {
				return err
			}
			return tx.Get(ctx, &fate, dropSQL, table, part)
		})
		if !once.LockTimeout(err) {
			break
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Duration(try+1) * makePause):
		}
	}
	if err == nil {
		err = fault.Point("retention.after_commit")
	}
	return fate, err
}

const dropTries = 4

const holdsUnpublishedSQL = `
SELECT EXISTS (SELECT FROM outbox_events
 WHERE published_at IS NULL AND row_id >= uuid_v7_floor($1::date::timestamp AT TIME ZONE 'UTC')
   AND row_id < uuid_v7_floor(($1::date + 1)::timestamp AT TIME ZONE 'UTC'))`

// holdsUnpublished spares the lock, and the archive, of a day that stays anyway.
// What counts is the look under the lock.
func (k *Keeper) holdsUnpublished(ctx context.Context, d dated) (bool, error) {
	var holds bool
	err := k.cfg.DB.Get(ctx, &holds, holdsUnpublishedSQL, d.Day)
	return holds, err
}

func (k *Keeper) kept(ctx context.Context, table string, d dated, why string) error {
	k.cfg.Log.Warn("a partition stays", "partition", d.Part, "reason", why)
	k.keptCount.Add(1)
	return AlertKept.RaiseAlone(ctx, k.cfg.DB, uuid.Nil, d.Part, map[string]any{
		"table": table, "day": d.Day.Format(time.DateOnly), "reason": why, "hours_overdue": int(d.Late) / 3600,
	})
}

// gone ends the alerts about days that are gone, also when another process dropped them.
func (k *Keeper) gone(ctx context.Context) error {
	return postgres.InTx(ctx, k.cfg.DB, func(tx postgres.Tx) error {
		return AlertKept.ResolveWhere(ctx, tx, `to_regclass(subject) IS NULL`)
	})
}
