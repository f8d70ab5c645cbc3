package tickets_test

import (
	"testing"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/tickets"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
)

func TestAnOrderGetsItsTicketsAndItsEventOnceWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	inboxtest.Run(t,
		devtest.ConsumerOf(inbox.Config{Consumer: tickets.Name, Types: tickets.Types, Handler: patterns.Handler(tickets.Consumer{}.Handle).Inbox()}),
		devtest.SampleOf(someOrder, ticketsAndEvents, 3))
}

// someOrder has two seats.
func someOrder(t testing.TB, db *postgres.DB) inbox.Message {
	t.Helper()
	return delivered(t, paid(t, db, 2))
}

// ticketsAndEvents counts an order's tickets and the events that announce them.
func ticketsAndEvents(t testing.TB, db *postgres.DB, m inbox.Message) int {
	t.Helper()
	var n int
	err := db.Get(t.Context(), &n, `SELECT (SELECT count(*) FROM tickets WHERE payment_id = $1)
		+ (SELECT count(*) FROM outbox_events WHERE correlation_id = $1)`, m.Correlation)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
