package lesson

import (
	"context"
	"errors"
	"net/http"
	"slices"
)

const (
	deliveredSQL = `
SELECT count(*) FROM activity
 WHERE merchant_id = $1 AND payment_id = $2 AND kind = 'delivered' AND node = $3 AND facts->>'type' = 'payment.captured'`
	inboxSQL = `
SELECT count(*) FROM consumer_inbox i
  JOIN outbox_events o ON o.event_id = i.event_id AND o.destination IS NULL
 WHERE o.merchant_id = $1 AND o.correlation_id = $2 AND o.type = 'payment.captured' AND i.consumer = $3`
	twiceSQL = `
SELECT DISTINCT facts->>'type' FROM activity
 WHERE merchant_id = $1 AND payment_id = $2 AND kind = 'delivered'
 GROUP BY node, facts->>'type', facts->>'event_id' HAVING count(*) > 1`
)

// relayKilled: the relay dies when the broker has the event and the outbox does
// not know it.
func relayKilled(ctx context.Context, s *Scene) (string, error) {
	defer s.disarm(ctx)
	c, err := s.killedOver(ctx)
	if err != nil {
		return "", err
	}
	deliveries := s.atLeast(ctx, "deliveries", "The ledger's queue delivered the same event twice.", 2, deliveredSQL, s.merchant, c.id, "ledger")
	s.counts(ctx, "inbox", "The ledger's inbox admitted it once.", 1, inboxSQL, s.merchant, c.id, "ledger")
	s.checkOnce(ctx, c)
	var booked int
	if err := s.db.Get(ctx, &booked, ledgerSQL, s.merchant, c.id); err != nil {
		return "", err
	}
	switch {
	case booked == 0:
		return "missing", nil
	case booked > 1:
		return "doubled", nil
	case deliveries > 1:
		return "absorbed", nil
	}
	return "once", nil
}

// killedOver kills the relay over the event of a capture. The provider's message
// about the charge is an event of the same payment: when it is committed before
// the capture, the relay dies over that one, and another order is tried.
func (s *Scene) killedOver(ctx context.Context) (c checkout, err error) {
	for range 6 {
		if c, err = s.killedOnce(ctx); err != nil {
			return c, err
		}
		var twice []string
		err := s.await(ctx, "an event that was delivered twice", func(ctx context.Context) (bool, error) {
			err := s.db.Select(ctx, &twice, twiceSQL, s.merchant, c.id)
			return len(twice) > 0, err
		})
		// Without a second delivery the checks say so.
		if err != nil || slices.Contains(twice, "payment.captured") {
			return c, ctx.Err()
		}
		s.say(ctx, "The provider's own message was faster than the capture, so the relay died over that one. Once more, with another order.")
	}
	return c, errors.New("the provider's message was faster than the capture, six times")
}

func (s *Scene) killedOnce(ctx context.Context) (c checkout, err error) {
	if c, err = s.order(ctx); err != nil {
		return c, err
	}
	if err := s.settled(ctx, c); err != nil { // the order's own event must not meet the trap
		return c, err
	}
	if err := s.arm(ctx, c, "relay.after_confirm", "kill", 0); err != nil {
		return c, err
	}
	s.say(ctx, "The relay will be killed when the broker has confirmed the event of %s, before the outbox row is marked as published.", c.payment)
	got, _, err := s.insist(ctx, c, "lesson-"+c.payment, "tok_ok")
	if err != nil {
		return c, err
	}
	s.say(ctx, "The click was answered %s: checkout does not wait for relay or broker.", got)
	if got.Status != http.StatusOK {
		return c, unexpected(got)
	}
	if err := s.fired(ctx); err != nil {
		return c, err
	}
	s.say(ctx, "The relay is dead. It comes back, finds the row unmarked, and cannot know that the broker has it.")
	return c, s.settled(ctx, c)
}
