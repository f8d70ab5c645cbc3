package audit_test

import (
	"payonce/internal/edge/audit"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

// faultsOf are the faults of one state.
type faultsOf struct {
	in     string
	faults []fault
}

// faults is the list: docs/invariants.md has it as a table.
var faults = []faultsOf{
	{captured, join(ofCharges, ofAlerts, ofStrays, ofTheLedger, ofMails, ofTickets, ofEvents, ofAnswers)},
	{refunded, join(ofRefunds, ofSagas, ofDecisions, ofUsedTickets)},
	{byHand, ofExternalRefunds},
}

func join(lists ...[]fault) (all []fault) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// of and stmts make the lists short to write.
func of(invariants ...string) []string { return invariants }
func stmts(queries ...string) []string { return queries }

// secondCharge lets the provider charge the payment once more, under the key
// "planted".
func secondCharge(w *outside, a scene) {
	w.charges = append(w.charges, provider.Charge{
		ID: "ch_planted", Reference: a.name(), IdempotencyKey: "planted", Amount: money.Of(8400, "EUR"), Status: provider.Succeeded,
	})
}

func secondChargeLess(minor int64) func(*outside, scene) {
	return func(w *outside, a scene) {
		secondCharge(w, a)
		w.refunds = append(w.refunds, provider.Refund{ID: "re_planted", ChargeID: "ch_planted", Reference: "by-hand", Amount: money.Of(minor, "EUR"), Status: provider.Succeeded})
	}
}

// itsCharge changes the payment's own charge.
func itsCharge(change func(*provider.Charge)) func(*outside, scene) {
	return func(w *outside, a scene) {
		for i := range w.charges {
			if w.charges[i].ID == a.charge {
				change(&w.charges[i])
			}
		}
	}
}

// strayCharge is a charge of something else than a captured payment.
func strayCharge(of func(scene) string) func(*outside, scene) {
	return func(w *outside, a scene) {
		secondCharge(w, a)
		w.charges[len(w.charges)-1].Reference = of(a)
	}
}

// unbooked is a refund of 10.00 of the payment's charge that our books do not know.
func unbooked(w *outside, a scene) {
	w.refunds = append(w.refunds, provider.Refund{ID: "re_planted", ChargeID: a.charge, Reference: "by-hand", Amount: money.Of(1000, "EUR"), Status: provider.Succeeded})
}

func theUnpaid(a scene) string { return a.unpaid }
func theUntold(a scene) string { return a.untold }
func noPayment(scene) string   { return "pay_00000000000000000000000000000000" }
func noName(scene) string      { return "something" }
func theBook(scene) string     { return "" }

var ofCharges = []fault{
	{what: "a second charge is alive", red: of("one_charge", "charge_matches", "books_agree"), world: secondCharge},
	{what: "a cent is left of a second charge", red: of("one_charge", "charge_matches", "books_agree"), world: secondChargeLess(8399)},
	{what: "a second charge went back as a whole: no fault", world: secondChargeLess(8400)},
	{
		what: "the charge is of another amount", red: of("charge_matches", "books_agree"),
		world: itsCharge(func(c *provider.Charge) { c.Amount.AmountMinor++ }),
	},
	{
		what: "the charge is in another currency", red: of("charge_matches", "books_agree"),
		world: itsCharge(func(c *provider.Charge) { c.Amount.Currency = "USD" }),
	},
	{
		what: "the provider does not know the charge", red: of("charge_matches", "books_agree"),
		world: itsCharge(func(c *provider.Charge) { c.Status = provider.Cancelled }),
	},
	{
		what: "the payment says that it was captured with another charge", red: of("charge_matches"),
		plant: stmts(`UPDATE payments SET provider_charge_id = 'ch_other' WHERE id = $1`),
	},
	{what: "a charge is of a payment that was not captured", red: of("charge_matches", "books_agree"), names: theUnpaid, world: strayCharge(theUnpaid)},
	{what: "a charge is of a payment that does not exist", red: of("charge_matches", "books_agree"), names: noPayment, onlyAll: true, world: strayCharge(noPayment)},
	{what: "a charge names no payment", red: of("charge_matches", "books_agree"), names: noName, onlyAll: true, world: strayCharge(noName)},
	{what: "the provider gave back what is not booked", red: of("charge_matches", "books_agree"), world: unbooked},
	{what: "the provider's balance is not what its lists say", red: of("books_agree"), names: theBook, onlyAll: true, world: func(w *outside, _ scene) { w.more = 1 }},
}

const (
	alertCharge = `INSERT INTO alerts (id, kind, subject, facts) VALUES (uuid_v7(), 'provider_contradiction', 'pay_' || replace($1::uuid::text, '-', ''),
  '{"object": "planted", "amount_minor": 8400, "currency": "EUR"}')`
	alertRefund = `INSERT INTO alerts (id, kind, subject, facts) SELECT uuid_v7(), 'provider_unknown_refund', 're_planted',
  jsonb_build_object('object', 're_planted', 'amount_minor', 1000, 'currency', 'EUR', 'provider_charge', provider_charge_id) FROM payments WHERE id = $1`
	resolved = `state = 'resolved', resolved_at = clock_timestamp(), resolved_by = 'op', resolved_why = 'seen'`
)

// secondNamed and unbookedNamed are faults that an alert is about, which does or does
// not name the object with its amount.
func secondNamed(what, change string, red ...string) fault {
	return fault{what: "a second charge is alive, and an alert " + what, red: of(append(red, "one_charge")...), world: secondCharge, plant: stmts(alertCharge, change)}
}

func unbookedNamed(what, change string, red ...string) fault {
	return fault{what: "the provider gave back what is not booked, and an alert " + what, red: red, world: unbooked, plant: stmts(alertRefund, change)}
}

var ofAlerts = []fault{
	secondNamed("names its key", `SELECT 1`),
	secondNamed("names its id", `UPDATE alerts SET facts = facts || '{"object": "ch_planted"}'`),
	secondNamed("names another charge", `UPDATE alerts SET facts = facts || '{"object": "ch_other"}'`, "charge_matches", "books_agree"),
	secondNamed("names another amount", `UPDATE alerts SET facts = facts || '{"amount_minor": 8401}'`, "charge_matches", "books_agree"),
	secondNamed("names another currency", `UPDATE alerts SET facts = facts || '{"currency": "USD"}'`, "charge_matches", "books_agree"),
	secondNamed("names the payment only", `UPDATE alerts SET facts = '{}'`, "charge_matches", "books_agree"),
	secondNamed("is about another payment", `UPDATE alerts SET subject = 'pay_other'`, "charge_matches", "books_agree"),
	secondNamed("was resolved by a person", `UPDATE alerts SET `+resolved, "charge_matches", "books_agree"),
	secondNamed("was resolved by a program", `UPDATE alerts SET state = 'resolved'`, "charge_matches", "books_agree"),
	unbookedNamed("names it", `SELECT 1`),
	unbookedNamed("names another refund", `UPDATE alerts SET facts = facts || '{"object": "re_other"}'`, "charge_matches", "books_agree"),
	unbookedNamed("names another amount", `UPDATE alerts SET facts = facts || '{"amount_minor": 1001}'`, "charge_matches", "books_agree"),
	unbookedNamed("is about another charge", `UPDATE alerts SET facts = facts || '{"provider_charge": "ch_other"}'`, "charge_matches", "books_agree"),
	unbookedNamed("was resolved by a person", `UPDATE alerts SET `+resolved, "charge_matches", "books_agree"),
}

func strayNamed(what, change string, red ...string) fault {
	return fault{what: "a charge names no payment, and an alert " + what, red: red, names: noName, onlyAll: true, world: strayCharge(noName), plant: stmts(alertStray, change)}
}

const alertStray = `INSERT INTO alerts (id, kind, subject, facts) VALUES (uuid_v7(), 'provider_unknown_charge', 'ch_planted', '{"object": "ch_planted", "amount_minor": 8400, "currency": "EUR"}')`

var ofStrays = []fault{
	strayNamed("names it", `SELECT 1`),
	strayNamed("names another charge", `UPDATE alerts SET facts = facts || '{"object": "ch_other"}'`, "charge_matches", "books_agree"),
	strayNamed("names another amount", `UPDATE alerts SET facts = facts || '{"amount_minor": 8401}'`, "charge_matches", "books_agree"),
	strayNamed("of another kind names it", `UPDATE alerts SET kind = 'provider_contradiction'`, "charge_matches", "books_agree"),
	strayNamed("was resolved by a person", `UPDATE alerts SET `+resolved, "charge_matches", "books_agree"),
}

const (
	entryOf  = `(SELECT e.id FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id JOIN ledger_accounts a ON a.id = e.account_id WHERE t.payment_id = $1 AND a.code = `
	clearing = entryOf + `'provider_clearing')`
	revenue  = entryOf + `'revenue')`

	copyOf = `
INSERT INTO ledger_transactions (id, merchant_id, business_key, kind, payment_id, event_id)
SELECT uuid_v7(), merchant_id, 'planted', kind, payment_id, event_id FROM ledger_transactions WHERE payment_id = $1 AND `
	legs = `
INSERT INTO ledger_entries (id, merchant_id, transaction_id, account_id, amount_minor, currency)
SELECT uuid_v7(), t.merchant_id, t.id, a.id, leg.minor, 'EUR'
  FROM ledger_transactions t JOIN ledger_accounts a ON a.merchant_id = t.merchant_id
  JOIN (VALUES `
	ofPlanted = `) AS leg (code, minor) ON leg.code = a.code WHERE t.business_key = 'planted'`
)

var ofTheLedger = []fault{
	{
		what: "the capture is not in the ledger", red: of("ledger_once", "books_agree"),
		plant: stmts(`DELETE FROM ledger_entries WHERE transaction_id IN (SELECT id FROM ledger_transactions WHERE payment_id = $1)`, `DELETE FROM ledger_transactions WHERE payment_id = $1`),
	},
	{
		what: "the capture is in the ledger as something else", red: of("ledger_once"),
		plant: stmts(`UPDATE ledger_transactions SET kind = 'planted' WHERE payment_id = $1`),
	},
	{
		what: "the capture is in the ledger twice", red: of("ledger_once", "books_agree"),
		plant: stmts(copyOf+`kind = 'capture'`, legs+`('provider_clearing', 8400), ('revenue', -8400)`+ofPlanted),
	},
	{
		what: "a second capture in the ledger moves nothing", red: of("ledger_once"),
		plant: stmts(copyOf+`kind = 'capture'`, legs+`('revenue', 1), ('revenue', -1)`+ofPlanted),
	},
	{
		what: "a capture in the ledger has no entries", red: of("ledger_once", "ledger_zero"),
		plant: stmts(copyOf + `kind = 'capture'`),
	},
	{
		what: "the ledger has a capture of a payment that does not exist", red: of("ledger_once"), names: anything, onlyOwn: true,
		plant: stmts(copyOf+`kind = 'capture'`, legs+`('revenue', 1), ('revenue', -1)`+ofPlanted, `UPDATE ledger_transactions SET payment_id = merchant_id WHERE business_key = 'planted'`),
	},
	{
		what: "the ledger holds money for no refund", red: of("ledger_once"),
		plant: stmts(copyOf+`kind = 'capture'`, legs+`('revenue', 1), ('revenue', -1)`+ofPlanted, `UPDATE ledger_transactions SET kind = 'refund_hold' WHERE business_key = 'planted'`),
	},
	{what: "the entry of what was earned is missing", red: of("ledger_zero"), plant: stmts(`DELETE FROM ledger_entries WHERE id = ` + revenue)},
	{what: "the entry of what the provider owes is missing", red: of("ledger_zero", "books_agree"), plant: stmts(`DELETE FROM ledger_entries WHERE id = ` + clearing)},
	{what: "an entry is a cent too much", red: of("ledger_zero"), plant: stmts(`UPDATE ledger_entries SET amount_minor = amount_minor - 1 WHERE id = ` + revenue)},
	{what: "an entry is in another currency", red: of("ledger_zero"), plant: stmts(`UPDATE ledger_entries SET currency = 'USD' WHERE id = ` + revenue)},
	{
		what: "the capture is in the ledger with another amount", red: of("books_agree"),
		plant: stmts(`UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE id = `+clearing, `UPDATE ledger_entries SET amount_minor = amount_minor - 1 WHERE id = `+revenue),
	},
}

// itsMail changes the mails with a Message-ID; change returns what is there instead.
func itsMail(id func(scene) string, change func(audit.Mail) []audit.Mail) func(*outside, scene) {
	return func(w *outside, a scene) {
		var mails []audit.Mail
		for _, m := range w.mails {
			if m.MessageID == id(a) {
				mails = append(mails, change(m)...)
			} else {
				mails = append(mails, m)
			}
		}
		w.mails = mails
	}
}
