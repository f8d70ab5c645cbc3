package audit_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/platform/patterns"
	"payonce/internal/shop/event"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/money"
	"payonce/once/inbox"
	"payonce/once/saga"
)

// sold is one captured payment of 84.00 with two tickets, paid with a card.
func (h *house) sold(token string) sale {
	h.t.Helper()
	s := sale{merchant: h.merchant, payment: h.order(h.merchant)}
	require.Equal(h.t, 200, h.pay(h.merchant, s.payment, token))
	h.deliver()
	require.NoError(h.t, h.db.Get(context.Background(), &s.order, `SELECT order_id FROM payments WHERE id = $1`, s.payment))
	return s
}

// overdue lets a saga's deadline pass, has the timer look, and delivers.
func (h *house) overdue(refund uuid.UUID) {
	h.t.Helper()
	h.exec(`UPDATE sagas SET due_at = clock_timestamp() - interval '1 second' WHERE subject_id = $1 AND due_at IS NOT NULL`, refund)
	_, err := saga.Timer{Definition: story, DB: h.db.Once()}.RunOnce(context.Background())
	require.NoError(h.t, err)
	h.deliver()
}

func (h *house) sagaOf(refund uuid.UUID) saga.Saga {
	h.t.Helper()
	var id uuid.UUID
	require.NoError(h.t, h.db.Get(context.Background(), &id, `SELECT saga_id FROM refunds WHERE id = $1`, refund))
	s, err := patterns.Sagas.Read(context.Background(), h.db.Once(), id.String())
	require.NoError(h.t, err)
	return s
}

func (h *house) openAlerts(s saga.Saga) int {
	return h.count(`SELECT count(*) FROM alerts WHERE kind = 'saga_stuck' AND subject = $1 AND state = 'open'`, s.Name())
}

func (h *house) proven() {
	h.t.Helper()
	r, err := h.impatient().CheckAll(context.Background())
	require.NoError(h.t, err)
	require.Empty(h.t, red(r))
	require.True(h.t, r.Proven(), "%+v", r)
}

// A participant that is silent for longer than anybody has patience, and speaks
// at last.
func TestATimeoutAtEachStepEndsAllDoneOrAllUndoneWithEveryInvariantTrue(t *testing.T) {
	t.Parallel()
	for command, c := range map[string]struct {
		token     string
		meanwhile saga.State
		alerts    int
		end       saga.State
	}{
		event.CommandHoldRefund:       {"tok_ok", saga.Compensated, 0, saga.Compensated},
		event.CommandVoidTickets:      {"tok_ok", saga.Compensated, 0, saga.Compensated},
		event.CommandRefund:           {"tok_ok", saga.Stuck, 1, saga.Completed},
		event.CommandSettleRefund:     {"tok_ok", saga.Stuck, 1, saga.Completed},
		event.CommandReinstateTickets: {"tok_refund_declined", saga.Stuck, 1, saga.Compensated},
		event.CommandReleaseRefund:    {"tok_refund_declined", saga.Stuck, 1, saga.Compensated},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			s := h.sold(c.token)
			h.silent = []string{command}
			refund := h.giveBack(s, 8400)
			for range 4 {
				h.overdue(refund)
			}
			now := h.sagaOf(refund)
			require.Equal(t, c.meanwhile, now.State)
			require.Equal(t, c.alerts, h.openAlerts(now))
			if command == event.CommandRefund {
				require.Equal(t, 2, h.count(`SELECT count(*) FROM tickets WHERE status = 'void'`), "nothing is undone while nobody knows")
			}
			h.silent = nil
			h.deliver() // every copy of the command arrives after all
			now = h.sagaOf(refund)
			require.Equal(t, c.end, now.State)
			require.Zero(t, h.openAlerts(now))
			h.proven()
		})
	}
}

