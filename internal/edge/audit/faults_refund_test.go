package audit_test

import (
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

// The sale has a refund of 20.00 that went through and one of 64.00 that failed,
// because its first ticket was used; the second one is good.
const (
	wentBack = `(SELECT id FROM refunds WHERE payment_id = $1 AND status = 'succeeded')`
	stayed   = `(SELECT id FROM refunds WHERE payment_id = $1 AND status = 'failed')`
	named    = `'ref_' || replace(` + wentBack + `::text, '-', '')`

	noSettle   = `UPDATE ledger_transactions SET business_key = 'planted' WHERE payment_id = $1 AND business_key = 'refund_settle:' || ` + named
	aCentMore  = `UPDATE ledger_entries SET amount_minor = amount_minor + sign(amount_minor) WHERE transaction_id = (SELECT id FROM ledger_transactions WHERE business_key = `
	byPerson   = `UPDATE sagas SET resolved_by = 'op', resolved_why = 'seen' WHERE subject_id = `
	stuck      = `UPDATE sagas SET state = 'stuck', finished_at = NULL WHERE subject_id = ` + wentBack
	alertStuck = `INSERT INTO alerts (id, kind, subject, facts) SELECT uuid_v7(), 'saga_stuck', 'saga_' || replace(saga_id::text, '-', ''), '{}' FROM refunds WHERE id = `
	alertBack  = `INSERT INTO alerts (id, kind, subject, facts) SELECT uuid_v7(), 'provider_contradiction', 'ref_' || replace(id::text, '-', ''),
  jsonb_build_object('object', 'ref_' || replace(id::text, '-', ''), 'amount_minor', 6400, 'currency', 'EUR') FROM refunds WHERE id = ` + stayed
	nothingPaid = `UPDATE payments SET status = 'refunded' WHERE id = $1`
	voidOther   = `UPDATE tickets SET status = 'void', voided_by = ` + wentBack + ` WHERE payment_id = $1 AND number = 2`
	alertUsed   = `INSERT INTO alerts (id, kind, subject, facts) SELECT uuid_v7(), 'ticket_used', 'ord_' || replace(order_id::text, '-', ''), '{}' FROM payments WHERE id = $1`
	otherRefund = `INSERT INTO refunds (id, merchant_id, payment_id, order_id, request_key, amount_minor, currency, reason, saga_id)
SELECT order_id, merchant_id, order_id, order_id, 'planted', 1, 'EUR', 'planted', order_id FROM payments WHERE id = $1`
	otherReserved = `INSERT INTO refund_reservations (refund_id, merchant_id, payment_id, amount_minor) SELECT order_id, merchant_id, order_id, 1 FROM payments WHERE id = $1`
)

// itsRefunds changes what the provider gave back of the payment's charge.
func itsRefunds(change func(r *provider.Refund, a scene)) func(*outside, scene) {
	return func(w *outside, a scene) {
		for i := range w.refunds {
			if w.refunds[i].ChargeID == a.charge {
				change(&w.refunds[i], a)
			}
		}
	}
}

var (
	notMade    = itsRefunds(func(r *provider.Refund, _ scene) { r.Status = provider.Declined })
	ofTheOther = itsRefunds(func(r *provider.Refund, a scene) { r.Reference = a.stayed })
	lessByOne  = itsRefunds(func(r *provider.Refund, _ scene) { r.Amount.AmountMinor-- })
)

func madeTwice(w *outside, a scene) {
	for _, r := range w.refunds {
		if r.ChargeID == a.charge {
			r.ID += "_again"
			w.refunds = append(w.refunds, r)
			return
		}
	}
}

// madeAfterAll is the refund that failed, of which the money went back all the same.
func madeAfterAll(what string, red []string, plant ...string) fault {
	return fault{what: "the money of a refund that failed went back" + what, red: red, plant: plant, world: func(w *outside, a scene) {
		w.refunds = append(w.refunds, provider.Refund{ID: "re_planted", ChargeID: a.charge, Reference: a.stayed, Amount: money.Of(6400, "EUR"), Status: provider.Succeeded})
	}}
}

var ofRefunds = []fault{
	{what: "the provider does not know a refund that succeeded", red: of("charge_matches", "books_agree"), world: notMade},
	{what: "the provider made a refund of ours twice", red: of("charge_matches", "books_agree"), world: madeTwice},
	{what: "the provider made a refund of ours with another amount", red: of("charge_matches", "books_agree"), world: lessByOne},
	{
		what: "the provider made a refund of ours in another currency", red: of("charge_matches", "books_agree"),
		world: itsRefunds(func(r *provider.Refund, _ scene) { r.Amount.Currency = "USD" }),
	},
	{what: "the provider has the name of a refund that failed for one that succeeded", red: of("charge_matches"), world: ofTheOther},
	madeAfterAll("", of("charge_matches", "books_agree")),
	madeAfterAll(", and an alert about the refund names it", nil, alertBack),
	madeAfterAll(", and an alert about the refund names another amount", of("charge_matches", "books_agree"), alertBack, `UPDATE alerts SET facts = facts || '{"amount_minor": 6401}'`),
	madeAfterAll(", and an alert names it that is about another refund", of("charge_matches", "books_agree"), alertBack, `UPDATE alerts SET subject = 'ref_other'`),
	{
		what: "more was asked for than was captured", red: of("refund_bound", "charge_matches"),
		plant: stmts(`UPDATE refunds SET amount_minor = 8401 WHERE id = ` + wentBack),
	},
	{
		what: "the ledger holds more to go back than was captured", red: of("refund_bound", "ledger_once"),
		plant: stmts(copyOf+`kind = 'refund_hold' ORDER BY id LIMIT 1`, legs+`('revenue', 8400), ('refunds_held', -8400)`+ofPlanted),
	},
	{
		what: "another amount is reserved than the payment says", red: of("refund_bound"),
		plant: stmts(`UPDATE refund_reservations SET amount_minor = amount_minor + 1 WHERE refund_id = ` + wentBack),
	},
	{
		what: "the payment says that more went back than did", red: of("refund_bound"),
		plant: stmts(`UPDATE payments SET refunded_minor = refunded_minor + 1 WHERE id = $1`),
	},
	{
		what: "a refund is settled in the ledger with another amount", red: of("ledger_once", "books_agree"),
		plant: stmts(aCentMore + `'refund_settle:' || ` + named + `)`),
	},
	{
		what: "a refund is held in the ledger with another amount", red: of("ledger_once"),
		plant: stmts(aCentMore + `'refund_hold:' || ` + named + `)`),
	},
	{
		what: "a refund that failed is released in the ledger with another amount", red: of("ledger_once"),
		plant: stmts(aCentMore + `'refund_release:ref_' || replace(` + stayed + `::text, '-', ''))`),
	},
	{
		what: "what was earned is in the ledger as held", red: of("ledger_once"),
		plant: stmts(`UPDATE ledger_entries e SET account_id = a.id FROM ledger_accounts a WHERE a.code = 'refunds_held' AND a.merchant_id = e.merchant_id
   AND e.amount_minor < 0 AND e.transaction_id = (SELECT id FROM ledger_transactions WHERE payment_id = $1 AND kind = 'capture')`),
	},
	{
		what: "a refund is settled in the ledger twice", red: of("ledger_once", "books_agree"),
		plant: stmts(copyOf+`kind = 'refund_settle'`, legs+`('refunds_held', 2000), ('provider_clearing', -2000)`+ofPlanted),
	},
	{what: "a refund is not settled in the ledger", red: of("ledger_once", "saga_settled"), names: theBack, plant: stmts(noSettle)},
	{what: "the mail about a refund did not arrive", red: of("one_mail"), world: itsMail(refundMail, lost)},
	{what: "the mail about a refund is in the mailbox twice", red: of("one_mail"), world: itsMail(refundMail, twice)},
	{
		what: "the event of a refund's end is lost", red: of("no_lost_event"), names: theBack,
		plant: stmts(`DELETE FROM outbox_events WHERE aggregate_id = ` + wentBack + ` AND aggregate_version = 2`),
	},
}

// theSaga makes a fault of the refund that went through.
func theSaga(what string, red []string, plant ...string) fault {
	return fault{what: what, red: red, names: theBack, plant: plant}
}

var ofSagas = []fault{
	theSaga("a saga does not end", of("saga_settled"), `UPDATE sagas SET state = 'running', finished_at = NULL WHERE subject_id = `+wentBack),
	theSaga("a saga waits, and no earlier refund is open", of("saga_settled"), `UPDATE sagas SET state = 'waiting', finished_at = NULL WHERE subject_id = `+wentBack),
	theSaga("a refund has no saga", of("saga_settled"), `DELETE FROM sagas WHERE subject_id = `+wentBack),
	theSaga("a saga ended otherwise than its refund", of("saga_settled"), `UPDATE sagas SET state = 'compensated' WHERE subject_id = `+wentBack),
	theSaga("a saga is stuck", of("saga_settled"), stuck),
	theSaga("a saga is stuck, and an alert names it", nil, stuck, alertStuck+wentBack),
	theSaga("a saga is stuck, and an alert names the other refund's", of("saga_settled"), stuck, alertStuck+stayed),
	theSaga("a saga is stuck, and an alert of another kind names it", of("saga_settled"), stuck, alertStuck+wentBack, `UPDATE alerts SET kind = 'refund_contradiction'`),
	theSaga("a saga is stuck, and its alert was closed", of("saga_settled"), stuck, alertStuck+wentBack, `UPDATE alerts SET state = 'resolved'`),
	theSaga("a saga is stuck, and its alert was resolved by a person", of("saga_settled"), stuck, alertStuck+wentBack, `UPDATE alerts SET `+resolved),
	{
		what: "the provider does not know a refund, and an alert names its saga, which is stuck", world: notMade,
		plant: stmts(stuck, alertStuck+wentBack),
	},
	{
		what: "the provider does not know a refund, and an alert names another refund's saga", red: of("charge_matches", "books_agree"), world: notMade,
		plant: stmts(alertStuck + stayed),
	},
	{
		what: "a reservation is left over of a saga that ended", red: of("saga_settled", "refund_bound"), names: anything,
		plant: stmts(`UPDATE refund_reservations SET state = 'reserved', settled_at = NULL WHERE refund_id = ` + stayed),
	},
	{
		what: "a ticket is void by a refund that failed", red: of("saga_settled", "tickets_once"), names: anything,
		plant: stmts(`UPDATE tickets SET status = 'void', voided_by = ` + stayed + ` WHERE payment_id = $1 AND number = 2`),
	},
	{
		what: "a saga counted a command and wrote none", red: of("no_lost_event"), names: func(a scene) string { return a.saga },
		plant: stmts(`UPDATE sagas SET sent = sent + 1 WHERE subject_id = ` + wentBack),
	},
	{
		what: "a participant did not apply a command", red: of("inbox_complete"), names: theEvent("ledger.settle_refund", " at ledger"),
		plant: stmts(`DELETE FROM consumer_inbox WHERE consumer = 'ledger' AND event_id = (SELECT event_id FROM outbox_events WHERE correlation_id = $1 AND type = 'ledger.settle_refund')`),
	},
}

var ofDecisions = []fault{
	{
		what: "a person decided that a refund failed, and the money went back", red: of("charge_matches"), world: ofTheOther,
		plant: stmts(byPerson + stayed),
	},
	{
		what: "a person decided that a refund succeeded, and the provider does not know it", red: of("charge_matches", "books_agree"), world: notMade,
		plant: stmts(byPerson + wentBack),
	},
	{
		what: "a person decided a saga, and its hold is left over", red: of("ledger_once", "saga_settled"), names: theBack,
		plant: stmts(byPerson+wentBack, noSettle),
	},
	theSaga("a person decided a saga, and it did not end", of("saga_settled"), stuck, byPerson+wentBack),
	{
		what: "a person decided a saga, and its reservation is left over", red: of("saga_settled", "refund_bound"), names: anything,
		plant: stmts(byPerson+stayed, `UPDATE refund_reservations SET state = 'reserved', settled_at = NULL WHERE refund_id = `+stayed),
	},
	{
		what: "a person decided that everything went back, and a ticket is good", red: of("tickets_once"), names: theOrder,
		plant: stmts(byPerson+wentBack, nothingPaid, alertUsed),
	},
	{
		what: "a person decided that nothing went back, and a ticket is void", red: of("saga_settled", "tickets_once"), names: anything,
		plant: stmts(byPerson+stayed, `UPDATE tickets SET status = 'void', voided_by = `+stayed+` WHERE payment_id = $1 AND number = 2`),
	},
}

// used makes a fault of tickets of which nothing is paid any more.
func used(what string, red []string, plant ...string) fault {
	return fault{what: what, red: red, names: theOrder, plant: append(stmts(nothingPaid), plant...)}
}

var ofUsedTickets = []fault{
	used("everything went back, and a ticket is good", of("tickets_once"), alertUsed),
	used("everything went back, and a ticket was used", of("tickets_once"), voidOther),
	used("everything went back, a ticket was used, and an alert names the order", nil, voidOther, alertUsed),
	used("everything went back, a ticket was used, and the order's alert was resolved: it cannot be taken back", nil, voidOther, alertUsed, `UPDATE alerts SET `+resolved),
	used("everything went back, a ticket was used, and an alert names another order", of("tickets_once"), voidOther, alertUsed, `UPDATE alerts SET subject = 'ord_other'`),
	used("everything went back, a ticket was used, and an alert of another kind names the order", of("tickets_once"), voidOther, alertUsed, `UPDATE alerts SET kind = 'refund_contradiction'`),
	{what: "a ticket is void by a refund that is over, and something is paid", red: of("tickets_once"), names: theOrder, plant: stmts(voidOther)},
	{
		what: "a ticket is void by no refund, something is paid, and an alert names the order", red: of("tickets_once"), names: theOrder,
		plant: stmts(`UPDATE tickets SET status = 'void' WHERE payment_id = $1 AND number = 2`, alertUsed),
	},
	{
		what: "a ticket is void by another payment's refund, which is under way", red: of("tickets_once"), names: theOrder,
		plant: stmts(otherRefund, otherReserved, `UPDATE tickets SET status = 'void', voided_by = order_id WHERE payment_id = $1 AND number = 2`),
	},
}

// The sale has a refund of 20.00 that was made at the provider and is booked.
const (
	externalRefund = `(SELECT id FROM refunds WHERE payment_id = $1 AND provider_refund_id IS NOT NULL)`
	externalKey    = `'refund_external:ref_' || replace(` + externalRefund + `::text, '-', '')`
)

var ofExternalRefunds = []fault{
	{
		what: "what was booked is another refund than the provider made", red: of("charge_matches"),
		plant: stmts(`UPDATE refunds SET provider_refund_id = provider_refund_id || 'x' WHERE id = ` + externalRefund),
	},
	{what: "what was booked is another amount than the provider gave back", red: of("charge_matches", "books_agree"), world: lessByOne},
	{what: "the provider does not know what was booked", red: of("charge_matches", "books_agree"), world: notMade},
	{
		what: "it is in the ledger under another name", red: of("ledger_once"), names: anything,
		plant: stmts(`UPDATE ledger_transactions SET business_key = 'planted' WHERE payment_id = $1 AND business_key = ` + externalKey),
	},
	{
		what: "it is not in the ledger", red: of("ledger_once", "books_agree"), names: anything,
		plant: stmts(`DELETE FROM ledger_entries WHERE transaction_id = (SELECT id FROM ledger_transactions WHERE business_key = `+externalKey+`)`,
			`DELETE FROM ledger_transactions WHERE business_key = `+externalKey),
	},
	{
		what: "the ledger has one more that was never made", red: of("ledger_once", "ledger_zero"),
		plant: stmts(copyOf + `kind = 'refund_external'`),
	},
	{
		what: "its event is lost", red: of("no_lost_event"), names: theExternal,
		plant: stmts(`DELETE FROM outbox_events WHERE correlation_id = $1 AND type = 'refund.recorded'`),
	},
}
