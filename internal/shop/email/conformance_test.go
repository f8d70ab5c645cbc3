package email_test

import (
	"testing"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/pattern/inbox"
	"payonce/internal/pattern/inbox/inboxtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/email"
)

func TestEachPaymentOwesOneReceiptWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	inboxtest.Run(t,
		inboxtest.Consumer{Name: email.Name, Types: email.Types, Handler: email.Consumer{PublicURL: "http://shop.example"}.Handle, Postgres: devtest.Postgres, Broker: devtest.Broker},
		inboxtest.Sample{New: someReceipt, Effects: mailsOwed})
}

func someReceipt(t testing.TB, _ *postgres.DB) inbox.Message {
	t.Helper()
	payment := newID(t)
	m := captured(t, payment, "a@example.org")
	m.Correlation = payment
	return m
}

func mailsOwed(t testing.TB, db *postgres.DB, m inbox.Message) int {
	t.Helper()
	return len(mailsOf(t, db, m.Correlation))
}
