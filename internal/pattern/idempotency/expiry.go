package idempotency

import (
	"context"

	"payonce/internal/platform/postgres"
)

// expired is the one rule of a key's end: its answer is older than its lifetime.
// A key that runs has no end, however long the run takes: its outcome is still
// to come, and a caller who takes a running key for absent runs the operation twice.
// Such a row is absent to every reader, gives way to every claim, and goes with
// the next [RemoveExpired].
const expired = `(idempotency_keys.status = 'completed' AND idempotency_keys.expires_at <= clock_timestamp())`

const removeExpiredSQL = `
DELETE FROM idempotency_keys WHERE (merchant_id, key) IN (
  SELECT merchant_id, key FROM idempotency_keys WHERE ` + expired + `
   ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

// RemoveExpired removes up to most expired keys and says how many. No client can
// see the difference. A row in use is left for the next time.
func RemoveExpired(ctx context.Context, tx postgres.Tx, most int) (int64, error) {
	return tx.Exec(ctx, removeExpiredSQL, most)
}
