package naive

import (
	"context"
	"fmt"

	"payonce/internal/shop/provider"
)

// Counts are effects, each as the outside world can see it.
type Counts struct {
	Charges            int `json:"charges"`
	Declines           int `json:"declines"`
	LedgerTransactions int `json:"ledger_transactions"`
	Mails              int `json:"mails"`
	Tickets            int `json:"tickets"` // that are good
	Refunds            int `json:"refunds"`
}

// Bill is what a checkout came to, beside what it should have.
type Bill struct {
	Counts
	CountedBy map[string]string `json:"counted_by"`
	Expected  Counts            `json:"expected"`
	Harm      []string          `json:"harm"`
}

// countedBy says whose books the numbers are from.
func countedBy(own string) map[string]string {
	return map[string]string{
		"charges": "provider", "declines": "provider", "refunds": "provider", "mails": "mailbox",
		"ledger_transactions": own, "tickets": own,
	}
}

const ownSQL = `
SELECT (SELECT count(*) FROM naive.ledger_transactions WHERE checkout_id = $1 AND merchant_id = $2) AS ledger,
       (SELECT count(*) FROM naive.tickets WHERE checkout_id = $1 AND merchant_id = $2 AND status = 'issued') AS tickets`

// count asks the provider and the mailbox, and the naive shop's own tables for
// what only it can know.
func (s *Shop) count(ctx context.Context, box Mailbox, c checkout) (n Counts, err error) {
	charges, err := s.gateway.ChargesByReference(ctx, c.name())
	if err != nil {
		return n, fmt.Errorf("ask the provider: %w", err)
	}
	for _, each := range charges {
		switch each.Status {
		case provider.Declined:
			n.Declines++
		case provider.Succeeded:
			n.Charges++
			refunds, err := s.gateway.RefundsOfCharge(ctx, each.ID)
			if err != nil {
				return n, fmt.Errorf("ask the provider: %w", err)
			}
			for _, r := range refunds {
				if r.Status == provider.Succeeded {
					n.Refunds++
				}
			}
		case provider.Cancelled:
		}
	}
	mails, err := box.MailsTo(ctx, c.Email)
	if err != nil {
		return n, fmt.Errorf("ask the mailbox: %w", err)
	}
	n.Mails = len(mails)
	var own struct {
		Ledger  int `db:"ledger"`
		Tickets int `db:"tickets"`
	}
	if err := s.db.Get(ctx, &own, ownSQL, c.ID, c.Merchant); err != nil {
		return n, fmt.Errorf("count the naive tables: %w", err)
	}
	n.LedgerTransactions, n.Tickets = own.Ledger, own.Tickets
	return n, nil
}

// due is what an effective-once shop would have, seen from what the buyer wished
// for and the bank said: each decline was a wish of its own unless somebody knows
// better.
func due(c checkout, n Counts) Counts {
	want := Counts{Declines: n.Declines, Mails: n.Declines}
	if n.Charges == 0 && c.Status != "captured" {
		return want
	}
	want.Charges, want.LedgerTransactions, want.Tickets = 1, 1, c.Quantity
	want.Mails++
	if n.Refunds > 0 {
		want.Refunds, want.Tickets = 1, 0
	}
	return want
}

// billOf sets counts beside what was due.
func billOf(n, want Counts, by map[string]string) Bill {
	return Bill{Counts: n, CountedBy: by, Expected: want, Harm: harm(n, want)}
}

// harm says in words what is too much and what is missing.
func harm(n, want Counts) []string {
	said := []string{}
	say := func(got, due int, tooMany, tooFew string) {
		switch {
		case got > due:
			said = append(said, fmt.Sprintf("%s: %d instead of %d", tooMany, got, due))
		case got < due:
			said = append(said, fmt.Sprintf("%s: %d instead of %d", tooFew, got, due))
		}
	}
	say(n.Charges, want.Charges, "charged too often", "promised and never charged")
	say(n.Declines, want.Declines, "the card was tried too often", "a decline is missing")
	say(n.LedgerTransactions, want.LedgerTransactions, "booked too often", "not booked")
	say(n.Mails, want.Mails, "too many mails", "a mail never came")
	say(n.Tickets, want.Tickets, "too many tickets are good", "paid tickets are missing or void")
	say(n.Refunds, want.Refunds, "refunded too often", "a refund is missing")
	return said
}
