package audit_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/shop/event"
)

func theRefund(status string) func(h *house, s sale) string {
	return func(h *house, s sale) string {
		var id uuid.UUID
		require.NoError(h.t, h.db.Get(h.t.Context(), &id, `SELECT id FROM refunds WHERE payment_id = $1 AND status = $2 ORDER BY id LIMIT 1`, s.payment, status))
		return event.RefundName(id)
	}
}

// The sale has a refund of 20.00 that went through and one of 64.00 that failed,
// because a ticket was used.
const (
	wentBack = `(SELECT id FROM refunds WHERE payment_id = $1 AND amount_minor = 2000)`
	stayed   = `(SELECT id FROM refunds WHERE payment_id = $1 AND amount_minor = 6400)`
	named    = `'ref_' || replace(` + wentBack + `::text, '-', '')`
)

// Its first ticket is used, the second one good.
const (
	nothingPaid   = `UPDATE payments SET status = 'refunded' WHERE id = $1`
	somethingPaid = `UPDATE payments SET status = 'partially_refunded' WHERE id = $1`
	voidOther     = `UPDATE tickets SET status = 'void', voided_by = ` + wentBack + ` WHERE payment_id = $1 AND number = 2`
	reissue       = `UPDATE tickets SET status = 'issued', voided_by = NULL WHERE payment_id = $1 AND number = 2`
	alertUsed     = `INSERT INTO alerts (id, kind, subject, facts) SELECT uuid_v7(), 'ticket_used', 'ord_' || replace(order_id::text, '-', ''), '{}' FROM payments WHERE id = $1`
	alertOther    = `INSERT INTO alerts (id, kind, subject, facts) SELECT uuid_v7(), 'ticket_used', 'ord_other', '{}' WHERE $1::uuid IS NOT NULL`
)

func refundMail(h *house, s sale) string {
	return "<refunded." + theRefund("succeeded")(h, s) + "@payonce>"
}

