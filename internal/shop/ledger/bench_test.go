package ledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/money"
	"payonce/once/inbox"
)

// BenchmarkPost compares the consumer with the least SQL that writes the same
// rows into the same tables. They take turns at going first, so that a busy
// machine slows both:
//
//	go test ./internal/shop/ledger -run - -bench Post -benchtime 300x
func BenchmarkPost(b *testing.B) {
	const size = 100
	ours, bare := devtest.Postgres(b), newBare(b)
	merchant := newID(b)
	var oursTook, bareTook time.Duration
	round := 0
	for b.Loop() {
		batch := make([]inbox.Message, 0, size)
		for range size {
			batch = append(batch, captured(b, merchant, newID(b), money.Of(100, "EUR")))
		}
		post := func() {
			began := time.Now()
			err := postgres.InTx(b.Context(), ours, func(tx postgres.Tx) error { return ledger.Consumer{}.Handle(b.Context(), tx, batch) })
			if err != nil {
				b.Fatal(err)
			}
			oursTook += time.Since(began)
		}
		if round++; round%2 == 0 {
			post()
		}
		bareTook += bare.post(b, size)
		if round%2 == 1 {
			post()
		}
	}
	rate := func(d time.Duration) float64 { return float64(b.N*size) / d.Seconds() }
	b.ReportMetric(rate(oursTook), "ours/s")
	b.ReportMetric(rate(bareTook), "bare/s")
	b.ReportMetric(rate(oursTook)/rate(bareTook), "ratio")
}

// bareBook writes what it is told: accounts known, nothing decoded, no conflict
// expected, nothing compared.
type bareBook struct {
	db                          *postgres.DB
	merchant, clearing, revenue uuid.UUID
}

func newBare(b *testing.B) bareBook {
	b.Helper()
	book := bareBook{devtest.Postgres(b), newID(b), newID(b), newID(b)}
	err := postgres.InTx(b.Context(), book.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(b.Context(), `INSERT INTO ledger_accounts (id, merchant_id, code, currency)
			VALUES ($1, $3, 'provider_clearing', 'EUR'), ($2, $3, 'revenue', 'EUR')`, book.clearing, book.revenue, book.merchant)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return book
}

func (book bareBook) post(b *testing.B, size int) time.Duration {
	b.Helper()
	ids, debits, credits := make([]string, size), make([]string, size), make([]string, size)
	keys := make([]string, size)
	for i := range size {
		id := newID(b)
		ids[i], debits[i], credits[i], keys[i] = id.String(), newID(b).String(), newID(b).String(), ledger.CaptureKey(id)
	}
	began := time.Now()
	err := postgres.InTx(b.Context(), book.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(b.Context(), `INSERT INTO ledger_transactions (id, merchant_id, business_key, kind, payment_id, event_id)
			SELECT id, $2, key, 'capture', id, id FROM unnest($1::uuid[], $3::text[]) AS t (id, key)`, pq.Array(ids), book.merchant, pq.Array(keys))
		if err != nil {
			return err
		}
		_, err = tx.Exec(b.Context(), `INSERT INTO ledger_entries (id, merchant_id, transaction_id, account_id, amount_minor, currency)
			SELECT leg.id, $4, t.id, leg.account, leg.minor, 'EUR'
			FROM unnest($1::uuid[], $5::uuid[], $6::uuid[]) AS t (id, debit, credit),
			LATERAL (VALUES (t.debit, $2::uuid, 100), (t.credit, $3::uuid, -100)) AS leg (id, account, minor)`,
			pq.Array(ids), book.clearing, book.revenue, book.merchant, pq.Array(debits), pq.Array(credits))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
