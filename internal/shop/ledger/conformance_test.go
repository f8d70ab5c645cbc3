package ledger_test

import (
	"testing"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/money"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
)

func TestLedgerBooksEachPaymentOnceWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	inboxtest.Run(t,
		devtest.ConsumerOf(inbox.Config{Consumer: ledger.Name, Types: ledger.Types, Handler: patterns.Handler(ledger.Consumer{}.Handle).Inbox()}),
		devtest.SampleOf(someCapture, transactionsOf, 0))
}

func someCapture(t testing.TB, _ *postgres.DB) inbox.Message {
	return captured(t, newID(t), newID(t), money.Of(8400, "EUR"))
}

func transactionsOf(t testing.TB, db *postgres.DB, m inbox.Message) int {
	t.Helper()
	return count(t, db, patterns.ID(m.Correlation))
}
