package checkout

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/observe"
	"payonce/once/idempotency"
)

// known answers a delivery whose key exists.
func (s *Service) known(ctx context.Context, d *delivery, row idempotency.Row) (Result, bool, error) {
	if err := row.Match(d.request, d.print); err != nil {
		return Result{}, false, err
	}
	if !row.Completed() {
		return s.join(ctx, d, d.Payment, row.SubjectNo)
	}
	answer, err := row.Answer()
	res := Result{Answer: answer, Replayed: !d.recovered, Fate: Replayed}
	kind := observe.Replayed
	switch {
	case d.recovered:
		res.Fate, kind = Recovered, observe.Recovered
	case d.waited:
		res.Fate, kind = Waited, observe.Waited
	}
	s.tell(ctx, kind, observe.Event{Scope: d.Merchant, Correlation: d.Payment, Operation: "capture", Key: d.Key})
	return res, true, err
}

// unclaimable finds out why a payment could not be claimed.
func (s *Service) unclaimable(ctx context.Context, d *delivery) (Result, bool, error) {
	p, err := s.Payment(ctx, d.Merchant, d.Payment)
	if err != nil {
		return Result{}, false, err
	}
	if p.Amount() != d.Amount {
		return s.outcome(ctx, d, s.Render.ErrorAnswer(ctx, ErrAmountMismatch), Rejected)
	}
	switch p.Status {
	case Capturing, InDoubt:
		return s.join(ctx, d, p.ID, p.AttemptNo)
	case Captured:
		return s.matched(ctx, d, p.AttemptNo)
	case RequiresCapture, Declined:
		return Result{}, false, s.clear(ctx, d, p) // and look again
	}
	return s.outcome(ctx, d, s.Render.ErrorAnswer(ctx, ErrAlreadyCaptured), Rejected)
}

// outcome stores an answer under this delivery's own key.
func (s *Service) outcome(ctx context.Context, d *delivery, a idempotency.Answer, fate Fate) (Result, bool, error) {
	out, err := s.Keys.Store(ctx, d.request, a, PaymentRef(d.Payment))
	if errors.Is(err, idempotency.ErrInProgress) {
		return Result{}, false, nil // the same key began to run meanwhile
	}
	if err != nil {
		return Result{}, false, err
	}
	res := Result{Answer: out.Answer, Replayed: out.Replayed, Fate: fate}
	kind := observe.Matched
	switch fate {
	case Rejected:
		kind = observe.Rejected
	case Recovered:
		kind = observe.Recovered
	case Executed, Replayed, Waited, Matched:
	}
	if out.Replayed && fate != Recovered {
		// A twin with this very key was faster: its answer is what this key has.
		res.Fate, kind = Replayed, observe.Replayed
	}
	s.tell(ctx, kind, observe.Event{Scope: d.Merchant, Correlation: d.Payment, Operation: "capture", Key: d.Key})
	return res, true, nil
}

// matched answers a delivery that came with another key and meets the effect of
// attempt no: the business key beneath the header's key. A decline answers only
// for its own card: a delivery with another one looks again, and opens the next
// attempt.
func (s *Service) matched(ctx context.Context, d *delivery, no int) (Result, bool, error) {
	a, err := s.attempt(ctx, d.Payment, no)
	if err != nil {
		return Result{}, false, err
	}
	opener, err := s.opener(ctx, a)
	if err != nil {
		return Result{}, false, err
	}
	card := d.cardOf(a, opener, s.Keys.Secret)
	if a.Status != attemptSucceeded && card != sameCard {
		return Result{}, false, nil
	}
	answer, err := s.answerOf(ctx, a, opener)
	if err != nil {
		return Result{}, false, err
	}
	answer.Matched = card.matched()
	fate := Matched
	if d.recovered {
		fate = Recovered
	}
	return s.outcome(ctx, d, answer, fate)
}

// join waits for the run of an attempt, and finishes it if its holder is gone.
func (s *Service) join(ctx context.Context, d *delivery, payment uuid.UUID, no int) (Result, bool, error) {
	waited := s.wait(ctx, d, payment, no)
	if waited != nil && !errors.Is(waited, idempotency.ErrInProgress) {
		return Result{}, false, waited
	}
	a, err := s.attempt(ctx, payment, no)
	if err != nil {
		return Result{}, false, err
	}
	if waited == nil && a.unfinished() {
		if a, err = s.Recover(ctx, payment, no); err != nil {
			return Result{}, false, err
		}
		d.recovered = d.recovered || !a.unfinished()
	}
	switch {
	case a.Status == attemptInDoubt && (waited != nil || !a.Leased):
		res := s.doubtful(ctx, a)
		if a.OpenedBy != d.Key {
			res.Answer.Matched = d.cardSent(a).matched()
		}
		return res, true, nil
	case waited != nil:
		return Result{}, false, waited // patience is over
	case a.unfinished(), a.OpenedBy == d.Key, !a.final():
		// Look again: another process has just taken it over, or the key holds the
		// answer by now, or was given back.
		return Result{}, false, nil
	}
	return s.matched(ctx, d, no)
}

// final says whether the attempt ended with an outcome of the operation.
func (a attempt) final() bool {
	return a.Status == attemptSucceeded || a.Status == attemptDeclined || a.Status == attemptAbandoned
}

// wait returns when attempt no is no longer held by anybody, or with
// ErrInProgress when the delivery's patience ends. It holds no connection.
func (s *Service) wait(ctx context.Context, d *delivery, payment uuid.UUID, no int) error {
	free := func(ctx context.Context) (bool, error) {
		a, err := s.attempt(ctx, payment, no)
		return err == nil && (!a.unfinished() || !a.Leased), err
	}
	if now, err := free(ctx); err != nil || now {
		return err
	}
	d.waited = true
	// A duration, not a moment: how long a wait is does not hang on what time it is.
	ctx, cancel := context.WithTimeout(ctx, d.until.Sub(s.Now()))
	defer cancel()
	go func() {
		select {
		case <-s.Leaving:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := s.flights.Wait(ctx, payment.String(), free); err != nil {
		return idempotency.ErrInProgress
	}
	return nil
}

// doubtful is the 202: the provider may or may not have acted.
func (s *Service) doubtful(ctx context.Context, a attempt) Result {
	answer := s.Render.PaymentAnswer(a.payment(InDoubt), 202)
	s.tell(ctx, observe.Waited, observe.Event{Scope: a.MerchantID, Correlation: a.PaymentID, Operation: "capture", Attempt: a.No, Detail: InDoubt})
	return Result{Answer: answer, Fate: Waited, RetryAfter: max(s.calls.AskIn(a), time.Second)}
}
