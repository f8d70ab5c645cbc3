// Package observe is how patterns tell what happened, without knowing who
// listens. A pattern says "replayed" or "absorbed"; a journal, a counter or
// nobody hears it. Telling is fire and forget: an Observer never blocks, never
// fails and is never part of a transaction, so what it shows is a picture of
// the truth and not the truth itself.
package observe

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Kind says what happened. The names are part of the stream's public contract.
type Kind string

// What a pattern can tell.
const (
	AttemptReceived Kind = "attempt.received" // an intent was delivered once more
	Claimed         Kind = "claimed"          // this delivery is the one that runs
	Waited          Kind = "waited"           // a twin was running; this one waited for it
	Replayed        Kind = "replayed"         // the stored outcome was given again
	Matched         Kind = "matched"          // another key, the same business effect
	Interrupted     Kind = "interrupted"      // the one that ran ended without a word; told by who took over, at the time it began
	Recovered       Kind = "recovered"        // this delivery finished what another had begun
	Rejected        Kind = "rejected"         // refused before any effect
	Sent            Kind = "charge.sent"      // the outside world was called
	Answered        Kind = "charge.answered"  // and it answered
	Committed       Kind = "committed"        // effect, outcome and event became durable together
	Published       Kind = "published"        // the broker confirmed an event
	Returned        Kind = "returned"         // the broker had no queue for it
	Delivered       Kind = "delivered"        // a consumer got it (again)
	Absorbed        Kind = "absorbed"         // the inbox knew it: no second effect
	Applied         Kind = "applied"          // the effect was committed
	MailSent        Kind = "mail.sent"        // the mail server took it
	Retried         Kind = "retried"          // put back for later
	Dead            Kind = "dead"             // given to a person
	ProcessUp       Kind = "process.up"
	ProcessDown     Kind = "process.down"
)

// Event is one thing that happened. Empty fields mean "does not apply".
type Event struct {
	Kind Kind
	// Node is where: api, postgres, relay, rabbitmq, provider, mailbox or the
	// consumer's name.
	Node string
	// Scope is whose it is (the tenant), Correlation is the story it belongs to.
	Scope       uuid.UUID
	Correlation uuid.UUID
	// Operation, Key and Attempt speak of a keyed request. Listeners show only
	// the key's last characters.
	Operation string
	Key       string
	Attempt   int
	// EventID and Type speak of an event on its way through the broker.
	EventID uuid.UUID
	Type    string
	// Detail is one short word or sentence for a person; never a secret.
	Detail string
	At     time.Time
}

// Observer hears events. Observe must return at once and may drop.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// Nobody hears nothing.
type Nobody struct{}

// Observe implements [Observer].
func (Nobody) Observe(context.Context, Event) {}

// Func makes a function an [Observer].
type Func func(ctx context.Context, e Event)

// Observe implements [Observer].
func (f Func) Observe(ctx context.Context, e Event) { f(ctx, e) }

// All tells several observers.
func All(observers ...Observer) Observer {
	return Func(func(ctx context.Context, e Event) {
		for _, o := range observers {
			o.Observe(ctx, e)
		}
	})
}
