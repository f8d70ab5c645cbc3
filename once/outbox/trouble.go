package outbox

import (
	"context"
	"maps"
	"slices"
	"strings"

	"payonce/once"
)

// What the relay raises for a person. The subject is the route, so that ten thousand events
// without a queue are one trouble and not ten thousand.
var (
	TroubleUnroutable = once.TroubleKind{
		Name:   "unroutable",
		Means:  "the broker has no queue for an event; its aggregate waits",
		Remedy: "declare the queue; what a person sent again can be taken back",
		Ends:   "the relay, with the next event that the route takes; or the last that is taken back",
	}
	TroubleRefused = once.TroubleKind{
		Name:   "refused",
		Means:  "the broker does not take an event; its aggregate waits",
		Remedy: "look at the broker: its memory, its disk, the limits of the queue",
		Ends:   "the relay, with the next event that the route takes",
	}
)

// write raises the trouble about a route, or ends what is open about one that works
// again.
func (e *engine) write(ctx context.Context, n note) error {
	return e.cfg.DB.InTx(ctx, func(tx once.Tx) error {
		r := n.row
		if n.kind.Name == "" {
			return e.cfg.Troubles.End(ctx, tx, e.subject(r), TroubleUnroutable, TroubleRefused)
		}
		return e.cfg.Troubles.Raise(ctx, tx, once.Trouble{Kind: n.kind, Subject: e.subject(r), Facts: map[string]any{
			"event_id": r.EventID, "type": r.Type, "aggregate_id": r.AggregateID, "reason": n.reason,
		}})
	})
}

// subject is the route of an event, as exchange/key.
func (e *engine) subject(r row) string {
	exchange, key := r.route(e.cfg.Names.Exchange)
	return exchange + "/" + key
}

const waitForSQL = `
SELECT DISTINCT destination FROM {outbox_events} WHERE published_at IS NULL AND destination = ANY (@queues)`

// known reads which routes have an open trouble, of this relay or of another, and ends those
// about queues to which replays were sent and none waits any more. Another relay may have
// published the last one before it knew of the trouble, and no next event comes to a queue
// to which only a person sends.
func (e *engine) known(ctx context.Context) (failing map[string]bool, err error) {
	err = e.cfg.DB.InTx(ctx, func(tx once.Tx) error {
		failing = map[string]bool{}
		routes, err := e.cfg.Troubles.Open(ctx, tx, TroubleUnroutable, TroubleRefused)
		if err != nil {
			return err
		}
		idle := map[string]bool{}
		for _, route := range routes {
			if queue, replays := strings.CutPrefix(route, "/"); replays {
				idle[queue] = true
			} else {
				failing[route] = true
			}
		}
		if len(idle) == 0 {
			return nil
		}
		queues := make([]string, 0, len(idle))
		for queue := range idle {
			queues = append(queues, queue)
		}
		rows, err := e.cfg.Table.in(waitForSQL).Query(ctx, tx, once.Args{"queues": once.Array(queues)})
		waiting, err := once.All(rows, err, func(queue *string) []any { return []any{queue} })
		if err != nil {
			return err
		}
		for _, queue := range waiting {
			failing["/"+queue] = true
			delete(idle, queue)
		}
		for _, queue := range slices.Sorted(maps.Keys(idle)) { // two relays end them in one order
			if err := e.cfg.Troubles.End(ctx, tx, "/"+queue, TroubleUnroutable, TroubleRefused); err != nil {
				return err
			}
		}
		return nil
	})
	return failing, err
}
