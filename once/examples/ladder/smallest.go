package ladder

import (
	"context"
	"errors"
	"time"

	"payonce/once"
	"payonce/once/message"
)

// Smallest is the smallest relay that is correct. It publishes one event, waits for the
// confirm, marks it, and takes the next: no network call is made inside a transaction, and
// nothing is marked that the broker does not have.
//
// Run one of it. Two publish everything twice, and out of order.
type Smallest struct {
	DB       once.DB
	Broker   Broker
	Exchange string
	Every    time.Duration // between two looks
}

// Run relays until ctx ends. After trouble it looks again.
func (r Smallest) Run(ctx context.Context) error {
	for {
		_, _ = r.Turn(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.Every):
		}
	}
}

// Turn publishes what is pending, in the order of the numbers, and returns how many events
// that were. It stops at the first one that is not confirmed: behind it may stand another of
// the same aggregate.
func (r Smallest) Turn(ctx context.Context) (published int, err error) {
	events, err := read(ctx, r.DB, `SELECT no, aggregate, body FROM events WHERE published_at IS NULL ORDER BY no LIMIT 100`)
	if err != nil {
		return 0, err
	}
	for _, e := range events {
		if err := errors.Join(r.Broker.PublishAll(ctx, []message.Message{e.messageOf(r.Exchange)})...); err != nil {
			return published, err
		}
		if err := mark(ctx, r.DB, []int64{e.No}); err != nil {
			return published, err // it will be published once more
		}
		published++
	}
	return published, nil
}
