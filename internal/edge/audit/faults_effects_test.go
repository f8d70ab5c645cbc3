package audit_test

import "payonce/internal/edge/audit"

func theReceipt(a scene) string       { return receipt(a.sale) }
func lost(audit.Mail) []audit.Mail    { return nil }
func twice(m audit.Mail) []audit.Mail { return []audit.Mail{m, m} }
func again(m audit.Mail) []audit.Mail {
	other := m
	other.MessageID = "<planted@payonce>"
	return []audit.Mail{m, other}
}

func astray(m audit.Mail) []audit.Mail {
	m.To = "other@example.org"
	return []audit.Mail{m}
}

func uncalledFor(w *outside, a scene) {
	w.mails = append(w.mails, audit.Mail{MessageID: "<planted@payonce>", To: buyer, Text: "Payment " + a.unpaid, ReceivedAt: w.mails[0].ReceivedAt})
}

const alertMail = `INSERT INTO alerts (id, kind, subject, facts) VALUES (uuid_v7(), 'mail_failed', '<receipt.pay_' || replace($1::uuid::text, '-', '') || '@payonce>', '{}')`

func lostNamed(what, change string, red ...string) fault {
	return fault{what: "the receipt did not arrive, and an alert " + what, red: red, world: itsMail(theReceipt, lost), plant: stmts(alertMail, change)}
}

var ofMails = []fault{
	{what: "the receipt did not arrive", red: of("one_mail"), world: itsMail(theReceipt, lost)},
	{what: "the receipt is in the mailbox twice", red: of("one_mail"), world: itsMail(theReceipt, twice)},
	{what: "the receipt came again under another Message-ID", red: of("one_mail"), world: itsMail(theReceipt, again)},
	{what: "the receipt went to another address", red: of("one_mail"), world: itsMail(theReceipt, astray)},
	{what: "a receipt was sent that nothing queued", red: of("one_mail"), plant: stmts(`DELETE FROM emails WHERE payment_id = $1`)},
	{what: "a mail came about a payment that owes none", red: of("one_mail"), names: theUnpaid, world: uncalledFor},
	lostNamed("names it", `SELECT 1`),
	lostNamed("names another mail", `UPDATE alerts SET subject = '<receipt.pay_other@payonce>'`, "one_mail"),
	lostNamed("of another kind names it", `UPDATE alerts SET kind = 'mail_server_away'`, "one_mail"),
	lostNamed("was resolved by a person", `UPDATE alerts SET `+resolved, "one_mail"),
}

const orderOf = `(SELECT order_id FROM payments WHERE id = $1)`

var ofTickets = []fault{
	{what: "a ticket is missing", red: of("tickets_once"), names: theOrder, plant: stmts(`DELETE FROM tickets WHERE number = 2 AND payment_id = $1`)},
	{
		what: "there is a ticket too many", red: of("tickets_once"), names: theOrder,
		plant: stmts(`INSERT INTO tickets (id, merchant_id, order_id, payment_id, line, number, code) SELECT uuid_v7(), merchant_id, order_id, id, 1, 3, 'planted' FROM payments WHERE id = $1`),
	},
	{
		what: "a ticket too few of one seat, one too many of another", red: of("tickets_once"), names: theOrder,
		plant: stmts(`UPDATE tickets SET line = 2 WHERE number = 2 AND order_id = ` + orderOf),
	},
	{
		what: "an order that nothing was paid for has a ticket", red: of("tickets_once", "no_lost_event"), names: theUntold,
		plant: stmts(`INSERT INTO tickets (id, merchant_id, order_id, payment_id, line, number, code) SELECT uuid_v7(), p.merchant_id, p.order_id, p.id, 1, 1, 'planted'
  FROM payments p JOIN payments s ON s.merchant_id = p.merchant_id WHERE s.id = $1 AND p.status = 'requires_capture'`),
	},
	{what: "a ticket is void by nothing", red: of("tickets_once"), names: theOrder, plant: stmts(`UPDATE tickets SET status = 'void' WHERE number = 2 AND payment_id = $1`)},
}

const (
	eventOf  = `(SELECT event_id FROM outbox_events WHERE aggregate_id = $1 AND type = 'payment.captured' AND destination IS NULL)`
	letterOf = `INSERT INTO dead_letters (id, consumer, event_id, type, class, reason, attempts, headers, payload, first_failed_at, last_failed_at)
SELECT uuid_v7(), 'tickets', ` + eventOf + `::text, 'payment.captured', 'permanent', 'planted', 1, '{}', '', now(), now()`
	decided = `INSERT INTO dead_letter_decisions (id, letter_id, action, who, why, replay_no) SELECT uuid_v7(), id, 'discard', 'op', 'planted', 0 FROM dead_letters`
	unapply = `DELETE FROM consumer_inbox WHERE consumer = 'tickets' AND event_id = ` + eventOf
	replay  = `INSERT INTO outbox_events (row_id, event_id, destination, merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, past_window, published_at)
SELECT uuid_v7(), event_id, 'tickets', merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, true, clock_timestamp()
  FROM outbox_events WHERE event_id = ` + eventOf
	ofReplay = ` WHERE destination IS NOT NULL`
)

