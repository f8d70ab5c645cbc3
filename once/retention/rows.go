package retention

import (
	"context"
	"fmt"
	"time"

	"payonce/once"
)

// Rows of tables that are not cut into days go by age, a thousand at a time,
// each thousand in a transaction of its own: a large delete would stall
// all others. Of several processes one has the turn, and the others leave the
// work to it.
const turnSQL = `SELECT pg_try_advisory_xact_lock(hashtext('retention'), hashtext(@table))`

const (
	rowBatch = 1000
	// rowBatches bounds one run; what is left waits for the next.
	rowBatches = 50
)

const oldReceiptsSQL = `
DELETE FROM {webhook_receipts} WHERE (provider, message_id) IN (
  SELECT provider, message_id FROM {webhook_receipts}
   WHERE received_at < clock_timestamp() - CAST(@window AS float8) * interval '1 second'
   ORDER BY received_at LIMIT @most FOR UPDATE SKIP LOCKED)`

// Open letters never expire.
const oldLettersSQL = `
DELETE FROM {dead_letters} WHERE id IN (
  SELECT id FROM {dead_letters}
   WHERE state <> 'open' AND closed_at < clock_timestamp() - CAST(@window AS float8) * interval '1 second'
   ORDER BY closed_at LIMIT @most FOR UPDATE SKIP LOCKED)`

const oldAnySQL = `
DELETE FROM {consumer_inbox_any} WHERE (consumer, event_id) IN (
  SELECT consumer, event_id FROM {consumer_inbox_any}
   WHERE processed_at < clock_timestamp() - CAST(@window AS float8) * interval '1 second'
   ORDER BY processed_at LIMIT @most FOR UPDATE SKIP LOCKED)`

// Rows is a table whose rows go by age.
type Rows struct {
	Table string
	// Remove removes up to most rows that are too old, and says how many.
	Remove func(ctx context.Context, tx once.Tx, most int) (int64, error)
}

// OlderThan removes rows by a statement with the parameters @window, in seconds, and @most.
func OlderThan(schema once.Schema, window time.Duration, statement string) func(ctx context.Context, tx once.Tx, most int) (int64, error) {
	return func(ctx context.Context, tx once.Tx, most int) (int64, error) {
		return once.Written(schema, statement).Exec(ctx, tx, once.Args{"window": window.Seconds(), "most": most})
	}
}

// What says itself when it has expired is judged by its own package, which hides
// it from then on.
func (k *Keeper) aged() []Rows {
	w := k.cfg.Windows
	all := []Rows{
		{"idempotency_keys", k.cfg.Keys.RemoveExpired},
		{"webhook_receipts", OlderThan(k.cfg.Schema, w.Receipts, oldReceiptsSQL)},
		{"dead_letters", OlderThan(k.cfg.Schema, w.Letters, oldLettersSQL)},
	}
	if k.cfg.AnyIDs {
		all = append(all, Rows{"consumer_inbox_any", OlderThan(k.cfg.Schema, w.Inbox, oldAnySQL)})
	}
	return append(all, k.cfg.Rows...)
}

// removeOld removes what is too old of one table.
func (k *Keeper) removeOld(ctx context.Context, r Rows) error {
	for range rowBatches {
		var n int64
		err := k.cfg.DB.InTx(ctx, func(tx once.Tx) error {
			n = 0
			var mine bool
			rows, err := once.Written(k.cfg.Schema, turnSQL).Query(ctx, tx, once.Args{"table": k.name(r.Table)})
			if _, err := once.One(rows, err, &mine); err != nil || !mine {
				return err
			}
			n, err = r.Remove(ctx, tx, rowBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("old rows of %s: %w", r.Table, err)
		}
		k.count(r.Table, n)
		if n < rowBatch {
			return nil
		}
	}
	return nil
}
