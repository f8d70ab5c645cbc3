package lesson

import (
	"context"
	"fmt"
	"net/http"
)

const (
	// An inversion is an event that was applied after a later one of its payment.
	inversionsSQL = `
SELECT count(*)
  FROM outbox_events earlier
  JOIN outbox_events later ON later.aggregate_id = earlier.aggregate_id AND later.aggregate_version > earlier.aggregate_version AND later.destination IS NULL
  JOIN consumer_inbox e ON e.consumer = 'email' AND e.event_id = earlier.event_id
  JOIN consumer_inbox l ON l.consumer = 'email' AND l.event_id = later.event_id
 WHERE earlier.merchant_id = $1 AND earlier.aggregate_id = ANY ($2::uuid[]) AND earlier.destination IS NULL
   AND e.processed_at > l.processed_at`
	waitedSQL = `
SELECT count(*) FROM activity WHERE merchant_id = $1 AND payment_id = $2 AND kind = 'retried' AND node = 'email'`
	noticesSQL = `SELECT count(*) FROM emails WHERE merchant_id = $1 AND payment_id = $2 AND template = 'declined' AND status = 'sent'`
)

// inOrder is how many payments show the ordinary case.
const inOrder = 4

// waits is how often the earlier event fails: with the demo's schedule it then
// waits for three seconds.
const waits = 3

// ordering: two events of one payment, and the earlier one has to wait.
func ordering(ctx context.Context, s *Scene) (string, error) {
	defer s.disarm(ctx)
	var ids []string
	for range inOrder {
		c, err := s.order(ctx)
		if err != nil {
			return "", err
		}
		if err := s.declineThenPay(ctx, c, nil); err != nil {
			return "", err
		}
		ids = append(ids, c.id.String())
	}
	s.say(ctx, "%d payments were declined and then paid: two events each, which the e-mail consumer was given in their order.", inOrder)
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	if err := s.watch(ctx, c.payment); err != nil {
		return "", err
	}
	for range waits {
		if err := s.arm(ctx, c, "email.before_effect", "error", 0); err != nil {
			return "", err
		}
	}
	s.say(ctx, "Now the e-mail consumer will fail %d times at the first event of %s.", waits, c.payment)
	err = s.declineThenPay(ctx, c, func() error {
		if err := s.fired(ctx); err != nil {
			return err
		}
		s.say(ctx, "The decline's event waits in a retry queue. The buyer pays with another card meanwhile.")
		return nil
	})
	if err != nil {
		return "", err
	}
	s.say(ctx, "Both events are applied, and both mails are out.")
	strict := s.counts(ctx, "strict", "Where nothing had to wait there is no inversion.", 0, inversionsSQL, s.merchant, arrayOf(ids))
	relaxed := s.atLeast(ctx, "relaxed", "Where one waited, the later event was applied first.", 1, inversionsSQL, s.merchant, arrayOf([]string{c.id.String()}))
	s.atLeast(ctx, "waited", "What waited is counted: the earlier event went through the retry queue.", waits, waitedSQL, s.merchant, c.id)
	s.counts(ctx, "notice", "The buyer got one mail that the first card was declined.", 1, noticesSQL, s.merchant, c.id)
	s.checkOnce(ctx, c)
	switch {
	case strict == 0 && relaxed > 0:
		return "overtakes", nil
	case relaxed == 0:
		return "stands", nil
	}
	return "mixed", nil
}

// declineThenPay pays with a card that is declined and then with one that is
// not, and waits until both events are through.
func (s *Scene) declineThenPay(ctx context.Context, c checkout, between func() error) error {
	first, _, err := s.insist(ctx, c, "first-"+c.payment, "tok_declined")
	if err != nil {
		return err
	}
	if first.Status != http.StatusPaymentRequired {
		return fmt.Errorf("a card that is declined was answered %s", first)
	}
	if between != nil {
		if err := between(); err != nil {
			return err
		}
	}
	second, _, err := s.insist(ctx, c, "second-"+c.payment, "tok_ok")
	if err != nil {
		return err
	}
	if second.Status != http.StatusOK {
		return unexpected(second)
	}
	return s.settled(ctx, c)
}
