package audit_test

import (
	"encoding/hex"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/audit"
	"payonce/internal/shop/event"
)

// planted is one way to break an invariant, and the way back.
type planted struct {
	// red are the checks that must see it; every other one must not.
	red []string
	// names is the id that must be named.
	names func(h *house, s sale) string
	plant func(h *house, s sale)
	heal  func(h *house, s sale)
	// onlyAll says that nobody but the operator can see it: it is no merchant's.
	onlyAll bool
}

func receipt(s sale) string              { return "<receipt." + s.name() + "@payonce>" }
func thePayment(_ *house, s sale) string { return s.name() }
func theOrder(_ *house, s sale) string   { return event.OrderName(s.order) }
func theEvent(kind, suffix string) func(*house, sale) string {
	return func(h *house, s sale) string {
		id := h.event(s, kind)
		return "evt_" + hex.EncodeToString(id[:]) + suffix
	}
}

// run makes a plant or a heal of statements about the payment ($1).
func run(queries ...string) func(h *house, s sale) {
	return func(h *house, s sale) {
		for _, q := range queries {
			h.exec(q, s.payment)
		}
	}
}

const (
	entryOf  = `(SELECT e.id FROM ledger_entries e JOIN ledger_transactions t ON t.id = e.transaction_id JOIN ledger_accounts a ON a.id = e.account_id WHERE t.payment_id = $1 AND a.code = `
	clearing = entryOf + `'provider_clearing')`
	revenue  = entryOf + `'revenue')`

	// alertPayment names the charge that house.charge makes.
	alertPayment = `INSERT INTO alerts (id, kind, subject, facts) VALUES (uuid_v7(), 'provider_contradiction', 'pay_' || replace($1::uuid::text, '-', ''),
  '{"object": "planted", "amount_minor": 8400, "currency": "EUR"}')`
	dropAlerts = `DELETE FROM alerts WHERE $1::uuid IS NOT NULL`

	orderOf    = `(SELECT order_id FROM payments WHERE id = $1)`
	keysOf     = ` WHERE resource_ref = 'pay_' || replace($1::uuid::text, '-', '')`
	eventOf    = `(SELECT event_id FROM outbox_events WHERE aggregate_id = $1 AND type = 'payment.captured')`
	moreTicket = `INSERT INTO tickets (id, merchant_id, order_id, payment_id, line, number, code)
SELECT uuid_v7(), merchant_id, order_id, id, 1, 3, 'planted' FROM payments WHERE id = $1`
)

