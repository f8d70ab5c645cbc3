package audit

import (
	"context"
	"slices"

	"payonce/internal/shop/provider"
)

// oneCharge knows no grace: two live charges are wrong at every moment.
func oneCharge(ctx context.Context, p *pass) ([]violation, error) {
	facts, err := p.facts(ctx)
	if err != nil {
		return nil, err
	}
	var found []violation
	for _, f := range facts {
		if len(alive(f.charges)) > 1 {
			found = append(found, f.violation())
		}
	}
	return found, nil
}

// chargeMatches compares both ways: a charge without a captured payment is money
// taken for nothing, a captured payment without its charge is a gift. The same
// goes for what went back. A charge that is none of a payment's holds nothing any
// more.
func chargeMatches(ctx context.Context, p *pass) ([]violation, error) {
	facts, err := p.facts(ctx)
	if err != nil {
		return nil, err
	}
	ours, err := p.refunds(ctx)
	if err != nil {
		return nil, err
	}
	var found []violation
	for _, f := range facts {
		held := !slices.ContainsFunc(f.unmatched(ours[f.ID]), func(p part) bool { return !f.excused(p) })
		if !held && !f.Young {
			found = append(found, f.violation())
		}
	}
	strays, err := p.strays(ctx)
	for _, c := range strays {
		if !c.named {
			found = append(found, violation{Name: c.ID + " for " + c.Reference})
		}
	}
	return found, err
}

// own says that a charge is the one that the payment was captured with.
func (f fact) own(h provider.Holding) bool {
	return f.ChargeID != nil && *f.ChargeID == h.ID && h.Amount.AmountMinor == f.AmountMinor && h.Amount.Currency == f.Currency
}

// booksAgree compares, payment by payment, what the provider holds with what the
// ledger says it owes us. A look at everything also compares the totals, so that
// what hangs on no payment is found, as soon as nothing is under way.
func booksAgree(ctx context.Context, p *pass) ([]violation, error) {
	facts, err := p.facts(ctx)
	if err != nil {
		return nil, err
	}
	var found []violation
	busy := false
	explained := map[string]int64{}
	for _, f := range facts {
		busy = busy || f.Young
		whole, named := f.difference()
		for currency, minor := range whole {
			explained[currency] += minor
		}
		if !agree(whole, named) && !f.Young {
			found = append(found, f.violation())
		}
	}
	if p.scope.newest != 0 || busy {
		return found, nil
	}
	strays, err := p.strays(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range strays {
		if c.named {
			explained[c.Amount.Currency] += c.LeftMinor()
		}
	}
	totals, err := p.totals(ctx, explained)
	return append(found, totals...), err
}

const clearingSQL = `
SELECT e.currency, sum(e.amount_minor)::bigint AS minor
  FROM ledger_accounts a JOIN ledger_entries e ON e.account_id = a.id
 WHERE a.code = 'provider_clearing'
 GROUP BY e.currency`

// totals names the currencies in which provider and ledger differ by more than
// the payments explain, and the strays that an open alert names.
func (p *pass) totals(ctx context.Context, explained map[string]int64) ([]violation, error) {
	var booked []struct {
		Currency string `db:"currency"`
		Minor    int64  `db:"minor"`
	}
	if err := p.DB.Select(ctx, &booked, clearingSQL); err != nil {
		return nil, err
	}
	open := map[string]int64{}
	for currency, minor := range p.outside.balance {
		open[currency] += minor
	}
	for _, b := range booked {
		open[b.Currency] -= b.Minor
	}
	for currency, minor := range explained {
		open[currency] -= minor
	}
	var found []violation
	for currency, minor := range open {
		if minor != 0 {
			found = append(found, violation{Name: "balance in " + currency})
		}
	}
	return found, nil
}
