package email

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"payonce/internal/shop/event"
	"payonce/internal/shop/event/eventtest"
)

// The mail library has a parser of its own: it must find nothing to refuse in
// what an order took.
func TestTheMailerWritesToWhatAnOrderTakesAndToNothingElse(t *testing.T) {
	t.Parallel()
	s := &SMTP{from: "tickets@payonce.example"}
	text := rapid.OneOf(eventtest.Text(), rapid.Map(eventtest.Address(), func(a event.Address) string { return string(a) }))
	rapid.Check(t, func(rt *rapid.T) {
		to := text.Draw(rt, "to")
		_, refused := event.ParseAddress(to)
		message, err := s.compose(Mail{To: to})
		if (refused == nil) != (err == nil) || refused != nil && !errors.Is(err, refused) {
			rt.Fatalf("%q: the order says %v, the mailer %v", to, refused, err)
		}
		if err != nil {
			return
		}
		if got, err := message.GetRecipients(); err != nil || len(got) != 1 || got[0] != "<"+to+">" {
			rt.Fatalf("%q is sent to %q (%v)", to, got, err)
		}
	})
}
