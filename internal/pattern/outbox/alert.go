package outbox

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
)

// Kinds of alerts that the relay raises. Their subject is the route, so that ten
// thousand events without a queue are one alert and not ten thousand.
var (
	AlertUnroutable = alert.Kind{
		Name:   "unroutable",
		Means:  "the broker has no queue for an event; its aggregate waits",
		Remedy: "declare the queue: start a worker; what a person sent again can be taken back: `POST /v1/ops/dead-letters/{id}/take-back` or `/v1/ops/events/take-back`",
		Ends:   "the relay, with the next event that the route takes; or the last that is taken back",
	}
	AlertRefused = alert.Kind{
		Name:   "refused",
		Means:  "the broker does not take an event; its aggregate waits",
		Remedy: "look at the broker: its memory, its disk, the limits of the queue",
		Ends:   "the relay, with the next event that the route takes",
	}
)

// write raises the alert about a route, or ends what is open about one that works
// again.
func (n note) write(ctx context.Context, db *postgres.DB) error {
	r := n.row
	if n.kind.Name == "" {
		return alert.ResolveAlone(ctx, db, subject(r), AlertUnroutable, AlertRefused)
	}
	return n.kind.RaiseAlone(ctx, db, uuid.Nil, subject(r), map[string]any{
		"event_id": r.EventID, "type": r.Type, "aggregate_id": r.AggregateID, "reason": n.reason,
	})
}

func subject(r row) string {
	exchange, key := r.route()
	return exchange + "/" + key
}

// idleRoute is a queue to which replays were sent, of which none waits any more.
const idleRoute = `subject LIKE '/%' AND NOT EXISTS (
  SELECT FROM outbox_events o WHERE o.published_at IS NULL AND o.destination = substr(subject, 2))`

// endOver ends the alerts about queues for which nothing waits. Another relay may have
// published the last one before it knew of the alert, and no next event comes to a queue
// to which only a person sends.
func endOver(ctx context.Context, db *postgres.DB) error {
	return postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		for _, kind := range []alert.Kind{AlertUnroutable, AlertRefused} {
			if err := kind.ResolveWhere(ctx, tx, idleRoute); err != nil {
				return err
			}
		}
		return nil
	})
}
