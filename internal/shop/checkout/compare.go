package checkout

import (
	"context"

	"github.com/lib/pq"

	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

const byKeysSQL = `
SELECT provider_key, status, provider_charge_id, amount_minor, currency
  FROM payment_attempts WHERE provider_key = ANY ($1::text[])`

// Differing leaves out the charges that our books agree with already, in one look
// without a lock. What it returns is for [Notices.Hear].
func (s *Service) Differing(ctx context.Context, charges []provider.Charge) ([]provider.Charge, error) {
	keys := make([]string, 0, len(charges))
	for _, c := range charges {
		keys = append(keys, c.IdempotencyKey)
	}
	var rows []attempt
	if err := s.DB.Select(ctx, &rows, byKeysSQL, pq.Array(keys)); err != nil {
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
