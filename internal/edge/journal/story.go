package journal

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
	"payonce/internal/platform/postgres"
)

const storySQL = `
SELECT id, merchant_id, payment_id, at, kind, node, facts
  FROM activity
 WHERE payment_id = $1 AND merchant_id = $2 AND ($3::uuid IS NULL OR id > $3::uuid)
 ORDER BY id LIMIT $4`

// Story is what the journal still holds of one payment, oldest first, from behind
// an event that the caller has already.
func Story(ctx context.Context, db *postgres.DB, merchant, payment uuid.UUID, after uuid.NullUUID, limit int) ([]wire.Activity, error) {
	var rows []row
	if err := db.Select(ctx, &rows, storySQL, payment, merchant, after, limit); err != nil {
		return nil, fmt.Errorf("story of a payment: %w", err)
	}
	all := make([]wire.Activity, 0, len(rows))
	for _, one := range rows {
		all = append(all, *one.view())
	}
	return all, nil
}