var faults = map[string]planted{
	"a second live charge at the provider, which an alert names": {
		red: []string{"one_charge"}, names: thePayment,
		plant: func(h *house, s sale) { h.charge(s.name()); h.exec(alertPayment, s.payment) },
		heal: func(h *house, s sale) {
			h.outside(`DELETE FROM charge_keys WHERE key = 'planted'`)
			h.outside(`DELETE FROM charges WHERE idempotency_key = 'planted'`)
			h.exec(dropAlerts, s.payment)
		},
	},
	"a second live charge that nobody speaks of": {
		red: []string{"one_charge", "charge_matches", "books_agree"}, names: thePayment,
		plant: func(h *house, s sale) { h.charge(s.name()) },
		heal: func(h *house, _ sale) {
			h.outside(`DELETE FROM charge_keys WHERE key = 'planted'`)
			h.outside(`DELETE FROM charges WHERE idempotency_key = 'planted'`)
		},
	},
	"a payment that says it was captured with another charge": {
		red: []string{"charge_matches"}, names: thePayment,
		plant: run(`UPDATE payments SET provider_charge_id = 'ch_other' WHERE id = $1`),
		heal: run(`UPDATE payments p SET provider_charge_id = t.provider_charge_id FROM payment_attempts t
WHERE t.payment_id = p.id AND t.status = 'succeeded' AND p.id = $1`),
	},
	"a charge that the provider does not know": {
		red: []string{"charge_matches", "books_agree"}, names: thePayment,
		plant: func(h *house, s sale) {
			h.outside(`UPDATE charges SET status = 'cancelled' WHERE reference = $1`, s.name())
		},
		heal: func(h *house, s sale) {
			h.outside(`UPDATE charges SET status = 'succeeded' WHERE reference = $1`, s.name())
		},
	},
	"a charge for no payment of ours": {
		red: []string{"charge_matches", "books_agree"}, onlyAll: true,
		names: func(*house, sale) string { return " for pay_00000000000000000000000000000000" },
		plant: func(h *house, _ sale) { h.charge("pay_00000000000000000000000000000000") },
		heal: func(h *house, _ sale) {
			h.outside(`DELETE FROM charge_keys WHERE key = 'planted'`)
			h.outside(`DELETE FROM charges WHERE idempotency_key = 'planted'`)
		},
	},
	"a stored 200 that names a state which never was": {
		red: []string{"stored_outcome"}, names: thePayment,
		plant: run(`UPDATE idempotency_keys SET response_body = convert_to(replace(convert_from(response_body, 'UTF8'), '"captured"', '"in_doubt"'), 'UTF8')` + keysOf),
		heal:  run(`UPDATE idempotency_keys SET response_body = convert_to(replace(convert_from(response_body, 'UTF8'), '"in_doubt"', '"captured"'), 'UTF8')` + keysOf),
	},
	"a stored 402 of a payment that was never declined": {
		red: []string{"stored_outcome"}, names: thePayment,
		plant: run(`UPDATE idempotency_keys SET response_status = 402` + keysOf),
		heal:  run(`UPDATE idempotency_keys SET response_status = 200` + keysOf),
	},
	"a stored answer that is no text at all": {
		red: []string{"stored_outcome"}, names: thePayment,
		plant: run(`UPDATE idempotency_keys SET field_macs = jsonb_build_object('body', encode(response_body, 'hex')), response_body = '\xff00'` + keysOf),
		heal:  run(`UPDATE idempotency_keys SET response_body = decode(field_macs ->> 'body', 'hex')` + keysOf),
	},
	"a cent too much in one entry": {
		red: []string{"ledger_zero"}, names: thePayment,
		plant: run(`UPDATE ledger_entries SET amount_minor = amount_minor - 1 WHERE id = ` + revenue),
		heal:  run(`UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE id = ` + revenue),
	},
	"a second capture in the ledger": {
		red: []string{"ledger_once"}, names: thePayment,
		plant: run(`WITH t AS (
  INSERT INTO ledger_transactions (id, merchant_id, business_key, kind, payment_id, event_id)
  SELECT uuid_v7(), merchant_id, 'planted', kind, payment_id, event_id FROM ledger_transactions WHERE payment_id = $1
  RETURNING id, merchant_id)
INSERT INTO ledger_entries (id, merchant_id, transaction_id, account_id, amount_minor, currency)
SELECT uuid_v7(), t.merchant_id, t.id, a.id, leg, 'EUR' FROM t JOIN ledger_accounts a ON a.merchant_id = t.merchant_id AND a.code = 'revenue', unnest(ARRAY[1, -1]) AS leg`),
		heal: run(`DELETE FROM ledger_entries e USING ledger_transactions t WHERE t.id = e.transaction_id AND t.business_key = 'planted' AND t.payment_id = $1`,
			`DELETE FROM ledger_transactions WHERE business_key = 'planted' AND payment_id = $1`),
	},
	"a capture that the ledger never heard of": {
		red: []string{"ledger_once"}, names: thePayment,
		plant: run(`UPDATE ledger_transactions SET kind = 'planted' WHERE payment_id = $1`),
		heal:  run(`UPDATE ledger_transactions SET kind = 'capture' WHERE payment_id = $1`),
	},
	"a receipt that came twice, under two Message-IDs": {
		red: []string{"one_mail"}, names: thePayment,
		plant: func(h *house, s sale) { h.mail("Payment " + s.name()) },
		heal:  func(h *house, _ sale) { h.outside(`DELETE FROM mail_messages WHERE message_id = '<planted@payonce>'`) },
	},
	"a receipt that never arrived": {
		red: []string{"one_mail"}, names: thePayment,
		plant: func(h *house, s sale) {
			h.outside(`UPDATE mail_messages SET message_id = 'lost', body_text = replace(body_text, 'pay_', 'lost_') WHERE message_id = $1`, receipt(s))
		},
		heal: func(h *house, s sale) {
			h.outside(`UPDATE mail_messages SET message_id = $1, body_text = replace(body_text, 'lost_', 'pay_') WHERE message_id = 'lost'`, receipt(s))
		},
	},
	"a receipt that went to somebody else": {
		red: []string{"one_mail"}, names: thePayment,
		plant: func(h *house, s sale) {
			h.outside(`UPDATE mail_messages SET recipient = 'nobody@example.org' WHERE message_id = $1`, receipt(s))
		},
		heal: func(h *house, s sale) {
			h.outside(`UPDATE mail_messages SET recipient = $2 WHERE message_id = $1`, receipt(s), buyer)
		},
	},
	"one ticket too few": {
		red: []string{"tickets_once"}, names: theOrder,
		plant: run(`UPDATE tickets SET order_id = merchant_id WHERE number = 2 AND order_id = ` + orderOf),
		heal:  run(`UPDATE tickets SET order_id = ` + orderOf + ` WHERE number = 2 AND payment_id = $1`),
	},
	"one ticket too many": {
		red: []string{"tickets_once"}, names: theOrder,
		plant: run(moreTicket),
		heal:  run(`DELETE FROM tickets WHERE code = 'planted' AND payment_id = $1`),
	},
	"an event that waits in the outbox": {
		red: []string{"outbox_drained"}, names: theEvent("payment.captured", ""),
		plant: run(`UPDATE outbox_events SET published_at = NULL WHERE event_id = ` + eventOf),
		heal:  run(`UPDATE outbox_events SET published_at = created_at WHERE event_id = ` + eventOf),
	},
	"an event that one consumer never applied": {
		red: []string{"inbox_complete"}, names: theEvent("payment.captured", " at tickets"),
		plant: run(`UPDATE consumer_inbox SET consumer = 'planted' WHERE consumer = 'tickets' AND event_id = ` + eventOf),
		heal:  run(`UPDATE consumer_inbox SET consumer = 'tickets' WHERE consumer = 'planted' AND event_id = ` + eventOf),
	},
	"a provider that owes another amount than the ledger says": {
		red: []string{"books_agree"}, names: thePayment,
		plant: run(`UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE id = `+clearing,
			`UPDATE ledger_entries SET amount_minor = amount_minor - 1 WHERE id = `+revenue),
		heal: run(`UPDATE ledger_entries SET amount_minor = amount_minor - 1 WHERE id = `+clearing,
			`UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE id = `+revenue),
	},
	"a capture whose event is lost": {
		red: []string{"no_lost_event"}, names: thePayment,
		plant: run(`UPDATE outbox_events SET aggregate_id = merchant_id WHERE event_id = ` + eventOf),
		heal:  run(`UPDATE outbox_events SET aggregate_id = $1 WHERE correlation_id = $1 AND type = 'payment.captured'`),
	},
	"a state change that wrote no event and counted none": {
		red: []string{"no_lost_event"}, names: thePayment,
		plant: run(`INSERT INTO payment_attempts (payment_id, attempt_no, merchant_id, provider_key, amount_minor, currency, opened_by, holder, status)
SELECT payment_id, 0, merchant_id, 'planted', amount_minor, currency, opened_by, holder, 'succeeded' FROM payment_attempts WHERE payment_id = $1`),
		heal: run(`DELETE FROM payment_attempts WHERE provider_key = 'planted' AND payment_id = $1`),
	},
	"an order whose second event is lost": {
		red: []string{"no_lost_event"}, names: theOrder,
		plant: run(`UPDATE outbox_events SET aggregate_version = 3 WHERE type = 'tickets.issued' AND correlation_id = $1`),
		heal:  run(`UPDATE outbox_events SET aggregate_version = 2 WHERE type = 'tickets.issued' AND correlation_id = $1`),
	},
}

