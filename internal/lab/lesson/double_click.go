package lesson

import (
	"context"
	"strconv"
)

const clicksSQL = `SELECT count(*) FROM attempts WHERE merchant_id = $1 AND payment_id = $2 AND operation = 'capture'`

// doubleClick: two clicks with one key at one moment.
func doubleClick(ctx context.Context, s *Scene) (string, error) {
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	s.say(ctx, "An order for two tickets waits for its payment %s.", c.payment)
	b, err := s.clicks(ctx, c, 2, "same")
	if err != nil {
		return "", err
	}
	s.say(ctx, "Two clicks left at the same moment with one Idempotency-Key. %s; %d of the answers came from the stored outcome.", b, b.Replayed)
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	s.say(ctx, "Ledger, tickets and mail are through. Now the checks.")
	s.counts(ctx, "attempts", "Both clicks reached the API.", 2, clicksSQL, s.merchant, c.id)
	charges := s.checkOnce(ctx, c)
	s.saw(ctx, "answers", "Both clicks got the same bytes: the second got the answer of the first.",
		"1", strconv.Itoa(b.DistinctBodies), s.shop.curlOf(s.clicking(c, 2, "same")))
	switch {
	case charges > 1:
		return "two", nil
	case b.Statuses["200"] == 2:
		return "same", nil
	}
	return "refused", nil
}
