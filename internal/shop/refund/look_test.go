package refund_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
	"payonce/once/saga"
)

// cancels is a provider that can refuse a key from now on.
type cancels struct {
	fake
	answer provider.Refund
	fails  error
	keys   []string
}

func (c *cancels) CancelRefund(_ context.Context, key string) (provider.Refund, error) {
	c.keys = append(c.keys, key)
	return c.answer, c.fails
}

func TestADecisionIsRefusedWhenTheProviderSaysOtherwise(t *testing.T) {
	t.Parallel()
	r := event.Refund{RefundID: uuid.New(), Amount: money.Of(8400, "EUR"), ProviderChargeID: "ch_1"}
	gone := provider.Refund{ID: "re_1", ChargeID: "ch_1", Amount: r.Amount, Status: provider.Succeeded}
	less, other, declined := gone, gone, gone
	less.Amount, other.ChargeID, declined.Status = money.Of(1, "EUR"), "ch_2", provider.Declined
	for name, c := range map[string]struct {
		books                  provider.Refunder
		completed, compensated bool // whether the provider agrees
	}{
		"gone":                     {&fake{found: true, byKey: gone}, true, false},
		"never heard of":           {&fake{}, false, true},
		"declined":                 {&fake{found: true, byKey: declined}, false, true},
		"another amount":           {&fake{found: true, byKey: less}, false, true},
		"of another charge":        {&fake{found: true, byKey: other}, false, true},
		"cancelled in time":        {&cancels{answer: provider.Refund{Status: provider.Cancelled}}, false, true},
		"too late to be cancelled": {&cancels{answer: gone}, false, false},
		"cannot be cancelled now":  {&cancels{fails: errors.New("silence")}, false, true},
	} {
		data, err := json.Marshal(r)
		require.NoError(t, err)
		for i, agrees := range []bool{c.completed, c.compensated} {
			as := []saga.State{saga.Completed, saga.Compensated}[i]
			err := refund.Gateway{Provider: c.books}.Look(t.Context(), saga.Saga{Data: data}, as)
			var no *saga.Contradiction
			require.Equal(t, agrees, err == nil, "%s, %s: %v", name, as, err)
			require.Equal(t, !agrees, errors.As(err, &no), "%s, %s: %v", name, as, err)
		}
		if p, able := c.books.(*cancels); able {
			require.Equal(t, []string{refund.ProviderKey(r.RefundID)}, p.keys, "%s: only what is given up is cancelled", name)
		}
	}
}