// One house for all of them, one after the other: that all is green again after
// each is part of the claim, and the next one starts from it.
func TestEveryPlantedFaultTurnsItsCheckRedAndNoOtherAndHealedAllAreGreen(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.everyPlanted(t, faults, h.sell(h.merchant))
}

// everyPlanted plants and heals one fault after the other, beside a neighbour
// who must see none of it.
func (h *house) everyPlanted(t *testing.T, faults map[string]planted, s sale) {
	t.Helper()
	neighbour := h.sell(h.newMerchant())
	auditor := h.impatient()
	mustBeProven(t, auditor, s)
	for name, f := range faults {
		healed := t.Run(name, func(t *testing.T) {
			name := f.names(h, s)
			f.plant(h, s)
			all, err := auditor.CheckAll(t.Context())
			require.NoError(t, err)
			mustName(t, all, f, name)
			others, err := auditor.Check(t.Context(), neighbour.merchant)
			require.NoError(t, err)
			require.Empty(t, red(others), "another merchant is shown none of it")
			require.True(t, others.OK)
			own, err := auditor.Check(t.Context(), s.merchant)
			require.NoError(t, err)
			if !f.onlyAll {
				mustName(t, own, f, name)
				for _, id := range f.red {
					require.Positive(t, invariant(t, others, id).Foreign, "another merchant's are counted: %s", id)
					require.Zero(t, invariant(t, own, id).Foreign, "and one's own are not foreign: %s", id)
				}
			}
			f.heal(h, s)
			mustBeProven(t, auditor, s)
		})
		require.True(t, healed, "the next one cannot be told from this one")
	}
}

