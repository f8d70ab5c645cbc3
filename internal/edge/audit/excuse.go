package audit

import (
	"slices"

	"payonce/internal/platform/alert"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
)

// A part is one object's share of the money between us and the provider: a charge
// or a refund of the provider's, or what our books say of one.
type part struct {
	object, alias string // by which an alert may name it
	amount        int64  // which the alert must name
	minor         int64  // what it adds to what the provider holds
	currency      string
}

func chargePart(c provider.Charge, left int64) part {
	return part{object: c.ID, alias: c.IdempotencyKey, amount: c.Amount.AmountMinor, minor: left, currency: c.Amount.Currency}
}

func refundPart(r provider.Refund) part {
	return part{object: r.ID, alias: r.Reference, amount: r.Amount.AmountMinor, minor: -r.Amount.AmountMinor, currency: r.Amount.Currency}
}

// excused says whether an open alert about the payment names the part.
func (f fact) excused(p part) bool { return p.namedBy(f.named) }

// namedBy says whether an alert names the object with its amount and its currency.
// An alert about anything else, or about another amount, excuses nothing.
func (p part) namedBy(named []alert.Money) bool {
	return slices.ContainsFunc(named, func(n alert.Money) bool {
		return (n.Object == p.object || n.Object == p.alias) && n.AmountMinor == p.amount && n.Currency == p.currency
	})
}

// unmatched lists the provider's charges and refunds that are not ours, and ours
// that are not the provider's.
func (f fact) unmatched(ours []refundFact) (apart []part) {
	own := false
	for _, h := range f.charges {
		switch {
		case f.Captured && f.own(h):
			own = true
		case h.Alive():
			apart = append(apart, chargePart(h.Charge, h.LeftMinor()))
		}
	}
	if f.Captured && !own {
		apart = append(apart, part{object: f.charge(), amount: f.AmountMinor, minor: f.AmountMinor, currency: f.Currency})
	}
	return append(apart, f.unmatchedRefunds(ours)...)
}

func (f fact) charge() string {
	if f.ChargeID == nil {
		return ""
	}
	return *f.ChargeID
}

// difference is what the provider holds for the payment less what the ledger says
// it owes us, by currency, and how much of that an open alert names.
func (f fact) difference() (whole, named map[string]int64) {
	whole, named = map[string]int64{}, map[string]int64{}
	add := func(p part) {
		whole[p.currency] += p.minor
		if f.excused(p) {
			named[p.currency] += p.minor
		}
	}
	for _, h := range f.charges {
		if h.ID == f.charge() {
			add(chargePart(h.Charge, h.Amount.AmountMinor))
		} else {
			add(chargePart(h.Charge, h.LeftMinor()))
		}
	}
	for _, r := range f.back {
		add(refundPart(r))
	}
	for object, minor := range f.booked {
		add(part{object: object, alias: object, amount: max(minor, -minor), minor: -minor, currency: f.Currency})
	}
	return whole, named
}

// agree says that provider and ledger hold the same, or differ by what alerts name.
func agree(whole, named map[string]int64) bool {
	for currency, minor := range whole {
		if minor != 0 && minor != named[currency] {
			return false
		}
	}
	return true
}

// unmatchedRefunds compares both ways: money that went back for no refund of ours,
// or for one that failed, and a refund that succeeded without money, or twice.
func (f fact) unmatchedRefunds(ours []refundFact) (apart []part) {
	for _, r := range f.back {
		known := slices.ContainsFunc(ours, func(o refundFact) bool {
			return o.is(r) && o.Status != "failed" && o.AmountMinor == r.Amount.AmountMinor && o.Currency == r.Amount.Currency
		})
		if !known {
			apart = append(apart, refundPart(r))
		}
	}
	for _, o := range ours {
		n := 0
		for _, r := range f.back {
			if o.is(r) {
				n++
			}
		}
		if o.Status == "succeeded" && n != 1 || n > 1 {
			apart = append(apart, part{object: event.RefundName(o.ID), amount: o.AmountMinor, minor: -o.AmountMinor, currency: o.Currency})
		}
	}
	return apart
}

// namedSQL is a column: the money that open alerts about a payment name. An alert
// about a stuck saga names its refund; one about an object that is none of ours
// names the payment as its reference, or the charge that money went back of.
const namedSQL = `
       coalesce((
         SELECT jsonb_agg(n.facts)
           FROM (SELECT a.facts FROM alerts a WHERE a.state = 'open' AND a.subject = s.name
                 UNION ALL
                 SELECT a.facts FROM alerts a
                  WHERE a.state = 'open' AND a.kind IN ('provider_unknown_charge', 'provider_unknown_refund') 
                    AND (a.facts->>'reference' = s.name OR a.facts->>'provider_charge' = s.provider_charge_id)
                 UNION ALL
                 SELECT CASE a.kind WHEN 'saga_stuck'
                          THEN jsonb_build_object('object', 'ref_' || replace(r.id::text, '-', ''), 'amount_minor', r.amount_minor, 'currency', r.currency)
                          ELSE a.facts END
                   FROM refunds r
                   JOIN alerts a ON a.state = 'open'
                    AND (a.kind = 'saga_stuck' AND a.subject = 'saga_' || replace(r.saga_id::text, '-', '')
                      OR a.kind = 'provider_contradiction' AND a.subject = 'ref_' || replace(r.id::text, '-', ''))
                  WHERE r.payment_id = s.id) AS n
          WHERE n.facts ? 'object'), '[]')::text`

// bookedSQL is a column: what the ledger says the provider owes us for a payment,
// by the object that it was booked for.
const bookedSQL = `
       coalesce((
         SELECT jsonb_object_agg(b.object, b.minor)
           FROM (SELECT CASE t.kind WHEN 'capture' THEN coalesce(s.provider_charge_id, '') ELSE split_part(t.business_key, ':', 2) END AS object,
                        sum(e.amount_minor) AS minor
                   FROM ledger_transactions t
                   JOIN ledger_entries e ON e.transaction_id = t.id AND e.currency = s.currency
                   JOIN ledger_accounts a ON a.id = e.account_id AND a.code = 'provider_clearing'
                  WHERE t.payment_id = s.id
                  GROUP BY 1) AS b), '{}')::text`
