package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
)

// byHand gives a part of a sale's money back at the provider.
func (h *house) byHand(s sale, minor int64) provider.Refund {
	h.t.Helper()
	var charge string
	require.NoError(h.t, h.db.Get(h.t.Context(), &charge, `SELECT provider_charge_id FROM payments WHERE id = $1`, s.payment))
	r, err := h.books.Refund(h.t.Context(), provider.RefundRequest{
		Key: "by-hand-" + uuid.NewString(), ChargeID: charge, Reference: "by-hand", Amount: money.Of(minor, "EUR"),
	})
	require.NoError(h.t, err)
	require.Equal(h.t, provider.Succeeded, r.Status)
	return r
}

// tell brings the provider's message about a refund, five times under ids that no
// inbox knows, and delivers what follows.
func (h *house) tell(r provider.Refund) {
	h.t.Helper()
	for range 5 {
		require.NoError(h.t, postgres.InTx(h.t.Context(), h.db, func(tx postgres.Tx) error {
			return refund.Notices{Payments: h.Service}.Hear(h.t.Context(), tx, event.ProviderRefund{
				Schema: event.SchemaVersion, RefundID: r.ID, ChargeID: r.ChargeID, Reference: r.Reference, ProviderKey: r.IdempotencyKey,
				Amount: r.Amount, Status: string(r.Status), SentAt: time.Now().UTC(),
			})
		}))
	}
	h.deliver()
}

func (h *house) mustBe(s sale, status string, refunded, good int) {
	h.t.Helper()
	require.Equal(h.t, 1, h.count(`SELECT count(*) FROM payments p JOIN orders o ON o.id = p.order_id
		WHERE p.id = $1 AND p.status = $2 AND o.status = $2 AND p.refunded_minor = $3 AND p.refund_reserved_minor = 0`, s.payment, status, refunded))
	require.Equal(h.t, good, h.count(`SELECT count(*) FROM tickets WHERE payment_id = $1 AND status = 'issued'`, s.payment))
}

func (h *house) mails(template string) (bodies []string) {
	h.t.Helper()
	require.NoError(h.t, h.db.Select(h.t.Context(), &bodies, `SELECT body FROM emails WHERE template = $1 ORDER BY id`, template))
	return bodies
}

func TestARefundMadeAtTheProviderIsBookedAsWhatItIsAndTheRestCanBeRefunded(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]int64{"all of it": {8400}, "a part": {1000}, "two parts": {1000, 2000}, "all of it in two parts": {1000, 7400}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			s := h.sell(h.merchant)
			back := int64(0)
			for i, minor := range parts {
				h.tell(h.byHand(s, minor))
				back += minor
				status, good := "partially_refunded", 2
				if back == 8400 {
					status, good = "refunded", 0
				}
				h.mustBe(s, status, int(back), good)
				require.Equal(t, i+1, h.count(`SELECT count(*) FROM refunds WHERE status = 'succeeded' AND provider_refund_id IS NOT NULL AND reason = 'made_at_provider'`))
				require.Equal(t, i+1, h.count(`SELECT count(*) FROM ledger_transactions WHERE kind = 'refund_external'`))
				sent := h.mails("refunded")
				require.Len(t, sent, i+1)
				require.Equal(t, back == 8400, strings.Contains(sent[i], "no longer valid"))
				mustBeProven(t, h.impatient(), s)
			}
			if back < 8400 {
				h.giveBack(s, 8400-back)
				h.mustBe(s, "refunded", 8400, 0)
				mustBeProven(t, h.impatient(), s)
			}
			require.Equal(t, 0, h.count(`SELECT count(*) FROM alerts`))
			require.Empty(t, h.mails("refund_failed"))
		})
	}
}

func TestMoneyThatWentBackAtTheProviderAfterATicketWasUsedIsBookedAndAlerted(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sell(h.merchant)
	h.exec(`UPDATE tickets SET status = 'used' WHERE number = 1 AND payment_id = $1`, s.payment)
	h.tell(h.byHand(s, 8400))
	h.mustBe(s, "refunded", 8400, 0)
	require.Equal(t, 1, h.count(`SELECT count(*) FROM tickets WHERE payment_id = $1 AND status = 'used'`, s.payment))
	require.Equal(t, 1, h.count(`SELECT count(*) FROM alerts WHERE kind = 'ticket_used' AND subject = $1 AND merchant_id = $2`, event.OrderName(s.order), s.merchant))
	mustBeProven(t, h.impatient(), s)
	h.exec(`DELETE FROM alerts`)
	all, err := h.impatient().CheckAll(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{event.OrderName(s.order)}, red(all)["tickets_once"], "without its alert it is red")
}

