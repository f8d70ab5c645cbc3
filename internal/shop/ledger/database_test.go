package ledger_test

import (
	"testing"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/money"
)

// The database refuses what no code of ours should ever ask for, whoever asks.
func TestTheDatabaseRefusesABookThatDoesNotBalanceOrChanges(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	payment := newID(t)
	if err := handle(t.Context(), db, captured(t, newID(t), payment, money.Of(100, "EUR"))); err != nil {
		t.Fatal(err)
	}
	const lopsided = `
WITH posted AS (
  INSERT INTO ledger_transactions (id, merchant_id, business_key, kind, payment_id, event_id)
  SELECT uuid_v7(), merchant_id, 'planted', kind, payment_id, event_id FROM ledger_transactions LIMIT 1
  RETURNING id, merchant_id
)
INSERT INTO ledger_entries (id, merchant_id, transaction_id, account_id, amount_minor, currency)
SELECT uuid_v7(), posted.merchant_id, posted.id, a.id, leg.minor, leg.currency
  FROM posted, (SELECT id FROM ledger_accounts LIMIT 1) a, `
	for name, c := range map[string]struct{ constraint, sql string }{
		"a leg is missing": {"ledger_entries_balanced", lopsided + `(VALUES (1, 'EUR')) leg (minor, currency)`},
		"a cent is missing": {"ledger_entries_balanced", lopsided +
			`(VALUES (100, 'EUR'), (-99, 'EUR')) leg (minor, currency)`},
		"two currencies cancel out": {"ledger_entries_balanced", lopsided +
			`(VALUES (100, 'EUR'), (-100, 'USD')) leg (minor, currency)`},
		"no entry at all": {"ledger_transaction_balanced", `
INSERT INTO ledger_transactions (id, merchant_id, business_key, kind, payment_id, event_id)
SELECT uuid_v7(), merchant_id, 'planted', kind, payment_id, event_id FROM ledger_transactions LIMIT 1`},
		"an entry is added later": {"ledger_entries_balanced", `
INSERT INTO ledger_entries (id, merchant_id, transaction_id, account_id, amount_minor, currency)
SELECT uuid_v7(), merchant_id, transaction_id, account_id, 1, currency FROM ledger_entries LIMIT 1`},
		"the same cause again": {"ledger_transactions_once", `
INSERT INTO ledger_transactions (id, merchant_id, business_key, kind, payment_id, event_id)
SELECT uuid_v7(), merchant_id, business_key, kind, payment_id, event_id FROM ledger_transactions LIMIT 1`},
		"an entry of zero":          {"ledger_entries_not_zero", lopsided + `(VALUES (0, 'EUR')) leg (minor, currency)`},
		"an amount is changed":      {"ledger_is_immutable", `UPDATE ledger_entries SET amount_minor = amount_minor + 1`},
		"a transaction is changed":  {"ledger_is_immutable", `UPDATE ledger_transactions SET kind = 'other'`},
		"entries are deleted":       {"ledger_is_immutable", `DELETE FROM ledger_entries`},
		"transactions are deleted":  {"ledger_is_immutable", `DELETE FROM ledger_transactions`},
		"everything is thrown away": {"ledger_is_immutable", `TRUNCATE ledger_transactions, ledger_entries`},
	} {
		t.Run(name, func(t *testing.T) {
			err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
				_, err := tx.Exec(t.Context(), c.sql)
				return err
			})
			if got := postgres.Violated(err); got != c.constraint {
				t.Errorf("want %s to refuse it, got %q (%v)", c.constraint, got, err)
			}
		})
	}
	if n := count(t, db, payment); n != 1 {
		t.Errorf("want the 1 transaction that was there, got %d", n)
	}
}
