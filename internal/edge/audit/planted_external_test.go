package audit_test

import "testing"

// The sale has a refund of 20.00 that was made at the provider and is booked.
const (
	externalRefund = `(SELECT id FROM refunds WHERE payment_id = $1 AND provider_refund_id IS NOT NULL)`
	externalKey    = `'refund_external:ref_' || replace(` + externalRefund + `::text, '-', '')`
)

var externalFaults = map[string]planted{
	"a refund at the provider that is not the booked one": {
		red: []string{"charge_matches"}, names: thePayment,
		plant: run(`UPDATE refunds SET provider_refund_id = provider_refund_id || 'x' WHERE id = ` + externalRefund),
		heal:  run(`UPDATE refunds SET provider_refund_id = rtrim(provider_refund_id, 'x') WHERE id = ` + externalRefund),
	},
	"a refund at the provider of another amount than the booked one": {
		red: []string{"charge_matches", "books_agree"}, names: thePayment,
		plant: func(h *house, _ sale) { h.outside(`UPDATE refunds SET amount_minor = amount_minor - 1`) },
		heal:  func(h *house, _ sale) { h.outside(`UPDATE refunds SET amount_minor = amount_minor + 1`) },
	},
	"a refund at the provider that the ledger never booked": {
		red: []string{"ledger_once"}, names: theRefund("succeeded"),
		plant: run(`UPDATE ledger_transactions SET business_key = 'planted' WHERE payment_id = $1 AND business_key = ` + externalKey),
		heal:  run(`UPDATE ledger_transactions SET business_key = ` + externalKey + ` WHERE payment_id = $1 AND business_key = 'planted'`),
	},
	"a refund in the ledger that was never made": {
		red: []string{"ledger_once", "ledger_zero"}, names: thePayment,
		plant: run(`INSERT INTO ledger_transactions (id, merchant_id, business_key, kind, payment_id, event_id)
  SELECT uuid_v7(), merchant_id, 'planted', kind, payment_id, event_id FROM ledger_transactions WHERE payment_id = $1 AND kind = 'refund_external'`),
		heal: run(`DELETE FROM ledger_transactions WHERE business_key = 'planted' AND payment_id = $1`),
	},
	"a cent that is left of a second charge": {
		red: []string{"one_charge", "charge_matches", "books_agree"}, names: thePayment,
		plant: func(h *house, s sale) {
			h.charge(s.name())
			h.outside(`INSERT INTO refunds (id, charge_id, reference, amount_minor, currency, status, created_at)
				SELECT 're_planted', id, 'by-hand', amount_minor - 1, currency, 'succeeded', created_at FROM charges WHERE idempotency_key = 'planted'`)
		},
		heal: func(h *house, _ sale) {
			h.outside(`DELETE FROM refunds WHERE id = 're_planted'`)
			h.outside(`DELETE FROM charge_keys WHERE key = 'planted'`)
			h.outside(`DELETE FROM charges WHERE idempotency_key = 'planted'`)
		},
	},
	"an external refund whose event is lost": {
		red: []string{"no_lost_event"}, names: theRefund("succeeded"),
		plant: run(`UPDATE outbox_events SET aggregate_id = merchant_id WHERE correlation_id = $1 AND type = 'refund.recorded'`),
		heal:  run(`UPDATE outbox_events SET aggregate_id = ` + externalRefund + ` WHERE correlation_id = $1 AND type = 'refund.recorded'`),
	},
}

func TestEveryPlantedFaultOfARefundMadeAtTheProviderTurnsItsChecksRed(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sell(h.merchant)
	h.tell(h.byHand(s, 2000))
	h.everyPlanted(t, externalFaults, s)
}

func TestASecondChargeThatWasWhollyGivenBackIsNoDifference(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sell(h.merchant)
	h.charge(s.name())
	h.outside(`INSERT INTO refunds (id, charge_id, reference, amount_minor, currency, status, created_at)
		SELECT 're_planted', id, 'by-hand', amount_minor, currency, 'succeeded', created_at FROM charges WHERE idempotency_key = 'planted'`)
	mustBeProven(t, h.impatient(), s)
}
