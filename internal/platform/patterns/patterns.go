// Package patterns is how this house sets the patterns of payonce/once: by which names
// they go at the broker, in which tables they keep what, and where goes what they see,
// raise and trace.
package patterns

import (
	"context"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/inbox"
	onceotel "payonce/once/otel"
	"payonce/once/retry"
)

// Name is the house's name for its set of the patterns.
const Name once.Name = "payonce"

// The names at the broker and in messages, and the tables. A scope is a merchant here, and
// each id is a UUID.
var (
	Format  = format()
	Names   = retry.Names{Dead: "payonce.dead", Delay: "payonce.retry.", Format: Format}
	Inbox   = inbox.Table{Alone: true}
	Letters = retry.Table{Scope: "merchant_id"}
)

var now = time.Now //nolint:forbidigo // the one place where the patterns' clock comes in

func format() envelope.Format {
	f := envelope.Of(Name)
	f.Scope, f.ID = "payonce-merchant", envelope.UUID
	return f
}

// Handler is an [inbox.Handler] of this house: its transaction reads rows into structs.
type Handler func(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error

// Inbox is the handler as package inbox calls it.
func (h Handler) Inbox() inbox.Handler {
	if h == nil {
		return nil
	}
	return func(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
		return h(ctx, postgres.Reading(tx), batch)
	}
}

// Consumer fills in what each consumer of this house has in common; o may be nil.
func Consumer(c inbox.Config, o observe.Observer) inbox.Config {
	c.Table, c.Names, c.Troubles, c.Now = Inbox, Names, alert.Troubles{}, now
	c.Context = onceotel.OfMessage
	if o != nil {
		c.Saw = func(ctx context.Context, s inbox.Seen) { o.Observe(ctx, seen(c.Consumer, s)) }
	}
	if fault.Enabled {
		c.Point = func(step string, about []inbox.Message) error {
			return fault.Point(point(c.Consumer, step), stories(about)...)
		}
	}
	return c
}

func seen(consumer string, s inbox.Seen) observe.Event {
	m := s.Message
	e := observe.Event{
		Kind: observe.Kind(s.What), Node: consumer, Scope: ID(m.Scope), Correlation: ID(m.Correlation), Attempt: m.Attempt,
		EventID: ID(m.EventID), Type: m.Type,
	}
	if s.What == inbox.Retried {
		e.Detail = "again in " + s.Delay.String()
	}
	return e
}

// point is the name of a consumer's crash point.
func point(consumer, step string) string {
	switch step {
	case "after_intent":
		return "around.after_intent"
	case "after_call":
		return "around.after_call"
	}
	return consumer + "." + step
}

func stories(about []inbox.Message) (ids []uuid.UUID) {
	for _, m := range about {
		ids = append(ids, ID(m.Scope), ID(m.Correlation))
	}
	return ids
}

// Collector fills in what the collector of dead letters has of this house; o may be nil.
func Collector(c retry.CollectorConfig, o observe.Observer) retry.CollectorConfig {
	c.Table, c.Names, c.Troubles, c.Applied, c.Now = Letters, Names, alert.Troubles{}, Inbox.Applied, now
	if o != nil {
		c.Saw = func(ctx context.Context, l retry.Letter) {
			o.Observe(ctx, observe.Event{
				Kind: observe.Dead, Node: l.Consumer, Scope: ID(l.Scope), EventID: ID(l.Event()), Type: l.Type, Detail: l.Class, Attempt: l.Attempts,
			})
		}
	}
	if fault.Enabled {
		c.Point = func(step string, l retry.Letter) error {
			name := "letters.after_fetch"
			if step == "after_commit" {
				name = "letters.after_commit"
			}
			return fault.Point(name, ID(l.Event()), ID(l.Scope))
		}
	}
	return c
}

// ID reads an id that [Format] has let in; the zero id where there is none.
func ID(text string) uuid.UUID {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil
	}
	return id
}

// Text is the id as the patterns take it, "" for the zero id.
func Text(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}
