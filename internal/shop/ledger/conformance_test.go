package ledger_test

import (
	"testing"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/pattern/inbox"
	"payonce/internal/pattern/inbox/inboxtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/money"
)

func TestLedgerBooksEachPaymentOnceWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	inboxtest.Run(t,
		inboxtest.Consumer{Name: ledger.Name, Types: ledger.Types, Handler: ledger.Consumer{}.Handle, Postgres: devtest.Postgres, Broker: devtest.Broker},
		inboxtest.Sample{New: someCapture, Effects: transactionsOf})
}

func someCapture(t testing.TB, _ *postgres.DB) inbox.Message {
	return captured(t, newID(t), newID(t), money.Of(8400, "EUR"))
}

func transactionsOf(t testing.TB, db *postgres.DB, m inbox.Message) int {
	t.Helper()
	return count(t, db, m.Correlation)
}
