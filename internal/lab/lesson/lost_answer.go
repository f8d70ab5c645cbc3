package lesson

import (
	"context"
	"net/http"
	"time"
)

// impatient is how long the client of this lesson waits, and late how long the
// answer is held when everything is done.
const (
	impatient = 1500 * time.Millisecond
	late      = 4000 // milliseconds
)

// lostAnswer: everything has happened, and the answer does not arrive.
func lostAnswer(ctx context.Context, s *Scene) (string, error) {
	defer s.disarm(ctx)
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	if err := s.arm(ctx, c, "capture.before_response", "delay", late); err != nil {
		return "", err
	}
	s.say(ctx, "The answer about %s will be held back for %d ms after everything is stored. The client's patience is %s.", c.payment, late, impatient)
	key := "lesson-" + c.payment
	hurried, cancel := context.WithTimeout(ctx, impatient)
	_, err = s.capture(hurried, c, key, "tok_ok")
	cancel()
	if err == nil {
		s.say(ctx, "The answer came in time after all; the rest of the lesson holds all the same.")
	} else {
		s.say(ctx, "The client has hung up. From where it stands the payment may have happened, or not.")
	}
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	charged, err := s.charges(ctx, c)
	if err != nil {
		return "", err
	}
	s.say(ctx, "Meanwhile, unseen by the client: %s, the booking, the mail and the tickets.", plural(charged, "charge"))
	var got answer
	if err := s.await(ctx, "the answer", func(ctx context.Context) (bool, error) {
		got, err = s.capture(ctx, c, key, "tok_ok")
		return got.Status == http.StatusOK, err
	}); err != nil {
		return "", err
	}
	s.say(ctx, "The client asks again with the same key: %s, Idempotent-Replayed: %s.", got, got.Header.Get("Idempotent-Replayed"))
	s.saw(ctx, "replayed", "The retry is given the stored answer.", "true", got.Header.Get("Idempotent-Replayed"), s.shop.curlOf(s.capturing(c, key, "tok_ok")))
	s.atLeast(ctx, "fates", "At least one attempt has the fate replayed.", 1, fateSQL, s.merchant, c.id, "replayed")
	s.counts(ctx, "attempts", "One attempt to charge was ever opened.", 1, attemptsSQL, s.merchant, c.id)
	charges := s.checkOnce(ctx, c)
	switch {
	case charges > 1:
		return "again", nil
	case got.Header.Get("Idempotent-Replayed") == "true":
		return "replayed", nil
	}
	return "error", nil
}