func TestEveryCheckHasAFaultThatItAloneSees(t *testing.T) {
	t.Parallel()
	h := open(t)
	r, err := h.impatient().CheckAll(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Invariants, 13)
	all := maps.Clone(faults)
	maps.Copy(all, refundFaults)
	for _, i := range r.Invariants {
		alone := 0
		for _, f := range all {
			if len(f.red) == 1 && f.red[0] == i.ID {
				alone++
			}
		}
		require.Positive(t, alone, i.ID)
		require.Contains(t, i.SQL, "SELECT", i.ID)
		require.NotEmpty(t, i.Statement, i.ID)
	}
}

func mustName(t *testing.T, r audit.Report, f planted, name string) {
	t.Helper()
	broken := red(r)
	require.Len(t, broken, len(f.red), "%v", broken)
	for _, id := range f.red {
		named := false
		for _, v := range broken[id] {
			named = named || v == name || len(v) > len(name) && v[len(v)-len(name):] == name
		}
		require.True(t, named || f.onlyAll && len(broken[id]) > 0 && id == "books_agree", "%s does not name %s but %v", id, name, broken[id])
		require.False(t, invariant(t, r, id).OK)
	}
	require.False(t, r.OK)
	require.False(t, r.Proven())
}

func mustBeProven(t *testing.T, auditor *audit.Auditor, s sale) {
	t.Helper()
	all, err := auditor.CheckAll(t.Context())
	require.NoError(t, err)
	require.Empty(t, red(all))
	require.True(t, all.Proven(), "%+v", all)
	own, err := auditor.Check(t.Context(), s.merchant)
	require.NoError(t, err)
	require.Empty(t, red(own))
	require.True(t, own.Proven(), "%+v", own)
}