// unapplied is an event that one consumer has no inbox row of, with something that
// may say why.
func unapplied(what string, red []string, plant ...string) fault {
	return fault{
		what: "an event was published and " + what, red: red, names: theEvent("payment.captured", " at tickets"), plant: append(stmts(unapply), plant...),
	}
}

var ofEvents = []fault{
	{
		what: "an event was not published", red: of("outbox_drained"), names: theEvent("payment.captured", ""),
		plant: stmts(`UPDATE outbox_events SET published_at = NULL WHERE event_id = ` + eventOf),
	},
	unapplied("one consumer did not apply it", of("inbox_complete")),
	unapplied("is an open dead letter of its consumer", nil, letterOf),
	unapplied("is a dead letter of another consumer", of("inbox_complete"), letterOf, `UPDATE dead_letters SET consumer = 'ledger'`),
	unapplied("another event is an open dead letter", of("inbox_complete"), letterOf, `UPDATE dead_letters SET event_id = 'planted'`),
	unapplied("is a dead letter that was discarded without a decision", of("inbox_complete"), letterOf, `UPDATE dead_letters SET state = 'discarded'`),
	unapplied("is a dead letter that a person gave up", nil, letterOf, `UPDATE dead_letters SET state = 'discarded'`, decided),
	unapplied("a person had it applied by its business key", nil, replay),
	{
		what: "an event was published and a person had it applied by its business key, which has not left yet", red: of("inbox_complete", "outbox_drained"), names: anything,
		plant: stmts(unapply, replay, `UPDATE outbox_events SET published_at = NULL`+ofReplay),
	},
	unapplied("another consumer had it again by its business key", of("inbox_complete"), replay, `UPDATE outbox_events SET destination = 'email'`+ofReplay),
	{
		what: "an event was published and an ordinary replay of it was not applied", red: of("inbox_complete"), names: theEvent("payment.captured", " at tickets"),
		plant: stmts(unapply, replay, `UPDATE outbox_events SET past_window = false`+ofReplay),
	},
	{what: "the event of a capture is lost", red: of("no_lost_event"), plant: stmts(`DELETE FROM outbox_events WHERE event_id = ` + eventOf)},
	{what: "the event of a capture was written for something else", red: of("no_lost_event"), plant: stmts(`UPDATE outbox_events SET aggregate_id = merchant_id WHERE event_id = ` + eventOf)},
	{
		what: "a state change wrote no event and counted none", red: of("no_lost_event"),
		plant: stmts(`INSERT INTO payment_attempts (payment_id, attempt_no, merchant_id, provider_key, amount_minor, currency, opened_by, holder, status)
SELECT payment_id, 0, merchant_id, 'planted', amount_minor, currency, opened_by, holder, 'succeeded' FROM payment_attempts WHERE payment_id = $1`),
	},
	{
		what: "the event of an order's tickets is lost", red: of("no_lost_event"), names: theOrder,
		plant: stmts(`DELETE FROM outbox_events WHERE type = 'tickets.issued' AND correlation_id = $1`),
	},
	{
		what: "the numbers of an order's events have a gap", red: of("no_lost_event"), names: theOrder,
		plant: stmts(`UPDATE outbox_events SET aggregate_version = 3 WHERE type = 'tickets.issued' AND correlation_id = $1`),
	},
	{
		what: "two events of an order have one number", red: of("no_lost_event"), names: theOrder,
		plant: stmts(`UPDATE outbox_events SET aggregate_version = 1 WHERE type = 'tickets.issued' AND correlation_id = $1`),
	},
}

// answer changes the stored answers of the payment's two keys.
func answer(from, to string) []string {
	return stmts(`UPDATE idempotency_keys SET response_body = convert_to(replace(convert_from(response_body, 'UTF8'), ` + from + `, ` + to + `), 'UTF8')` + keysOf)
}

const keysOf = ` WHERE resource_ref = 'pay_' || replace($1::uuid::text, '-', '')`

var ofAnswers = []fault{
	{what: "a stored 200 names a state that never was", red: of("stored_outcome"), plant: answer(`'"captured"'`, `'"in_doubt"'`)},
	{what: "a stored 200 names another charge", red: of("stored_outcome"), plant: answer(`(SELECT provider_charge_id FROM payments WHERE id = $1)`, `'ch_other'`)},
	{what: "a stored 402 is of a payment that was never declined", red: of("stored_outcome"), plant: stmts(`UPDATE idempotency_keys SET response_status = 402` + keysOf)},
	{what: "a stored answer is no text at all", red: of("stored_outcome"), plant: stmts(`UPDATE idempotency_keys SET response_body = '\xff00'` + keysOf)},
	{
		what: "a stored answer is of no payment", red: of("stored_outcome"), names: anything,
		plant: stmts(`UPDATE idempotency_keys SET resource_ref = NULL` + keysOf),
	},
	{
		what: "a stored answer is of another merchant's payment", red: of("stored_outcome"), names: anything,
		plant: stmts(`UPDATE idempotency_keys SET resource_ref = 'pay_' || (SELECT replace(id::text, '-', '') FROM payments WHERE status = 'captured' AND merchant_id <> idempotency_keys.merchant_id ORDER BY id LIMIT 1)` + keysOf),
	},
}
