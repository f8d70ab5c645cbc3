package lesson

import (
	"context"
	"net/http"
)

// A fence above one means that the attempt was taken over: who finished it is
// not who began it.
const takenOverSQL = `
SELECT count(*) FROM payment_attempts
 WHERE merchant_id = $1 AND payment_id = $2 AND attempt_no = 1 AND status = 'succeeded' AND fence > 1`

const attemptsSQL = `SELECT count(*) FROM payment_attempts WHERE merchant_id = $1 AND payment_id = $2`

// killedAfterCharge: the process dies when the money has moved and nobody has
// written it down.
func killedAfterCharge(ctx context.Context, s *Scene) (string, error) {
	defer s.disarm(ctx)
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	if err := s.arm(ctx, c, "capture.after_charge", "kill", 0); err != nil {
		return "", err
	}
	s.say(ctx, "The api will be killed (SIGKILL) when the provider has charged %s and nothing of it is stored.", c.payment)
	key := "lesson-" + c.payment
	got, err := s.capture(ctx, c, key, "tok_ok")
	if err != nil {
		s.say(ctx, "The click got no answer: the connection broke. The buyer knows nothing, and neither does the shop.")
	} else {
		s.say(ctx, "The click was answered %s.", got)
	}
	charged, err := s.charges(ctx, c)
	if err != nil {
		return "", err
	}
	s.say(ctx, "Asked directly, the provider holds %s. The dead process still has the attempt's lease, so nobody else may touch it yet.", plural(charged, "charge"))
	got, tries, err := s.insist(ctx, c, key, "tok_ok")
	if err != nil {
		return "", err
	}
	s.say(ctx, "Clicked again with the same key, %s in all, the answer is %s.", times(tries), got)
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	s.counts(ctx, "recovered", "Attempt 1 was finished by a recovery: taken over with a higher fence, and settled as the provider answered.", 1, takenOverSQL, s.merchant, c.id)
	s.counts(ctx, "attempts", "There is one attempt to charge: nobody opened a second.", 1, attemptsSQL, s.merchant, c.id)
	charges := s.checkOnce(ctx, c)
	switch {
	case charges > 1:
		return "again", nil
	case got.Status == http.StatusOK:
		return "asked", nil
	}
	return "lost", nil
}
