package patterns

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/once"
	onceotel "payonce/once/otel"
	"payonce/once/outbox"
)

// The outbox. Its locks spell "payonce" and "payo".
var (
	Outbox = outbox.Table{Scope: "merchant_id", ID: "uuid"}
	Relays = outbox.Names{Exchange: "payonce.events", Channel: "payonce_outbox", Presence: 0x7061796f6e6365, Partitions: 0x7061796f}
)

// Source is what the house's envelopes say of their origin.
const Source = "/payonce"

// NewEvent is [outbox.New] with the ids of this house.
func NewEvent(scope, correlation uuid.UUID, aggregateType string, aggregate uuid.UUID, eventType string, payload any) (outbox.Event, error) {
	return outbox.New(Text(scope), Text(correlation), aggregateType, Text(aggregate), eventType, payload)
}

// Append writes events into the outbox; one that names no trace continues the context's.
func Append(ctx context.Context, tx once.Tx, events ...outbox.Event) error {
	traced := make([]outbox.Event, len(events))
	for i, e := range events {
		traced[i] = onceotel.Traced(ctx, e)
	}
	return Outbox.Append(ctx, tx, traced...)
}

// EventArgs are the parameters of an event for a folded statement.
func EventArgs(ctx context.Context, e outbox.Event) once.Args { return onceotel.Traced(ctx, e).Args() }

// Relay fills in what each relay of this house has in common; o may be nil.
func Relay(c outbox.Config, o observe.Observer) outbox.Config {
	c.Table, c.Names, c.Format, c.Troubles = Outbox, Relays, Format, alert.Troubles{}
	if c.Source == "" {
		c.Source = Source
	}
	if o != nil {
		c.Saw = func(ctx context.Context, s outbox.Seen) { o.Observe(ctx, sent(s)) }
	}
	if fault.Enabled {
		c.Point = func(step string, about []outbox.Event) error {
			ids := make([]uuid.UUID, 0, 2*len(about))
			for _, e := range about {
				ids = append(ids, ID(e.Scope), ID(e.Correlation))
			}
			return fault.Point(relayPoint(step), ids...)
		}
	}
	return c
}

func sent(s outbox.Seen) observe.Event {
	e := observe.Event{
		Kind: observe.Kind(s.What), Node: "relay", Scope: ID(s.Event.Scope), Correlation: ID(s.Event.Correlation),
		EventID: ID(s.Event.ID), Type: s.Event.Type,
	}
	if s.What == outbox.Returned {
		e.Detail = "no queue is bound"
	}
	return e
}

// relayPoint is the name of a relay's crash point.
func relayPoint(step string) string {
	switch step {
	case "after_fetch":
		return "relay.after_fetch"
	case "after_publish":
		return "relay.after_publish"
	case "after_confirm":
		return "relay.after_confirm"
	}
	return "relay.after_mark"
}

// Takes says with [outbox.ErrQueue] that a replay to a queue would wait.
func Takes(ctx context.Context, tx once.Tx, queue string) error {
	return Outbox.Takes(ctx, tx, alert.Troubles{}, queue)
}

// NewWaker makes what wakes the relays. It has a connection of its own, beside the pool's.
func NewWaker(db *postgres.DB, log *slog.Logger) *outbox.Waker {
	return outbox.NewWaker(db.Once(), Relays.Channel, log)
}
