package retention

import (
	"context"
	"fmt"
	"time"

	"payonce/internal/edge/recording"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/once"
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

// A sandbox in which nothing was ordered for a day goes: anybody can make one. Its
// cookie stays good, and makes it again when it is needed. One that was revoked
// stays, because its row says so: both its hashes are nobody's.
const emptySandboxesSQL = `
DELETE FROM merchants WHERE id IN (
  SELECT id FROM merchants m
   WHERE created_at < clock_timestamp() - $1::float8 * interval '1 second'
     AND session_hash <> api_key_hash
     AND NOT EXISTS (SELECT FROM orders o WHERE o.merchant_id = m.id)
   LIMIT $2 FOR UPDATE SKIP LOCKED)`

// EmptySandbox is how long a sandbox lives in which nothing is ordered.
const EmptySandbox = 24 * time.Hour

// rows is a table whose rows go by age.
type rows struct {
	table string
	// remove removes up to most rows that are too old, and says how many.
	remove func(ctx context.Context, tx once.Tx, most int) (int64, error)
}

// What says itself when it has expired is judged by its own package, which hides
// it from then on.
func (k *Keeper) aged() []rows {
	w := k.cfg.Windows
	return []rows{
		{"idempotency_keys", checkout.KeyTable.RemoveExpired},
		{"webhook_receipts", olderThan(w.Receipts, oldReceiptsSQL)},
		{"attempts", olderThan(w.Attempts, oldAttemptsSQL)},
		{"dead_letters", olderThan(w.Letters, oldLettersSQL)},
		{"recordings", recording.RemoveExpired},
		{"merchants", olderThan(EmptySandbox, emptySandboxesSQL)},
	}
}

func olderThan(window time.Duration, query string) func(ctx context.Context, tx once.Tx, most int) (int64, error) {
	return func(ctx context.Context, tx once.Tx, most int) (int64, error) {
		return tx.Exec(ctx, query, window.Seconds(), most)
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
			n, err = r.remove(ctx, tx, rowBatch)
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
