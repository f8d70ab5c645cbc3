package retention

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
)

// AlertMissing is about a day of which a table has no partition; its subject is
// the partition.
var AlertMissing = alert.Kind{
	Name:   "partition_missing",
	Means:  "a table has no partition for today or tomorrow: orders and captures are refused, before any charge",
	Remedy: "a worker makes what does not exist within a minute; one that was detached has to be attached again",
	Ends:   "retention, when the partition is there",
}

const missingDaysSQL = `SELECT part FROM missing_days() AS part`

// WatchDays raises an alert for each partition of today and tomorrow that is
// missing, ends those about partitions that are there, and returns the missing.
func WatchDays(ctx context.Context, db *postgres.DB) (missing []string, err error) {
	if err := db.Select(ctx, &missing, missingDaysSQL); err != nil {
		return nil, err
	}
	for _, part := range missing {
		if err := AlertMissing.RaiseAlone(ctx, db, uuid.Nil, part, map[string]any{"table": part[:len(part)-len("_20060102")], "partition": part}); err != nil {
			return missing, err
		}
	}
	return missing, postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		return AlertMissing.ResolveWhere(ctx, tx, `subject <> ALL ($2)`, pq.Array(append([]string{}, missing...)))
	})
}

// watchDays is WatchDays, after it has made what can be made.
func (k *Keeper) watchDays(ctx context.Context) error {
	missing, err := WatchDays(ctx, k.cfg.DB)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := MakeAhead(ctx, k.cfg.DB); err != nil {
		return err
	}
	_, err = WatchDays(ctx, k.cfg.DB)
	return err
}