var refundFaults = map[string]planted{
	"a refund that was accepted beyond what was captured": {
		red: []string{"refund_bound"}, names: thePayment,
		plant: run(`UPDATE refund_reservations SET amount_minor = amount_minor + 1 WHERE refund_id = ` + wentBack),
		heal:  run(`UPDATE refund_reservations SET amount_minor = amount_minor - 1 WHERE refund_id = ` + wentBack),
	},
	"a payment that says more went back than did": {
		red: []string{"refund_bound"}, names: thePayment,
		plant: run(`UPDATE payments SET refunded_minor = refunded_minor + 1 WHERE id = $1`),
		heal:  run(`UPDATE payments SET refunded_minor = refunded_minor - 1 WHERE id = $1`),
	},
	"a saga that nobody drives any more": {
		red: []string{"saga_settled"}, names: theRefund("succeeded"),
		plant: run(`UPDATE sagas SET state = 'running', finished_at = NULL WHERE subject_id = ` + wentBack),
		heal:  run(`UPDATE sagas SET state = 'completed', finished_at = created_at WHERE subject_id = ` + wentBack),
	},
	"a stuck saga whose alert was closed too early": {
		red: []string{"saga_settled"}, names: theRefund("succeeded"),
		plant: run(`UPDATE sagas SET state = 'stuck', finished_at = NULL WHERE subject_id = `+wentBack,
			`INSERT INTO alerts (id, kind, subject, facts, state, resolved_at) SELECT uuid_v7(), 'saga_stuck', 'saga_' || replace(id::text, '-', ''), '{}', 'resolved', now() FROM sagas WHERE subject_id = `+wentBack),
		heal: run(`UPDATE sagas SET state = 'completed', finished_at = created_at WHERE subject_id = `+wentBack, dropAlerts),
	},
	"a ticket that a failed refund left void": {
		red: []string{"saga_settled", "tickets_once"}, names: func(*house, sale) string { return "" },
		plant: run(`UPDATE tickets SET status = 'void', voided_by = ` + stayed + ` WHERE payment_id = $1 AND status = 'issued'`),
		heal:  run(`UPDATE tickets SET status = 'issued', voided_by = NULL WHERE payment_id = $1 AND status = 'void'`),
	},
	"a reservation that nobody gave up": {
		red: []string{"saga_settled", "refund_bound"}, names: func(*house, sale) string { return "" },
		plant: run(`UPDATE refund_reservations SET state = 'reserved', settled_at = NULL WHERE refund_id = ` + stayed),
		heal:  run(`UPDATE refund_reservations SET state = 'released', settled_at = reserved_at WHERE refund_id = ` + stayed),
	},
	"a refund that the ledger never settled": {
		red: []string{"ledger_once", "saga_settled"}, names: theRefund("succeeded"),
		plant: run(`UPDATE ledger_transactions SET business_key = 'planted' WHERE payment_id = $1 AND business_key = 'refund_settle:' || ` + named),
		heal:  run(`UPDATE ledger_transactions SET business_key = 'refund_settle:' || ` + named + ` WHERE payment_id = $1 AND business_key = 'planted'`),
	},
	"a hold that a decided saga left behind": {
		red: []string{"ledger_once", "saga_settled"}, names: theRefund("succeeded"),
		plant: run(`UPDATE sagas SET resolved_by = 'op', resolved_why = 'seen' WHERE subject_id = `+wentBack,
			`UPDATE ledger_transactions SET business_key = 'planted' WHERE payment_id = $1 AND business_key = 'refund_settle:' || `+named),
		heal: run(`UPDATE sagas SET resolved_by = NULL, resolved_why = NULL WHERE subject_id = `+wentBack,
			`UPDATE ledger_transactions SET business_key = 'refund_settle:' || `+named+` WHERE payment_id = $1 AND business_key = 'planted'`),
	},
	"a ticket that is good although a person decided that everything went back": {
		red: []string{"tickets_once"}, names: theOrder,
		plant: run(`UPDATE sagas SET resolved_by = 'op', resolved_why = 'seen' WHERE subject_id = `+wentBack, `UPDATE payments SET status = 'refunded' WHERE id = $1`),
		heal:  run(`UPDATE sagas SET resolved_by = NULL, resolved_why = NULL WHERE subject_id = `+wentBack, `UPDATE payments SET status = 'partially_refunded' WHERE id = $1`),
	},
	"money that went back for a refund that a person declared failed": {
		red: []string{"charge_matches"}, names: thePayment,
		plant: func(h *house, s sale) {
			h.exec(`UPDATE sagas SET resolved_by = 'op', resolved_why = 'seen' WHERE subject_id = (SELECT id FROM refunds WHERE payment_id = $1 AND amount_minor = 6400)`, s.payment)
			h.outside(`UPDATE refunds SET reference = $1`, theRefund("failed")(h, s))
		},
		heal: func(h *house, s sale) {
			h.exec(`UPDATE sagas SET resolved_by = NULL, resolved_why = NULL WHERE correlation_id = $1`, s.payment)
			h.outside(`UPDATE refunds SET reference = $1`, theRefund("succeeded")(h, s))
		},
	},
	"a refund of which nobody was told": {
		red: []string{"one_mail"}, names: thePayment,
		plant: func(h *house, s sale) {
			h.outside(`UPDATE mail_messages SET message_id = 'lost', body_text = replace(body_text, 'pay_', 'lost_') WHERE message_id = $1`, refundMail(h, s))
		},
		heal: func(h *house, s sale) {
			h.outside(`UPDATE mail_messages SET message_id = $1, body_text = replace(body_text, 'lost_', 'pay_') WHERE message_id = 'lost'`, refundMail(h, s))
		},
	},
	"a ticket that is good although everything went back": {
		red: []string{"tickets_once"}, names: theOrder,
		plant: run(nothingPaid, alertUsed),
		heal:  run(somethingPaid, dropAlerts),
	},
	"a ticket that was used, of which nothing is paid, without an alert": {
		red: []string{"tickets_once"}, names: theOrder,
		plant: run(nothingPaid, voidOther),
		heal:  run(somethingPaid, reissue),
	},
	"a ticket that was used, of which nothing is paid, with an alert about another order": {
		red: []string{"tickets_once"}, names: theOrder,
		plant: run(nothingPaid, voidOther, alertOther),
		heal:  run(somethingPaid, reissue, dropAlerts),
	},
	"a ticket that is void although something is paid": {
		red: []string{"tickets_once"}, names: theOrder,
		plant: run(voidOther),
		heal:  run(reissue),
	},
	"a ticket that is void by no refund, although something is paid, which an alert names": {
		red: []string{"tickets_once"}, names: theOrder,
		plant: run(`UPDATE tickets SET status = 'void' WHERE payment_id = $1 AND number = 2`, alertUsed),
		heal:  run(reissue, dropAlerts),
	},
	"a ticket that is void by a refund of another payment that is under way": {
		red: []string{"tickets_once"}, names: theOrder,
		plant: run(`INSERT INTO refunds (id, merchant_id, payment_id, order_id, request_key, amount_minor, currency, reason, saga_id)
SELECT order_id, merchant_id, order_id, order_id, 'planted', 1, 'EUR', 'planted', order_id FROM payments WHERE id = $1`,
			`INSERT INTO refund_reservations (refund_id, merchant_id, payment_id, amount_minor) SELECT order_id, merchant_id, order_id, 1 FROM payments WHERE id = $1`,
			`UPDATE tickets SET status = 'void', voided_by = order_id WHERE payment_id = $1 AND number = 2`),
		heal: run(reissue, `DELETE FROM refunds WHERE id = `+orderOf, `DELETE FROM refund_reservations WHERE refund_id = `+orderOf),
	},
	"money that went back for a refund that failed": {
		red: []string{"charge_matches"}, names: thePayment,
		plant: func(h *house, s sale) {
			h.outside(`UPDATE refunds SET reference = $1`, theRefund("failed")(h, s))
		},
		heal: func(h *house, s sale) {
			h.outside(`UPDATE refunds SET reference = $1`, theRefund("succeeded")(h, s))
		},
	},
	"a refund that the provider does not know": {
		red: []string{"charge_matches", "books_agree"}, names: thePayment,
		plant: func(h *house, _ sale) { h.outside(`UPDATE refunds SET status = 'declined', decline_code = 'planted'`) },
		heal:  func(h *house, _ sale) { h.outside(`UPDATE refunds SET status = 'succeeded', decline_code = NULL`) },
	},
	"a command that a saga counted and never wrote": {
		red: []string{"no_lost_event"}, names: func(h *house, s sale) string {
			var name string
			require.NoError(h.t, h.db.Get(h.t.Context(), &name, `SELECT 'saga_' || replace(id::text, '-', '') FROM sagas WHERE subject_id = `+wentBack, s.payment))
			return name
		},
		plant: run(`UPDATE sagas SET sent = sent + 1 WHERE subject_id = ` + wentBack),
		heal:  run(`UPDATE sagas SET sent = sent - 1 WHERE subject_id = ` + wentBack),
	},
	"a command that its participant never applied": {
		red: []string{"inbox_complete"}, names: func(*house, sale) string { return " at ledger" },
		plant: run(`UPDATE consumer_inbox SET consumer = 'planted' WHERE consumer = 'ledger' AND event_id = (SELECT event_id FROM outbox_events WHERE correlation_id = $1 AND type = 'ledger.settle_refund')`),
		heal:  run(`UPDATE consumer_inbox SET consumer = 'ledger' WHERE consumer = 'planted' AND $1::uuid IS NOT NULL`),
	},
}

