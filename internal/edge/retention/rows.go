package retention

import (
	"context"
	"fmt"

	"payonce/internal/platform/postgres"
)

// Rows of tables that are not cut into days go by age, a thousand at a time,
// each thousand in a transaction of its own: a large delete would stall
// everybody. Of several processes one has the turn, and the others leave the
// work to it.
const turnSQL = `SELECT pg_try_advisory_xact_lock(hashtext('retention'), hashtext($1))`

const (
	rowBatch = 1000
	// rowBatches bounds one run; what is left waits for the next.
	rowBatches = 50
)

// A key past its life counts as absent already, so removing it changes nothing
// that a client can see. One whose attempt is not decided yet stays: whoever
// finishes the attempt stores its answer there. A row in use is left for later.
const expiredKeysSQL = `
DELETE FROM idempotency_keys WHERE (merchant_id, key) IN (
  SELECT k.merchant_id, k.key FROM idempotency_keys k
   WHERE k.expires_at < clock_timestamp() - $1::float8 * interval '1 second'
     AND NOT EXISTS (SELECT FROM payment_attempts a
       WHERE k.status = 'running' AND a.payment_id = k.subject_id AND a.attempt_no = k.subject_no AND a.status IN ('sending', 'in_doubt'))
   ORDER BY k.expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)`

const oldReceiptsSQL = `
DELETE FROM webhook_receipts WHERE (provider, message_id) IN (
  SELECT provider, message_id FROM webhook_receipts
   WHERE received_at < clock_timestamp() - $1::float8 * interval '1 second'
   ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)`

const oldAttemptsSQL = `
DELETE FROM attempts WHERE id IN (
  SELECT id FROM attempts
   WHERE id < uuid_v7_floor(clock_timestamp() - $1::float8 * interval '1 second')
   ORDER BY id LIMIT $2)`

// Open letters never expire.
const oldLettersSQL = `
DELETE FROM dead_letters WHERE id IN (
  SELECT id FROM dead_letters
   WHERE state <> 'open' AND closed_at < clock_timestamp() - $1::float8 * interval '1 second'
   ORDER BY closed_at LIMIT $2 FOR UPDATE SKIP LOCKED)`

// A recording says itself when it is over.
const expiredRecordingsSQL = `
DELETE FROM recordings WHERE payment_id IN (
  SELECT payment_id FROM recordings
   WHERE expires_at < clock_timestamp() - $1::float8 * interval '1 second'
   ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)`

// rows is a table whose rows go by age.
type rows struct {
	table string
	sql   string
	// keep is the window, in seconds.
	keep float64
}

func (k *Keeper) aged() []rows {
	w := k.cfg.Windows
	return []rows{
		{"idempotency_keys", expiredKeysSQL, 0},
		{"webhook_receipts", oldReceiptsSQL, w.Receipts.Seconds()},
		{"attempts", oldAttemptsSQL, w.Attempts.Seconds()},
		{"dead_letters", oldLettersSQL, w.Letters.Seconds()},
		{"recordings", expiredRecordingsSQL, 0},
	}
}

// removeOld removes what is too old of one table.
func (k *Keeper) removeOld(ctx context.Context, r rows) error {
	for range rowBatches {
		var n int64
		err := postgres.InTx(ctx, k.cfg.DB, func(tx postgres.Tx) error {
			n = 0
			var mine bool
			if err := tx.Get(ctx, &mine, turnSQL, r.table); err != nil || !mine {
				return err
			}
			var err error
			n, err = tx.Exec(ctx, r.sql, r.keep, rowBatch)
			return err
		})
		if err != nil {
			return fmt.Errorf("old rows of %s: %w", r.table, err)
		}
		k.count(r.table, n)
		if n < rowBatch {
			return nil
		}
	}
	return nil
}
