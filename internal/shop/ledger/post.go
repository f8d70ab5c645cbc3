package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/postgres"
	"payonce/once/retry"
)

// A posting is one balanced transaction that is to be in the book.
type posting struct {
	id          uuid.UUID
	businessKey string
	kind        string
	merchant    uuid.UUID
	payment     uuid.UUID
	event       uuid.UUID
	currency    string
	legs        []leg
}

// A leg is one entry: debit positive, credit negative.
type leg struct {
	account string
	minor   int64
}

// post writes what is not booked yet, in two round trips, and compares what is.
// Postings are sorted by business key and accounts by id, so that two workers
// with the same rows wait for each other in one order and never in a circle.
func post(ctx context.Context, tx postgres.Tx, postings []posting) error {
	for i := range postings {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		postings[i].id = id
	}
	slices.SortFunc(postings, func(a, b posting) int { return strings.Compare(a.businessKey, b.businessKey) })

	var posted []uuid.UUID
	if err := tx.Select(ctx, &posted, postSQL, append(accounts(postings), transactions(postings)...)...); err != nil {
		return err
	}
	fresh, absorbed := split(postings, posted)
	if len(fresh) > 0 {
		if _, err := tx.Exec(ctx, enterSQL, entries(fresh)...); err != nil {
			return err
		}
	}
	if len(absorbed) == 0 {
		return nil
	}
	return sameAsBooked(ctx, tx, absorbed)
}

func split(postings []posting, posted []uuid.UUID) (fresh, absorbed []posting) {
	is := make(map[uuid.UUID]bool, len(posted))
	for _, id := range posted {
		is[id] = true
	}
	for _, p := range postings {
		if is[p.id] {
			fresh = append(fresh, p)
		} else {
			absorbed = append(absorbed, p)
		}
	}
	return fresh, absorbed
}

const (
	postSQL = `
WITH opened AS (
  -- No conflict target: an account's id is made of its name, so two workers that
  -- open the same one may meet on either of its two unique indexes.
  INSERT INTO ledger_accounts (id, merchant_id, code, currency)
  SELECT id, merchant_id, code, currency
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS a (id, merchant_id, code, currency)
  ON CONFLICT DO NOTHING
)
-- The business key decides: a cause that is booked already adds nothing.
INSERT INTO ledger_transactions (id, merchant_id, business_key, kind, payment_id, event_id)
SELECT id, merchant_id, business_key, kind, payment_id, event_id
  FROM unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::uuid[], $10::uuid[])
    AS t (id, merchant_id, business_key, kind, payment_id, event_id)
ON CONFLICT ON CONSTRAINT ledger_transactions_once DO NOTHING
RETURNING id`

	// Entries come in a statement of their own: folded into the one above they
	// would need a join with what was posted, which costs more than the round trip.
	enterSQL = `
INSERT INTO ledger_entries (id, merchant_id, transaction_id, account_id, amount_minor, currency)
SELECT id, merchant_id, transaction_id, account_id, amount_minor, currency
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[])
    AS e (id, merchant_id, transaction_id, account_id, amount_minor, currency)`
)

// accounts lists every account that the postings touch once, sorted by id.
func accounts(postings []posting) []any {
	type account struct{ id, merchant, code, currency string }
	var all []account
	for _, p := range postings {
		for _, l := range p.legs {
			all = append(all, account{accountID(p.merchant, l.account, p.currency).String(), p.merchant.String(), l.account, p.currency})
		}
	}
	slices.SortFunc(all, func(a, b account) int { return strings.Compare(a.id, b.id) })
	var ids, merchants, codes, currencies []string
	for _, a := range slices.Compact(all) {
		ids = append(ids, a.id)
		merchants = append(merchants, a.merchant)
		codes = append(codes, a.code)
		currencies = append(currencies, a.currency)
	}
	return []any{pq.Array(ids), pq.Array(merchants), pq.Array(codes), pq.Array(currencies)}
}

func transactions(postings []posting) []any {
	var ids, merchants, keys, kinds, payments, events []string
	for _, p := range postings {
		ids = append(ids, p.id.String())
		merchants = append(merchants, p.merchant.String())
		keys = append(keys, p.businessKey)
		kinds = append(kinds, p.kind)
		payments = append(payments, p.payment.String())
		events = append(events, p.event.String())
	}
	return []any{pq.Array(ids), pq.Array(merchants), pq.Array(keys), pq.Array(kinds), pq.Array(payments), pq.Array(events)}
}

func entries(postings []posting) []any {
	var ids, merchants, of, accounts, currencies []string
	var amounts []int64
	for _, p := range postings {
		for i, l := range p.legs {
			ids = append(ids, legID(p.id, i).String())
			merchants = append(merchants, p.merchant.String())
			of = append(of, p.id.String())
			accounts = append(accounts, accountID(p.merchant, l.account, p.currency).String())
			amounts = append(amounts, l.minor)
			currencies = append(currencies, p.currency)
		}
	}
	return []any{pq.Array(ids), pq.Array(merchants), pq.Array(of), pq.Array(accounts), pq.Array(amounts), pq.Array(currencies)}
}

// accountID is made of the account's name. Nobody has to look an account up
// before using it, and two workers that open it at once mean the same row.
func accountID(merchant uuid.UUID, code, currency string) uuid.UUID {
	return uuid.NewSHA1(merchant, []byte("ledger account "+code+" "+currency))
}

// legID is the transaction's id with its last byte changed: no second source of
// chance, and entries lie in the index where their transaction lies in its own.
func legID(transaction uuid.UUID, leg int) uuid.UUID {
	id := transaction
	id[15] ^= byte(leg + 1)
	return id
}

// bookedSQL reads the winners in a statement of its own: the one that lost the
// race to them cannot see them.
const bookedSQL = `
SELECT t.business_key, a.code, e.currency, e.amount_minor
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.transaction_id = t.id
  JOIN ledger_accounts a ON a.id = e.account_id
 WHERE t.business_key = ANY ($1::text[])`

// sameAsBooked says whether each posting is in the book with exactly its legs.
func sameAsBooked(ctx context.Context, tx postgres.Tx, absorbed []posting) error {
	keys := make([]string, 0, len(absorbed))
	for _, p := range absorbed {
		keys = append(keys, p.businessKey)
	}
	var rows []struct {
		BusinessKey string `db:"business_key"`
		Code        string `db:"code"`
		Currency    string `db:"currency"`
		AmountMinor int64  `db:"amount_minor"`
	}
	if err := tx.Select(ctx, &rows, bookedSQL, pq.Array(keys)); err != nil {
		return err
	}
	type entry struct {
		account, currency string
		minor             int64
	}
	booked := map[string][]entry{}
	for _, r := range rows {
		booked[r.BusinessKey] = append(booked[r.BusinessKey], entry{r.Code, r.Currency, r.AmountMinor})
	}
	for _, p := range absorbed {
		same := len(booked[p.businessKey]) == len(p.legs)
		for _, l := range p.legs {
			same = same && slices.Contains(booked[p.businessKey], entry{l.account, p.currency, l.minor})
		}
		if !same {
			return retry.Permanent(fmt.Errorf("%w: %s", ErrContradiction, p.businessKey))
		}
	}
	return nil
}
