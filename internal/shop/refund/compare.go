package refund

import (
	"context"
	"database/sql"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

const comparedSQL = `
SELECT id, status, amount_minor, currency, provider_refund_id
  FROM refunds WHERE id = ANY ($1::uuid[]) OR provider_refund_id = ANY ($2::text[])`

// Differing leaves out the refunds that our books agree with already, in one look
// without a lock. What it returns is for [Notices.Hear].
func Differing(ctx context.Context, db *postgres.DB, refunds []provider.Refund) ([]provider.Refund, error) {
	ids, names := make([]string, 0, len(refunds)), make([]string, 0, len(refunds))
	for _, r := range refunds {
		ids, names = append(ids, keyed(r.IdempotencyKey).String()), append(names, r.ID)
	}
	var rows []struct {
		ID       uuid.UUID      `db:"id"`
		Status   string         `db:"status"`
		Minor    int64          `db:"amount_minor"`
		Currency string         `db:"currency"`
		External sql.NullString `db:"provider_refund_id"`
	}
	if err := db.Select(ctx, &rows, comparedSQL, pq.Array(ids), pq.Array(names)); err != nil {
		return nil, err
	}
	type said struct {
		status string
		amount money.Money
	}
	ours, external := map[uuid.UUID]said{}, map[string]said{}
	for _, r := range rows {
		ours[r.ID] = said{r.Status, money.Of(r.Minor, r.Currency)}
		if r.External.Valid {
			external[r.External.String] = ours[r.ID]
		}
	}
	var differing []provider.Refund
	for _, r := range refunds {
		is := said{Failed, r.Amount}
		if r.Status == provider.Succeeded {
			is.status = Succeeded
		}
		if ours[keyed(r.IdempotencyKey)] != is && external[r.ID] != is {
			differing = append(differing, r)
		}
	}
	return differing, nil
}

// Agreed are the names of those of our refunds that the provider lists, and of which
// nothing that it lists differs from our books.
func Agreed(listed, differing []provider.Refund) (names []string) {
	apart := map[uuid.UUID]bool{uuid.Nil: true}
	for _, r := range differing {
		apart[keyed(r.IdempotencyKey)] = true
	}
	for _, r := range listed {
		if id := keyed(r.IdempotencyKey); !apart[id] {
			names = append(names, event.RefundName(id))
		}
	}
	return names
}
