package retention

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"payonce/once"
)

// TroubleKept is about a day that should be gone and is not; its subject is the
// partition.
var TroubleKept = once.TroubleKind{
	Name:   "partition_kept",
	Means:  "a day should be gone and is not: an unpublished event, or a lock that was never free",
	Remedy: "as for `outbox_age`; a long transaction is to be found in `pg_stat_activity`",
	Ends:   "retention, when the day is gone",
}

// Day is a day's partition whose time is over.
type Day struct {
	Part string
	Day  time.Time
	// Late is for how many seconds it should be gone.
	Late float64
}

// A day's last event is born just before the next day begins, and has the whole
// window from then on.
const overdueSQL = `
SELECT part, day, CAST(extract(epoch FROM over) AS float8)
  FROM (SELECT part, day, clock_timestamp() - CAST(@window AS float8) * interval '1 second' - (CAST(day + 1 AS timestamp) AT TIME ZONE 'UTC') AS over
          FROM (SELECT CAST(c.relname AS text) AS part, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
                  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = to_regclass(@parent) AND c.relname ~ ('^' || CAST(@table AS text) || '_[0-9]{8}$')) AS days) AS aged
 WHERE over >= interval '0'
 ORDER BY day`

// What drops a day waits for its locks, and each writer waits behind
// that: never for longer than this.
const shortLockSQL = `SELECT set_config('lock_timeout', '50ms', true)`

const dropTries = 4

// dropOverdue drops every day of a table that is older than its window and holds
// no row that must stay. A day that stays is tried again with the next run, and
// trouble is raised. It may be called by any number of processes at once.
func (k *Keeper) dropOverdue(ctx context.Context, table string, window time.Duration) error {
	rows, err := once.Written(k.cfg.Schema, overdueSQL).Read(ctx, k.cfg.DB, once.Args{
		"window": window.Seconds(), "parent": k.name(table), "table": table,
	})
	days, err := once.All(rows, err, func(d *Day) []any { return []any{&d.Part, &d.Day, &d.Late} })
	if err != nil {
		return fmt.Errorf("partitions of %s: %w", table, err)
	}
	for _, d := range days {
		if err := k.drop(ctx, table, d); err != nil {
			return fmt.Errorf("partition %s: %w", d.Part, err)
		}
	}
	return nil
}

// name is how a table is called in a statement's parameter.
func (k *Keeper) name(table string) string { return k.cfg.Schema.In("{" + table + "}") }

func (k *Keeper) drop(ctx context.Context, table string, d Day) error {
	if table == outboxTable {
		if waits, err := k.holdsUnpublished(ctx, d); err != nil || waits {
			if err == nil {
				err = k.kept(ctx, table, d, "it holds an event that was never published")
			}
			return err
		}
		if k.cfg.Before != nil {
			if err := k.cfg.Before(ctx, d); err != nil {
				return err
			}
		}
	}
	outcome, err := k.dropOne(ctx, table, d.Part)
	switch {
	case once.LockTimeout(err):
		k.cfg.Log.Info("a partition is in use and stays for now", "partition", d.Part)
		if d.Late < day.Seconds() {
			return nil // The next run finds a quieter moment.
		}
		return k.kept(ctx, table, d, "its lock was never free for 50 ms")
	case err != nil:
		return err
	case outcome == "kept":
		return k.kept(ctx, table, d, "it holds an event that was never published")
	case outcome == "dropped":
		k.count(table, 1)
		k.cfg.Log.Info("a partition was dropped", "partition", d.Part)
	}
	return nil
}

// dropOne tries a few times, because a lock that is not free now is free in a moment.
func (k *Keeper) dropOne(ctx context.Context, table, part string) (outcome string, err error) {
	err = patiently(ctx, dropTries, func() error {
		return k.cfg.DB.InTx(ctx, func(tx once.Tx) error {
			if _, err := tx.Exec(ctx, shortLockSQL); err != nil {
				return err
			}
			rows, err := once.Written(k.cfg.Schema, k.cfg.Days.drop()).Query(ctx, tx, once.Args{"table": k.name(table), "part": part})
			_, err = once.One(rows, err, &outcome)
			return err
		})
	})
	if err == nil && k.cfg.Point != nil {
		err = k.cfg.Point("after_commit")
	}
	return outcome, err
}

const holdsUnpublishedSQL = `
SELECT EXISTS (SELECT FROM {outbox_events} WHERE published_at IS NULL AND tableoid = to_regclass(@part))`

// holdsUnpublished spares the lock, and what is done before, of a day that stays anyway.
// What counts is the look under the lock.
func (k *Keeper) holdsUnpublished(ctx context.Context, d Day) (holds bool, err error) {
	rows, err := once.Written(k.cfg.Schema, holdsUnpublishedSQL).Read(ctx, k.cfg.DB, once.Args{"part": k.part(d.Part)})
	_, err = once.One(rows, err, &holds)
	return holds, err
}

// part is a partition's name in a statement's parameter.
func (k *Keeper) part(name string) string {
	if k.cfg.Schema == "" {
		return name
	}
	return strconv.Quote(string(k.cfg.Schema)) + "." + name
}

func (k *Keeper) kept(ctx context.Context, table string, d Day, why string) error {
	k.cfg.Log.Warn("a partition stays", "partition", d.Part, "reason", why)
	k.keptCount.Add(1)
	return k.cfg.DB.InTx(ctx, func(tx once.Tx) error {
		return k.cfg.Troubles.Raise(ctx, tx, once.Trouble{Kind: TroubleKept, Subject: d.Part, Facts: map[string]any{
			"table": table, "day": d.Day.Format(time.DateOnly), "reason": why, "hours_overdue": int(d.Late) / 3600,
		}})
	})
}

const isThereSQL = `SELECT to_regclass(@part) IS NOT NULL`

// gone ends the troubles about days that are gone, also when another process dropped them.
func (k *Keeper) gone(ctx context.Context) error {
	return k.cfg.DB.InTx(ctx, func(tx once.Tx) error {
		kept, err := k.cfg.Troubles.Open(ctx, tx, TroubleKept)
		if err != nil {
			return err
		}
		for _, part := range kept {
			var there bool
			rows, err := once.Written(k.cfg.Schema, isThereSQL).Query(ctx, tx, once.Args{"part": k.part(part)})
			if _, err := once.One(rows, err, &there); err != nil {
				return err
			}
			if there {
				continue
			}
			if err := k.cfg.Troubles.End(ctx, tx, part, TroubleKept); err != nil {
				return err
			}
		}
		return nil
	})
}
