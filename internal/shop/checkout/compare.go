package checkout

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

const byKeysSQL = `
SELECT a.provider_key, a.status, a.provider_charge_id, a.amount_minor, a.currency
  FROM unnest($1::uuid[], $2::integer[]) AS named (payment, no)
  JOIN payment_attempts a ON a.payment_id = named.payment AND a.attempt_no = named.no`

// Differing leaves out the charges that our books agree with already, in one look
// without a lock. What it returns is for [Notices.Hear].
func (s *Service) Differing(ctx context.Context, charges []provider.Charge) ([]provider.Charge, error) {
	var payments []uuid.UUID
	var numbers []int
	for _, c := range charges {
		if payment, no, ours := attemptNamed(c.IdempotencyKey); ours {
			payments, numbers = append(payments, payment), append(numbers, no)
		}
	}
	var rows []attempt
	if err := s.DB.Select(ctx, &rows, byKeysSQL, pq.Array(payments), pq.Array(numbers)); err != nil {
		return nil, err
	}
	known := make(map[string]attempt, len(rows))
	for _, a := range rows {
		known[a.ProviderKey] = a
	}
	var differing []provider.Charge
	for _, c := range charges {
		a, found := known[c.IdempotencyKey]
		if !found || a.unfinished() || money.Of(a.AmountMinor, a.Currency) != c.Amount || !agrees(a, c) {
			differing = append(differing, c)
		}
	}
	return differing, nil
}
