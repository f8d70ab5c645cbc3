package lesson

import (
	"context"
	"net/http"
)

// timeoutAfterCharge: the provider charges, and its answer is lost.
func timeoutAfterCharge(ctx context.Context, s *Scene) (string, error) {
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	key := "lesson-" + c.payment
	s.say(ctx, "%s is paid with a card whose charge succeeds and whose answer never comes.", c.payment)
	first, err := s.capture(ctx, c, key, "tok_timeout_after")
	if err != nil {
		return "", err
	}
	s.say(ctx, "After its deadline the shop answered %s: it does not know, and says so.", first)
	charged, err := s.charges(ctx, c)
	if err != nil {
		return "", err
	}
	s.say(ctx, "The provider holds %s at this moment.", plural(charged, "charge"))
	if err := s.await(ctx, "the payment to leave doubt", func(ctx context.Context) (bool, error) {
		var p struct {
			Status string `json:"status"`
		}
		err := s.shop.get(ctx, "/v1/payments/"+c.payment, &p)
		return p.Status == "captured" || p.Status == "declined", err
	}); err != nil {
		return "", err
	}
	s.say(ctx, "Nobody has retried. Asked by the attempt's own key, the provider has answered what became of it.")
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	last, _, err := s.insist(ctx, c, key, "tok_timeout_after")
	if err != nil {
		return "", err
	}
	s.say(ctx, "The client's own retry, with the same key, now gets %s.", last)
	s.saw(ctx, "doubt", "The first answer was 202: accepted, and not known.", "202", first.String(), s.shop.curlOf(s.capturing(c, key, "tok_timeout_after")))
	s.counts(ctx, "captured", "The payment is captured, by attempt 1, which was taken over to ask.", 1, takenOverSQL, s.merchant, c.id)
	s.counts(ctx, "attempts", "No second attempt was opened.", 1, attemptsSQL, s.merchant, c.id)
	charges := s.checkOnce(ctx, c)
	switch {
	case charges > 1:
		return "again", nil
	case first.Status == http.StatusAccepted && last.Status == http.StatusOK:
		return "doubt", nil
	}
	return "failed", nil
}
