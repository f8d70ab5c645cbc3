package ledger

import (
	"context"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// Book answers questions about what is posted. It never writes.
type Book struct {
	DB postgres.Reader
}

// Transaction is one posted transaction with its entries.
type Transaction struct {
	ID          uuid.UUID
	BusinessKey string
	Kind        string
	PaymentID   uuid.UUID
	PostedAt    time.Time
	Entries     []Entry
}

// Entry is one leg of a transaction: debit positive, credit negative.
type Entry struct {
	Account     string
	AmountMinor int64
	Currency    string
}

const ofPaymentSQL = `
SELECT t.id, t.business_key, t.kind, t.payment_id, t.posted_at, a.code, e.amount_minor, e.currency
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.transaction_id = t.id
  JOIN ledger_accounts a ON a.id = e.account_id
 WHERE t.payment_id = $1
 ORDER BY t.id, e.amount_minor DESC, e.id`

// OfPayment returns a payment's transactions, oldest first.
func (b Book) OfPayment(ctx context.Context, payment uuid.UUID) ([]Transaction, error) {
	var rows []struct {
		ID          uuid.UUID `db:"id"`
		BusinessKey string    `db:"business_key"`
		Kind        string    `db:"kind"`
		PaymentID   uuid.UUID `db:"payment_id"`
		PostedAt    time.Time `db:"posted_at"`
		Code        string    `db:"code"`
		AmountMinor int64     `db:"amount_minor"`
		Currency    string    `db:"currency"`
	}
	if err := b.DB.Select(ctx, &rows, ofPaymentSQL, payment); err != nil {
		return nil, err
	}
	var transactions []Transaction
	for _, r := range rows {
		if n := len(transactions); n == 0 || transactions[n-1].ID != r.ID {
			transactions = append(transactions, Transaction{
				ID: r.ID, BusinessKey: r.BusinessKey, Kind: r.Kind, PaymentID: r.PaymentID, PostedAt: r.PostedAt,
			})
		}
		last := &transactions[len(transactions)-1]
		last.Entries = append(last.Entries, Entry{r.Code, r.AmountMinor, r.Currency})
	}
	return transactions, nil
}

const countOfPaymentSQL = `SELECT count(*) FROM ledger_transactions WHERE payment_id = $1`

// CountOfPayment says how many transactions a payment has.
func (b Book) CountOfPayment(ctx context.Context, payment uuid.UUID) (int, error) {
	var n int
	err := b.DB.Get(ctx, &n, countOfPaymentSQL, payment)
	return n, err
}

const sumsSQL = `SELECT currency, sum(amount_minor)::bigint AS minor FROM ledger_entries GROUP BY currency`

// Sums adds up every entry of the whole book, per currency. Each is zero, or
// the book is broken.
func (b Book) Sums(ctx context.Context) (map[string]int64, error) {
	return b.sums(ctx, sumsSQL)
}

const balanceSQL = `
SELECT e.currency, sum(e.amount_minor)::bigint AS minor
  FROM ledger_entries e JOIN ledger_accounts a ON a.id = e.account_id
 WHERE a.code = $1
 GROUP BY e.currency`

// Balance adds up an account over all merchants, per currency. That of
// [ProviderClearing] is what the provider says it holds.
func (b Book) Balance(ctx context.Context, account string) (map[string]int64, error) {
	return b.sums(ctx, balanceSQL, account)
}

func (b Book) sums(ctx context.Context, query string, args ...any) (map[string]int64, error) {
	var rows []struct {
		Currency string `db:"currency"`
		Minor    int64  `db:"minor"`
	}
	if err := b.DB.Select(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	sums := map[string]int64{}
	for _, r := range rows {
		sums[r.Currency] = r.Minor
	}
	return sums, nil
}
