package lesson

import (
	"context"
	"strconv"
)

// twoTabs: the same payment from two pages, each with a key of its own.
func twoTabs(ctx context.Context, s *Scene) (string, error) {
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	s.say(ctx, "One order is open in two tabs. Each tab has made a key of its own for %s.", c.payment)
	b, err := s.clicks(ctx, c, 2, "fresh")
	if err != nil {
		return "", err
	}
	s.say(ctx, "Both tabs paid at the same moment. %s; %s marked Payonce-Matched.", b, plural(b.Matched, "answer"))
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	s.counts(ctx, "fates", "One of the two attempts was matched: another key, the same payment.", 1, fateSQL, s.merchant, c.id, "matched")
	s.saw(ctx, "header", "Its answer says so: Payonce-Matched: business-key.", "1", strconv.Itoa(b.Matched), s.shop.curlOf(s.clicking(c, 2, "fresh")))
	charges := s.checkOnce(ctx, c)
	switch {
	case charges > 1:
		return "two", nil
	case b.Statuses["200"] == 2:
		return "matched", nil
	}
	return "refused", nil
}

const fateSQL = `
SELECT count(*) FROM attempts
 WHERE merchant_id = $1 AND payment_id = $2 AND operation = 'capture' AND fate = $3`
