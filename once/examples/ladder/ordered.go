package ladder

import (
	"context"
	"errors"
	"time"

	"payonce/once"
	"payonce/once/message"
)

// Ordered takes only the first pending event of each aggregate into a batch, so a batch may
// be confirmed in any order and wait once. An event that is not taken holds its aggregate
// for a while, and no other one.
//
// Run one of it.
type Ordered struct {
	DB       once.DB
	Broker   Broker
	Exchange string
	Hold     time.Duration // how long an aggregate waits after trouble
	Now      func() time.Time

	held map[string]time.Time // aggregates, and until when
}

// first is the oldest pending event of each aggregate that is not held.
const first = `
SELECT no, aggregate, body
  FROM (SELECT DISTINCT ON (aggregate) no, aggregate, body
          FROM events
         WHERE published_at IS NULL AND aggregate <> ALL ($1::text[])
         ORDER BY aggregate, no) AS each
 ORDER BY no LIMIT 100`

// Turn publishes one batch. Call it again at once while it publishes something.
func (r *Ordered) Turn(ctx context.Context) (published int, err error) {
	return r.batch(ctx, first, once.Array(r.holding()))
}

// batch publishes what a query finds and marks what was confirmed.
func (r *Ordered) batch(ctx context.Context, query string, args ...any) (published int, err error) {
	events, err := read(ctx, r.DB, query, args...)
	if err != nil {
		return 0, err
	}
	confirmed, err := r.publish(ctx, events)
	if len(confirmed) == 0 {
		return 0, err
	}
	return len(confirmed), errors.Join(err, mark(ctx, r.DB, confirmed))
}

// publish sends a batch, waits for all of its confirms, and holds the aggregates of those
// that were not taken.
func (r *Ordered) publish(ctx context.Context, events []Event) (confirmed []int64, err error) {
	messages := make([]message.Message, len(events))
	for i, e := range events {
		messages[i] = e.messageOf(r.Exchange)
	}
	var trouble []error
	for i, err := range r.Broker.PublishAll(ctx, messages) {
		if err == nil {
			confirmed = append(confirmed, events[i].No)
			continue
		}
		trouble = append(trouble, err)
		if r.held == nil {
			r.held = map[string]time.Time{}
		}
		r.held[events[i].Aggregate] = r.Now().Add(r.Hold)
	}
	return confirmed, errors.Join(trouble...)
}

func (r *Ordered) holding() []string {
	held := []string{}
	for aggregate, until := range r.held {
		if r.Now().Before(until) {
			held = append(held, aggregate)
		} else {
			delete(r.held, aggregate)
		}
	}
	return held
}
