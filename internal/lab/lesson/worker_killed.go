package lesson

import (
	"context"
	"net/http"
)

const absorbedSQL = `
SELECT count(*) FROM activity
 WHERE merchant_id = $1 AND payment_id = $2 AND kind = 'absorbed' AND node = $3 AND facts->>'type' = 'payment.captured'`

// workerKilled: a consumer dies when its effect is committed and the broker does
// not know it.
func workerKilled(ctx context.Context, s *Scene) (string, error) {
	defer s.disarm(ctx)
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	if err := s.arm(ctx, c, "ledger.after_commit", "kill", 0); err != nil {
		return "", err
	}
	s.say(ctx, "The worker will be killed when the ledger has committed its booking of %s, before it acknowledges the message.", c.payment)
	got, _, err := s.insist(ctx, c, "lesson-"+c.payment, "tok_ok")
	if err != nil {
		return "", err
	}
	if got.Status != http.StatusOK {
		return "", unexpected(got)
	}
	if err := s.fired(ctx); err != nil {
		return "", err
	}
	s.say(ctx, "The worker is dead, with the booking committed. The broker has seen no acknowledgement and keeps the message.")
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	s.say(ctx, "The worker is back and has got the message again.")
	absorbed := s.atLeast(ctx, "redelivered", "The ledger was given the event again, and its inbox absorbed it.", 1, absorbedSQL, s.merchant, c.id, "ledger")
	s.counts(ctx, "inbox", "The ledger's inbox holds one row for it.", 1, inboxSQL, s.merchant, c.id, "ledger")
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
	case absorbed > 0:
		return "absorbed", nil
	}
	return "acknowledged", nil
}
