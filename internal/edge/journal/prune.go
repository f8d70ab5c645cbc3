package journal

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// Old rows go by age, or by number when there were many. To find the bound by
// number is to walk over all that are kept, so it is looked for once.
const boundSQL = `
SELECT greatest(
  uuid_v7_floor(clock_timestamp() - $1::float8 * interval '1 second')::text,
  (SELECT id::text FROM activity ORDER BY id DESC OFFSET $2::bigint LIMIT 1))::uuid`

// A thousand at a time, each in a transaction of its own: a large delete would
// stall everybody. The lock makes processes take turns; who does not get it
// leaves the work to the one who did.
const pruneSQL = `
WITH turn AS (
  SELECT pg_try_advisory_xact_lock(hashtext('journal.prune')) AS mine
), old AS (
  SELECT a.id FROM activity a, turn WHERE turn.mine AND a.id < $1::uuid ORDER BY a.id LIMIT $2::bigint
)
DELETE FROM activity WHERE id IN (SELECT id FROM old)`

const pruneBatch = 1000

// Prune keeps the activity table bounded; it returns how many rows went. It
// stops after a while and leaves the rest to the next call.
func (j *Journal) Prune(ctx context.Context) (int64, error) {
	var bound uuid.UUID
	if err := j.opts.DB.Get(ctx, &bound, boundSQL, j.opts.KeepFor.Seconds(), j.opts.KeepRows); err != nil {
		return 0, err
	}
	var total int64
	for range 50 {
		var n int64
		err := postgres.InTx(ctx, j.opts.DB, func(tx postgres.Tx) error {
			var err error
			n, err = tx.Exec(ctx, pruneSQL, bound, pruneBatch)
			return err
		})
		total += n
		if err != nil || n < pruneBatch {
			return total, err
		}
	}
	return total, nil
}
