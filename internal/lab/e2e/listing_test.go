package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
	"payonce/internal/lab/stage"
)

// invariants says of each invariant whether it holds, as the audit of a key says: a
// sandbox's, or the operator's of everything.
func invariants(t *testing.T, s *stage.Stage, key string) map[string]bool {
	t.Helper()
	report, err := client.Get[struct {
		Invariants []struct {
			ID             string
			OK, Observable bool
		} `json:"invariants"`
	}](context.Background(), s.Visitor().As(key), "/v1/audit")
	require.NoError(t, err)
	require.NotEmpty(t, report.Invariants)
	hold := map[string]bool{}
	for _, i := range report.Invariants {
		hold[i.ID] = i.OK && i.Observable
	}
	return hold
}

// A charge that no attempt asked for stands in front of or behind so many declines of
// its payment that the provider's list has one page, or more. Proof, both audits, the next
// capture and a person's decision see the same.
func TestProofAuditsClearingAndADecisionAgreeBehindAnyNumberOfDeclines(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	books, err := sql.Open("postgres", s.SimulatorDSN)
	require.NoError(t, err)
	t.Cleanup(func() { books.Close() })
	bought := map[int]stage.Checkout{}
	for i, n := range []int{99, 100, 101, 1_000, 2_001} {
		c := b.Order()
		bought[n] = c
		r, err := b.Capture(t.Context(), c, "declined-"+c.PaymentID, "tok_declined")
		require.NoError(t, err)
		require.Equal(t, http.StatusPaymentRequired, r.Status, "%s", r.Body)
		_, err = books.ExecContext(t.Context(), `
			INSERT INTO charges (id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at)
			SELECT 'ch_1' || no || $1, $1::text, $1 || no, $2::bigint, 'EUR', 'declined', 'x', now() FROM generate_series(2, $3::integer) no
			UNION ALL SELECT $4::text || $1, $1, 'by hand ' || $1, $2::bigint, 'EUR', 'succeeded', NULL, now()`, c.PaymentID, c.AmountMinor, n, []string{"ch_0", "ch_z"}[i%2])
		require.NoError(t, err)
	}
	agree := func(when string) {
		t.Helper()
		mine, all := invariants(t, s, b.APIKey), invariants(t, s, stage.OperatorToken)
		require.Equal(t, all, mine, when)
		for id, holds := range mine {
			require.True(t, holds, "%s: %s", when, id)
		}
		for n, c := range bought {
			require.EqualValues(t, 1, b.Get("/v1/payments/" + c.PaymentID + "/proof").Field("effects").(map[string]any)["charges"], "%s: %d declines", when, n)
		}
	}
	for n, c := range bought {
		r, err := b.Capture(t.Context(), c, "next-"+c.PaymentID, "tok_ok")
		require.NoError(t, err)
		require.Equal(t, http.StatusConflict, r.Status, "%d declines: %s", n, r.Body)
		require.Equal(t, "/problems/payment-needs-review", r.Field("type"))
		require.Equal(t, 1, b.Effects(c).Charges)
	}
	agree("while the alert is open")
	for n, c := range bought {
		for _, decision := range []string{"keep_ours", "accept_provider"} {
			r, err := b.Do(t.Context(), http.MethodPost, "/v1/ops/payments/"+c.PaymentID+"/resolve", "", map[string]any{"decision": decision, "reason": "looked at the provider's books"})
			require.NoError(t, err)
			want := map[string]int{"keep_ours": http.StatusConflict, "accept_provider": http.StatusAccepted}
			require.Equal(t, want[decision], r.Status, "%d declines: %s", n, r.Body)
		}
		require.Eventually(t, func() bool { e := b.Effects(c); return e.Tickets == 2 && e.LedgerTransactions == 1 && e.Mails == 2 }, settle, tick)
	}
	agree(fmt.Sprintf("after %d decisions", len(bought)))
}
