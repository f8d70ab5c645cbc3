package audit_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/shop/event"
	"payonce/internal/shop/tickets"
	"payonce/once/saga"
)

// card changes what the provider says of the refunds that it is asked for next.
func (h *house) card(token string) {
	h.t.Helper()
	h.outside(`DELETE FROM charge_cards`)
	h.outside(`INSERT INTO charge_cards (charge_id, token) SELECT id, $1 FROM charges`, token)
}

func (h *house) ticketsOf(s sale, status string) int {
	h.t.Helper()
	return h.count(`SELECT count(*) FROM tickets WHERE order_id = $1 AND status = $2`, s.order, status)
}

func (h *house) checkIn(s sale) {
	h.t.Helper()
	var id uuid.UUID
	require.NoError(h.t, h.db.Get(context.Background(), &id, `SELECT id FROM tickets WHERE order_id = $1 ORDER BY id LIMIT 1`, s.order))
	_, err := tickets.Door{DB: h.db}.CheckIn(context.Background(), s.merchant, id)
	require.NoError(h.t, err)
}

// waits fails unless a refund waits at its void, of which nothing was sent.
func (h *house) waits(s sale, refund uuid.UUID) {
	h.t.Helper()
	now := h.sagaOf(refund)
	require.Equal(h.t, saga.Waiting, now.State)
	require.Equal(h.t, saga.Awaiting, statusOf(now, "void_tickets"))
	require.Zero(h.t, h.ticketsOf(s, "void"))
}

func statusOf(s saga.Saga, step string) saga.Status {
	for _, t := range s.Tracks {
		if t.Step == step && t.Direction == saga.Do {
			return t.Status
		}
	}
	return ""
}

// Two refunds of half each, of which the second one would leave nothing. Tickets
// are void when, and only when, nothing is left of the payment.
func TestTwoHalvesEndWithTicketsVoidWhenNothingIsLeftAndOnlyThen(t *testing.T) {
	t.Parallel()
	const refused = "tok_refund_declined"
	for name, c := range map[string]struct {
		first, second string // the card, when the provider is asked
		used          bool   // a ticket, while the second one waits
		ends          [2]saga.State
		void          saga.Status // the second one's step
		voided, left  int
	}{
		"both succeed":                     {"tok_ok", "tok_ok", false, [2]saga.State{saga.Completed, saga.Completed}, saga.Done, 2, 0},
		"the first refused":                {refused, "tok_ok", false, [2]saga.State{saga.Compensated, saga.Completed}, saga.Skipped, 0, 4200},
		"the second refused":               {"tok_ok", refused, false, [2]saga.State{saga.Completed, saga.Compensated}, saga.Done, 0, 4200},
		"both refused":                     {refused, refused, false, [2]saga.State{saga.Compensated, saga.Compensated}, saga.Skipped, 0, 8400},
		"a ticket used, both would":        {"tok_ok", "tok_ok", true, [2]saga.State{saga.Completed, saga.Compensated}, saga.Failed, 0, 4200},
		"a ticket used, the first refused": {refused, "tok_ok", true, [2]saga.State{saga.Compensated, saga.Completed}, saga.Skipped, 0, 4200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			s := h.sold(c.first)
			h.silent = []string{event.CommandRefund} // the first one stands at its pivot
			first, second := h.giveBack(s, 4200), h.giveBack(s, 4200)
			h.overdue(second)
			h.waits(s, second)
			require.Zero(t, h.openAlerts(h.sagaOf(second)))
			h.waitingIsNoFault(first)
			if c.used {
				h.checkIn(s)
			}
			h.silent = []string{event.TypeRefundReservationClosed}
			h.deliver()
			h.waits(s, second)
			h.card(c.second)
			h.silent = nil
			h.deliver()
			require.Equal(t, c.ends, [2]saga.State{h.sagaOf(first).State, h.sagaOf(second).State})
			require.Equal(t, saga.Skipped, statusOf(h.sagaOf(first), "void_tickets"))
			require.Equal(t, c.void, statusOf(h.sagaOf(second), "void_tickets"))
			require.Equal(t, c.voided, h.ticketsOf(s, "void"))
			require.Equal(t, c.left, h.count(`SELECT amount_minor - refunded_minor FROM payments WHERE id = $1`, s.payment))
			h.proven()
		})
	}
}

// waitingIsNoFault audits while one refund waits for another: the earlier one is
// judged, and this one with it.
func (h *house) waitingIsNoFault(first uuid.UUID) {
	h.t.Helper()
	r, err := h.impatient().CheckAll(context.Background())
	require.NoError(h.t, err)
	require.Equal(h.t, []string{event.RefundName(first)}, invariant(h.t, r, "saga_settled").Violations)
	require.True(h.t, invariant(h.t, r, "tickets_once").OK)
}

// The other order: the second one has come to its void before the first one is
// refused, or the first one is closed before the second one comes there.
func TestARefundThatComesToItsVoidAfterTheFirstOneWasRefusedVoidsNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sold("tok_refund_declined")
	h.silent = []string{event.CommandRefund}
	first := h.giveBack(s, 4200)
	second := h.refundOf(s, 4200)
	h.silent = []string{event.CommandHoldRefund} // the second one's
	h.deliver()
	require.Equal(t, saga.Compensated, h.sagaOf(first).State)
	h.card("tok_ok")
	h.silent = nil
	h.deliver()
	require.Equal(t, saga.Completed, h.sagaOf(second).State)
	require.Equal(t, saga.Skipped, statusOf(h.sagaOf(second), "void_tickets"))
	require.Equal(t, 2, h.ticketsOf(s, "issued"))
	h.proven()
}

// A chain: what the first one gave up is asked for again, and waits in its turn.
func TestOfThreeRefundsEachWaitsForTheEarlierOnesAndTheLastOneVoids(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sold("tok_refund_declined")
	h.silent = []string{event.CommandRefund}
	first, second := h.giveBack(s, 4200), h.giveBack(s, 4200)
	h.silent = []string{event.TypeRefundReservationClosed}
	h.deliver() // the first one is refused, which the second one does not hear of
	h.card("tok_ok")
	third := h.giveBack(s, 4200)
	h.waits(s, second)
	h.waits(s, third)
	h.overdue(third)
	h.waits(s, third)
	h.silent = nil
	h.deliver()
	require.Equal(t, saga.Compensated, h.sagaOf(first).State)
	require.Equal(t, saga.Completed, h.sagaOf(second).State)
	require.Equal(t, saga.Skipped, statusOf(h.sagaOf(second), "void_tickets"))
	require.Equal(t, saga.Completed, h.sagaOf(third).State)
	require.Equal(t, saga.Done, statusOf(h.sagaOf(third), "void_tickets"))
	require.Equal(t, 2, h.ticketsOf(s, "void"))
	h.proven()
}

// A signal that never arrives: the deadline finds what it was about.
func TestARefundThatWaitsGoesOnAtItsDeadlineWhenTheSignalIsLost(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sold("tok_ok")
	h.silent = []string{event.CommandRefund}
	h.giveBack(s, 4200)
	second := h.giveBack(s, 4200)
	h.silent = []string{event.TypeRefundReservationClosed}
	h.deliver()
	h.waits(s, second)
	lost, err := h.impatient().CheckAll(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{event.RefundName(second)}, invariant(t, lost, "saga_settled").Violations, "a wait for an end that is there already is a fault")
	h.overdue(second)
	require.Equal(t, saga.Completed, h.sagaOf(second).State)
	require.Equal(t, 2, h.ticketsOf(s, "void"))
	h.silent = nil
	h.deliver()
	h.proven()
}
