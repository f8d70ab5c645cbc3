package lesson

import (
	"context"
	"net/http"

	"payonce/internal/lab/client"
)

// age is older than any event that the inbox remembers, in days.
const age = 60

// retention: what comes back when nobody remembers it.
func retention(ctx context.Context, s *Scene) (string, error) {
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	key := "lesson-" + c.payment
	first, _, err := s.insist(ctx, c, key, "tok_ok")
	if err != nil {
		return "", err
	}
	if first.Status != http.StatusOK {
		return "", unexpected(first)
	}
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	s.say(ctx, "%s is paid, and everything that follows has happened.", c.payment)
	if err := s.must(ctx, http.StatusAccepted, client.Request{Method: http.MethodPost, Path: "/v1/lab/expire", Body: map[string]any{"idempotency_key": key}}, nil); err != nil {
		return "", err
	}
	s.say(ctx, "The key's 72 hours are over: its row counts as absent.")
	late, err := s.capture(ctx, c, key, "tok_ok")
	if err != nil {
		return "", err
	}
	matched := late.Header.Get("Payonce-Matched")
	s.say(ctx, "A client that comes back with it now gets %s, Payonce-Matched: %s.", late, matched)
	l, replay, err := s.oldEvent(ctx, c)
	if err != nil {
		return "", err
	}
	s.saw(ctx, "matched", "The late key is matched by the payment itself.", "business-key", matched, s.shop.curlOf(s.capturing(c, key, "tok_ok")))
	s.saw(ctx, "refused", "The inbox cannot know whether it has seen the old event, so it goes to a person and an ordinary replay is refused.",
		"409 dead-letter-too-old", replay.String(), s.shop.curlOf(s.deciding(l, "replay", "It looks harmless.")))
	s.counts(ctx, "letter", "The old event lies among the dead letters, with its reason.", 1, tooOldSQL, s.merchant)
	charges := s.checkOnce(ctx, c)
	switch {
	case charges > 1:
		return "again", nil
	case late.Status == http.StatusOK && matched == "business-key":
		return "matched", nil
	}
	return "refused", nil
}

// oldEvent delivers an event that the inbox cannot know, and decides about the
// letter that it becomes: a replay, which is refused, and then by business key.
func (s *Scene) oldEvent(ctx context.Context, c checkout) (l letter, replay answer, err error) {
	old := map[string]any{"payment_id": c.payment, "times": 1, "consumer": "ledger", "age_days": age}
	if err := s.must(ctx, http.StatusAccepted, client.Request{Method: http.MethodPost, Path: "/v1/lab/redeliver", Body: old}, nil); err != nil {
		return l, replay, err
	}
	if l, err = s.open(ctx, c, "ledger"); err != nil {
		return l, replay, err
	}
	s.say(ctx, "An event that is %d days old was delivered to the ledger. It is among the dead letters: %q.", age, l.Reason)
	if replay, err = s.shop.send(ctx, s.deciding(l, "replay", "It looks harmless.")); err != nil {
		return l, replay, err
	}
	s.say(ctx, "Replaying it is refused: %s. A person applies it by its business key instead.", replay)
	if err := s.must(ctx, http.StatusAccepted, s.deciding(l, "apply", "The ledger books a payment once, whoever asks."), nil); err != nil {
		return l, replay, err
	}
	if err := s.await(ctx, "the old event to be applied", func(ctx context.Context) (bool, error) {
		var n int
		err := s.db.Get(ctx, &n, appliedSQL, s.merchant, c.id, "ledger")
		return n >= 2, err
	}); err != nil {
		return l, replay, err
	}
	s.say(ctx, "The ledger was given it, without its inbox, and found the payment booked.")
	return l, replay, nil
}

const appliedSQL = `
SELECT count(*) FROM activity
 WHERE merchant_id = $1 AND payment_id = $2 AND kind = 'applied' AND node = $3 AND facts->>'type' = 'payment.captured'`

const tooOldSQL = `
SELECT count(*) FROM dead_letters
 WHERE merchant_id = $1 AND consumer = 'ledger' AND class = 'permanent' AND reason LIKE 'older_than_dedupe_window%'`
