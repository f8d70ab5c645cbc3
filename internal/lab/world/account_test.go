package world_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/world"
)

func TestTheSecondAccountIsInNoListBalanceOrWebhookOfTheFirst(t *testing.T) {
	t.Parallel()
	e := &ear{}
	s := listening(t, e, world.Options{})
	type refunds struct{ Data []world.Refund }
	for _, reference := range []string{"pay_1", "nai_1"} {
		charged := s.must("POST", "/v1/charges", strings.Replace(oneCharge, "pay_1", reference, 1), "Idempotency-Key", "k-"+reference)
		charge := decode[world.Charge](t, charged.body).ID
		s.must("POST", "/v1/refunds", fmt.Sprintf(`{"charge_id":%q,"reference":%q,"amount_minor":200}`, charge, reference), "Idempotency-Key", "r-"+reference)

		// Whoever knows a name finds it.
		require.Len(t, s.ChargesByReference(reference), 1)
		require.Len(t, s.ChargesByKey("k-"+reference), 1)
		require.Len(t, decode[refunds](t, s.must("GET", "/v1/refunds?charge_id="+charge, "").body).Data, 1)
	}
	all := decode[charges](t, s.must("GET", "/v1/charges", "").body).Data
	require.Len(t, all, 1)
	require.Equal(t, "pay_1", all[0].Reference)
	back := decode[refunds](t, s.must("GET", "/v1/refunds", "").body).Data
	require.Len(t, back, 1)
	require.Equal(t, "pay_1", back[0].Reference)
	require.Equal(t, int64(4000), s.balance())
	eventually(t, "the first account is told of its charge and its refund", func() bool { return e.count() == 2 })
	require.Len(t, s.Deliveries("pay_1"), 2)
	require.Empty(t, s.Deliveries("nai_1"))
}