func TestEveryPlantedFaultOfARefundTurnsItsChecksRedAndHealedAllAreGreen(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sell(h.merchant)
	h.giveBack(s, 2000)
	h.exec(`UPDATE tickets SET status = 'used' WHERE number = 1 AND payment_id = $1`, s.payment)
	h.giveBack(s, 6400)
	h.everyPlanted(t, refundFaults, s)
}

func TestAUsedTicketOfWhichNothingIsPaidHasItsAlertAlsoWhenThatIsResolved(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sell(h.merchant)
	h.giveBack(s, 2000)
	h.exec(`UPDATE tickets SET status = 'used' WHERE number = 1 AND payment_id = $1`, s.payment)
	run(nothingPaid, voidOther, alertUsed)(h, s)
	h.proven()
	h.exec(`UPDATE alerts SET state = 'resolved', resolved_at = now()`)
	h.proven()
}

func TestAStuckSagaIsHeldByItsAlertAndOnlyByThat(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sell(h.merchant)
	h.giveBack(s, 2000)
	h.exec(`UPDATE sagas SET state = 'stuck', finished_at = NULL`)
	const alert = `INSERT INTO alerts (id, kind, subject, facts) SELECT uuid_v7(), 'saga_stuck', 'saga_' || replace(id::text, '-', ''), '{}' FROM sagas`
	h.exec(alert)
	held, err := h.impatient().CheckAll(t.Context())
	require.NoError(t, err)
	require.True(t, invariant(t, held, "saga_settled").OK)
	h.exec(`UPDATE alerts SET state = 'resolved', resolved_at = now()`)
	open, err := h.impatient().CheckAll(t.Context())
	require.NoError(t, err)
	require.False(t, invariant(t, open, "saga_settled").OK)
}
