package email_test

import (
	"testing"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/email"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
)

func TestEachPaymentOwesOneReceiptWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	inboxtest.Run(t,
		devtest.ConsumerOf(inbox.Config{Consumer: email.Name, Types: email.Types, Handler: patterns.Handler(email.Consumer{PublicURL: "http://shop.example"}.Handle).Inbox()}),
		devtest.SampleOf(someReceipt, mailsOwed, 0))
}

func someReceipt(t testing.TB, _ *postgres.DB) inbox.Message {
	t.Helper()
	payment := newID(t)
	m := captured(t, payment, "a@example.org")
	m.Correlation = payment.String()
	return m
}

func mailsOwed(t testing.TB, db *postgres.DB, m inbox.Message) int {
	t.Helper()
	return len(mailsOf(t, db, patterns.ID(m.Correlation)))
}
