package lesson

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"payonce/internal/edge/wire"
)

// otherAmount: a key that was used comes again with another amount.
func otherAmount(ctx context.Context, s *Scene) (string, error) {
	c, err := s.order(ctx)
	if err != nil {
		return "", err
	}
	key := "lesson-" + c.payment
	first, _, err := s.insist(ctx, c, key, "tok_ok")
	if err != nil {
		return "", err
	}
	s.say(ctx, "%s was paid: %d minor units, answered %s.", c.payment, c.amount, first)
	other := c
	other.amount += 100
	again, err := s.capture(ctx, other, key, "tok_ok")
	if err != nil {
		return "", err
	}
	places := pointers(again)
	s.say(ctx, "The same key with %d was answered %s; it points at %s.", other.amount, again, places)
	fresh, err := s.capture(ctx, other, key+"-other", "tok_ok")
	if err != nil {
		return "", err
	}
	s.say(ctx, "A key of its own with %d was answered %s.", other.amount, fresh)
	last, err := s.capture(ctx, c, key, "tok_ok")
	if err != nil {
		return "", err
	}
	s.say(ctx, "And the first request, repeated as it was, got its stored answer: %s.", last)
	if err := s.settled(ctx, c); err != nil {
		return "", err
	}
	s.saw(ctx, "refused", "The key with another amount is refused as reused.", "422 idempotency-key-reused", again.String(), s.shop.curlOf(s.capturing(other, key, "tok_ok")))
	s.saw(ctx, "pointer", "The refusal names the field that differs, and not what was stored.", "/amount_minor", places, s.shop.curlOf(s.capturing(other, key, "tok_ok")))
	s.saw(ctx, "mismatch", "Under a fresh key the amount is not the payment's either, and no card is charged.", "422 amount-mismatch", fresh.String(), s.shop.curlOf(s.capturing(other, key+"-other", "tok_ok")))
	s.saw(ctx, "stored", "The first answer is what it was, byte for byte.", "the same bytes", sameBytes(first, last), s.shop.curlOf(s.capturing(c, key, "tok_ok")))
	charges := s.checkOnce(ctx, c)
	switch {
	case charges > 1:
		return "charged", nil
	case again.Status == http.StatusUnprocessableEntity:
		return "refused", nil
	}
	return "replayed", nil
}

func sameBytes(a, b answer) string {
	if a.Status == b.Status && bytes.Equal(a.Body, b.Body) {
		return "the same bytes"
	}
	return fmt.Sprintf("%s, then %s with other bytes", a, b)
}

// pointers lists the fields that a problem points at.
func pointers(a answer) string {
	var problem wire.Problem
	if err := a.into(&problem); err != nil || problem.Errors == nil {
		return "nothing"
	}
	var places []string
	for _, e := range *problem.Errors {
		if e.Pointer != nil {
			places = append(places, *e.Pointer)
		}
	}
	return strings.Join(places, ", ")
}
