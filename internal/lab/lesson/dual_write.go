package lesson

import (
	"context"
	"fmt"
	"net/http"

	"github.com/lib/pq"
)

const (
	backlogSQL = `
SELECT count(*) FROM outbox_events
 WHERE merchant_id = $1 AND aggregate_id = ANY ($2::uuid[]) AND type = 'payment.captured' AND published_at IS NULL`
	bookedSQL = `
SELECT count(DISTINCT payment_id) FROM ledger_transactions
 WHERE merchant_id = $1 AND payment_id = ANY ($2::uuid[]) AND kind = 'capture'`
)

// backlogged is how many payments are taken while nobody publishes.
const backlogged = 5

// stopped is how long the relay stands still, in milliseconds.
const stopped = 4000

// dualWrite: the way to the broker is closed while payments are taken.
func dualWrite(ctx context.Context, s *Scene) (string, error) {
	defer s.disarm(ctx)
	all, err := s.orders(ctx, backlogged)
	if err != nil {
		return "", err
	}
	if err := s.arm(ctx, all[0], "relay.after_fetch", "stop", stopped); err != nil {
		return "", err
	}
	s.say(ctx, "The relay, the only one who talks to the broker, will stand still for %d ms (SIGSTOP) at the first of %d payments.", stopped, backlogged)
	ids, taken := []string{}, 0
	for i, c := range all {
		got, _, err := s.insist(ctx, c, "lesson-"+c.payment, "tok_ok")
		if err != nil {
			return "", err
		}
		if got.Status == http.StatusOK {
			taken++
		}
		ids = append(ids, c.id.String())
		if i == 0 {
			if err := s.fired(ctx); err != nil {
				return "", err
			}
			s.say(ctx, "The first is paid, and the relay stands still with its event in hand.")
		}
	}
	var backlog int
	if err := s.db.Get(ctx, &backlog, backlogSQL, s.merchant, arrayOf(ids)); err != nil {
		return "", err
	}
	s.say(ctx, "%d of %d were answered 200 meanwhile. Nothing reached the broker: %d events wait in the outbox.", taken, backlogged, backlog)
	s.saw(ctx, "backlog", "While the relay stood still the events waited in the outbox, committed with their payments.",
		fmt.Sprint(backlogged), fmt.Sprint(backlog), filledIn(backlogSQL, []any{s.merchant, arrayOf(ids)}))
	for _, c := range all {
		if err := s.settled(ctx, c); err != nil {
			return "", err
		}
	}
	s.say(ctx, "The relay is awake again and has published what waited.")
	left := s.counts(ctx, "drained", "Nothing of it is left in the outbox.", 0, backlogSQL, s.merchant, arrayOf(ids))
	booked := s.counts(ctx, "booked", "Every payment that was answered 200 is booked.", taken, bookedSQL, s.merchant, arrayOf(ids))
	s.checkOnce(ctx, all[0])
	switch {
	case taken < backlogged:
		return "refused", nil
	case left == 0 && booked == taken && backlog > 0:
		return "waited", nil
	}
	return "missing", nil
}

// orders places several orders and waits until their own events are through.
func (s *Scene) orders(ctx context.Context, n int) ([]checkout, error) {
	all := make([]checkout, 0, n)
	for range n {
		c, err := s.order(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.settled(ctx, c); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// arrayOf writes ids as one Postgres array, so that a person can paste the query.
func arrayOf(ids []string) string {
	v, err := pq.Array(ids).Value()
	if err != nil {
		return "{}"
	}
	return fmt.Sprint(v)
}