// While a refund of ours is under way, what is left is not known. The two together
// never exceed the payment, whichever the provider takes.
func TestARefundAtTheProviderBesideOneOfOursWaitsUntilThatOneHasEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ours, theirs int64
		status       string
		refunded     int
	}{
		"both fit":                   {2000, 1000, "partially_refunded", 3000},
		"both take everything":       {2000, 6400, "refunded", 8400},
		"ours is refused for it":     {8400, 1000, "partially_refunded", 1000},
		"ours is refused for it all": {2000, 8400, "refunded", 8400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			s := h.sell(h.merchant)
			h.silent = []string{event.CommandRefund}
			h.refundOf(s, c.ours)
			h.deliver() // up to the provider's step, which waits
			theirs := h.byHand(s, c.theirs)
			h.tell(theirs)
			require.Equal(t, 1, h.count(`SELECT count(*) FROM alerts WHERE kind = 'provider_unknown_refund' AND state = 'open' AND merchant_id = $1
				AND subject = $2 AND facts->>'object' = $2 AND facts->>'amount_minor' = $3`, s.merchant, theirs.ID, c.theirs))
			require.Equal(t, 0, h.count(`SELECT count(*) FROM refunds WHERE provider_refund_id IS NOT NULL`))
			h.silent = nil
			h.deliver()
			h.tell(theirs) // as the reconciliation does
			good := 2
			if c.status == "refunded" {
				good = 0
			}
			h.mustBe(s, c.status, c.refunded, good)
			require.Equal(t, 0, h.count(`SELECT count(*) FROM alerts WHERE state = 'open'`))
			mustBeProven(t, h.impatient(), s)
		})
	}
}

// A refund of ours was given up, and then its call reached the provider after all.
func TestMoneyThatWentBackAfterOurRefundHadFailedIsBooked(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sell(h.merchant)
	h.exec(`UPDATE tickets SET status = 'used' WHERE number = 1 AND payment_id = $1`, s.payment)
	failed := h.giveBack(s, 8400)
	require.Equal(t, 1, h.count(`SELECT count(*) FROM refunds WHERE status = 'failed'`))
	h.exec(`UPDATE tickets SET status = 'issued' WHERE payment_id = $1`, s.payment)
	var charge string
	require.NoError(t, h.db.Get(t.Context(), &charge, `SELECT provider_charge_id FROM payments WHERE id = $1`, s.payment))
	late, err := h.books.Refund(t.Context(), provider.RefundRequest{
		Key: refund.ProviderKey(failed), ChargeID: charge, Reference: event.RefundName(failed), Amount: money.Of(8400, "EUR"),
	})
	require.NoError(t, err)
	h.tell(late)
	h.mustBe(s, "refunded", 8400, 0)
	require.Equal(t, 1, h.count(`SELECT count(*) FROM refunds WHERE provider_refund_id = $1`, late.ID))
	mustBeProven(t, h.impatient(), s)
}

func TestARefundOfAChargeThatAPersonWasToldOfIsNoNewsAndOneOfAnUnknownChargeIs(t *testing.T) {
	t.Parallel()
	h := open(t)
	stray := provider.Refund{ID: "re_stray", ChargeID: "ch_stray", Reference: "by-hand", Amount: money.Of(8400, "EUR"), Status: provider.Succeeded}
	h.exec(`INSERT INTO alerts (id, kind, subject, facts) VALUES (uuid_v7(), 'provider_unknown_charge', 'ch_stray', '{"object": "ch_stray"}')`)
	h.tell(stray)
	require.Equal(t, 0, h.count(`SELECT count(*) FROM alerts WHERE kind = 'provider_unknown_refund'`))
	stray.ID, stray.ChargeID = "re_other", "ch_other"
	h.tell(stray)
	require.Equal(t, 1, h.count(`SELECT count(*) FROM alerts WHERE kind = 'provider_unknown_refund' AND subject = 're_other'`))
}
