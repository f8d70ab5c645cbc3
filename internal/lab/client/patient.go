package client

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"payonce/internal/edge/wire"
)

const (
	firstPause   = 300 * time.Millisecond
	longestPause = 5 * time.Second
)

// Waiting is what a patient call tells while there is no outcome.
type Waiting struct {
	// Why is the shop's refusal, or silence.
	Why error
	// Again counts the requests so far.
	Again int
	Pause time.Duration
}

// pause doubles from 0.3 s to 5 s; a Retry-After of the shop wins when it is
// longer. The page waits by the same rule.
func pause(again int, err error) time.Duration {
	grown := min(firstPause<<min(again-1, 10), longestPause)
	var refused *Refusal
	if errors.As(err, &refused) {
		grown = max(grown, retryAfter(refused.Header))
	}
	return grown
}

func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// mayAskAgain says whether the same request with the same key may be sent again
// because nothing was stored as its answer. Everything else is the operation's
// own outcome.
func mayAskAgain(err error) bool {
	var refused *Refusal
	switch {
	case errors.Is(err, ErrSilence):
		return true
	case !errors.As(err, &refused):
		return false
	case refused.Slug() == wire.KindKeyInProgress.Slug:
		return true
	}
	return refused.Problem.Status == http.StatusTooManyRequests || refused.Problem.Status >= http.StatusInternalServerError
}

// UntilAnswered sends a request until it has an outcome or ctx ends, and says
// how often it was sent. A request that changes something carries a key, the
// same each time: that is what makes asking again harmless. When ctx ends first
// the error is the last thing that was known.
func (c *Client) UntilAnswered(ctx context.Context, r Request, waiting func(Waiting)) (Answer, int, error) {
	for again := 1; ; again++ {
		answer, err := c.Do(ctx, r)
		if err == nil || !mayAskAgain(err) || ctx.Err() != nil {
			return answer, again, err
		}
		w := Waiting{Why: err, Again: again, Pause: pause(again, err)}
		waiting(w)
		if !sleep(ctx, w.Pause) {
			return Answer{}, again, err
		}
	}
}

// UntilSettled reads a payment that is in doubt until it is so no more, or ctx
// ends; then the payment is as it was last seen. The shop itself is finding out:
// nobody has to click for it.
func (c *Client) UntilSettled(ctx context.Context, first Answer, waiting func(Waiting)) (wire.Payment, error) {
	payment, err := Read[wire.Payment](first)
	if err != nil {
		return payment, err
	}
	header := first.Header
	for again := 1; open(payment.Status); again++ {
		w := Waiting{Again: again, Pause: max(pause(min(again, 3), nil), retryAfter(header))}
		waiting(w)
		if !sleep(ctx, w.Pause) {
			return payment, nil
		}
		answer, err := c.Do(ctx, Request{Method: http.MethodGet, Path: "/v1/payments/" + payment.ID})
		switch {
		case err == nil:
			if payment, err = Read[wire.Payment](answer); err != nil {
				return payment, err
			}
			header = answer.Header
		case !mayAskAgain(err) && ctx.Err() == nil:
			return payment, err
		}
	}
	return payment, nil
}

func open(s wire.PaymentStatus) bool {
	return s == wire.PaymentStatusInDoubt || s == wire.PaymentStatusCapturing
}

// sleep waits; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Until asks every quarter of a second whether something has come to be, until
// it has or ctx ends; an error of the question ends it too.
func Until(ctx context.Context, holds func() (bool, error)) error {
	for {
		if done, err := holds(); done || err != nil {
			return err
		}
		if !sleep(ctx, 250*time.Millisecond) {
			return nil
		}
	}
}
