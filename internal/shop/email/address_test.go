package email_test

import (
	"testing"

	"payonce/internal/lab/world"
	"payonce/internal/shop/email"
	"payonce/internal/shop/event"
	"payonce/internal/shop/event/eventtest"
	"payonce/once/inbox"
)

func TestEveryAddressThatAnOrderTakesGetsItsReceiptFromTheMailServer(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	addresses := map[event.Address]bool{"plain@example.org": true, "a'b@example.org": true, "!#$%&'*+-/=?^_`{|}~@a-b.c": true}
	for seed := range 60 {
		addresses[eventtest.Address().Example(seed)] = true
	}
	var batch []inbox.Message
	for to := range addresses {
		if _, err := event.ParseAddress(string(to)); err != nil {
			t.Fatalf("%q: %v", to, err)
		}
		batch = append(batch, captured(t, newID(t), to))
	}
	mustHandle(t, s.db, batch...)
	s.run(email.Config{})
	until(t, "each has its receipt", func() bool { return s.count("sent")+s.count("failed") == len(addresses) })
	for to := range addresses {
		if got := s.world.Messages(string(to)); len(got) != 1 {
			t.Errorf("%q got %d mails", to, len(got))
		}
	}
}