func TestARefusalAtEachStepEndsAllDoneOrAllUndoneWithEveryInvariantTrue(t *testing.T) {
	t.Parallel()
	for step, c := range map[string]struct {
		token, failure string
		refuse         func(h *house, s sale)
	}{
		"hold_funds": {"tok_ok", ledger.RefusedExceeds, (*house).holdElsewhere},
		"void_tickets": {"tok_ok", "ticket_used", func(h *house, s sale) {
			h.exec(`UPDATE tickets SET status = 'used' WHERE number = 1 AND payment_id = $1`, s.payment)
		}},
		"refund": {"tok_refund_declined", "refund_not_possible", func(*house, sale) {}},
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			s := h.sold(c.token)
			c.refuse(h, s)
			now := h.sagaOf(h.giveBack(s, 8400))
			require.Equal(t, saga.Compensated, now.State)
			require.Equal(t, c.failure, *now.Failure)
			require.Equal(t, 0, h.count(`SELECT count(*) FROM tickets WHERE status = 'void'`))
			h.exec(`DELETE FROM ledger_entries WHERE transaction_id IN (SELECT id FROM ledger_transactions WHERE business_key = $1)`, elsewhere)
			h.exec(`DELETE FROM ledger_transactions WHERE business_key = $1`, elsewhere)
			h.proven()
		})
	}
}

// elsewhere is the key of the hold below.
var elsewhere = "refund_hold:" + event.RefundName(uuid.Max)

// holdElsewhere books a hold of no refund: the book's own bound is met.
func (h *house) holdElsewhere(s sale) {
	h.t.Helper()
	data, err := json.Marshal(event.Refund{RefundID: uuid.Max, MerchantID: s.merchant, PaymentID: s.payment, Amount: money.Of(1, "EUR")})
	require.NoError(h.t, err)
	payload, err := json.Marshal(saga.Command{Schema: 1, Saga: uuid.NewString(), Step: "hold_funds", Direction: saga.Do, Attempt: 1, Data: data})
	require.NoError(h.t, err)
	h.apply(ledger.Name, inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: event.CommandHoldRefund, Payload: payload, Scope: s.merchant.String(), Correlation: s.payment.String()})
	h.exec(`DELETE FROM outbox_events WHERE published_at IS NULL`) // its reply is for no saga of ours
}

func TestARefusalAfterThePivotIsStuckAndAPersonsRetryFinishesIt(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sold("tok_ok")
	h.silent = []string{event.CommandSettleRefund}
	refund := h.giveBack(s, 8400)
	h.exec(`UPDATE ledger_transactions SET business_key = 'hidden:' || business_key WHERE kind = 'refund_hold'`)
	h.silent = nil
	h.deliver()
	now := h.sagaOf(refund)
	require.Equal(t, saga.Stuck, now.State, "after the pivot nothing is undone")
	require.Equal(t, 1, h.openAlerts(now))
	h.exec(`UPDATE ledger_transactions SET business_key = replace(business_key, 'hidden:', '') WHERE kind = 'refund_hold'`)
	_, err := story.Retry(context.Background(), h.db.Once(), now.ID)
	require.NoError(t, err)
	h.deliver()
	require.Equal(t, saga.Completed, h.sagaOf(refund).State)
	h.proven()
}

func TestEveryMessageTwiceUnderAnotherIdAndStillOneEffectEach(t *testing.T) {
	t.Parallel()
	for token, end := range map[string]saga.State{"tok_ok": saga.Completed, "tok_refund_declined": saga.Compensated} {
		h := open(t)
		s := h.sold(token)
		h.twice = true
		refund := h.giveBack(s, 8400)
		now := h.sagaOf(refund)
		require.Equal(t, end, now.State)
		late := 0
		for _, step := range now.Tracks {
			late += step.Late
		}
		require.Positive(t, late, "late replies are recorded")
		h.proven()
	}
}

func TestTwoRefundsOfAPartAndOneOfTheRestGiveEverythingBack(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sold("tok_ok")
	for i, minor := range []int64{2000, 2000, 4400} {
		require.Equal(t, 0, h.count(`SELECT count(*) FROM tickets WHERE status = 'void'`), "before the last one")
		now := h.sagaOf(h.giveBack(s, minor))
		require.Equal(t, saga.Completed, now.State, "refund %d", i+1)
	}
	require.Equal(t, 2, h.count(`SELECT count(*) FROM tickets WHERE status = 'void'`))
	require.Equal(t, 1, h.count(`SELECT count(*) FROM payments WHERE status = 'refunded' AND refunded_minor = 8400 AND refund_reserved_minor = 0`))
	h.proven()
}
