package checkout

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/fault"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once"
	"payonce/once/call"
	"payonce/once/idempotency"
)

// Capture asks to charge a payment.
type Capture struct {
	Merchant uuid.UUID
	Key      string
	Payment  uuid.UUID
	Amount   money.Money
	Token    string
	// Wait bounds how long a duplicate waits for its twin; 0 means the default.
	Wait time.Duration
}

func (c Capture) request() idempotency.Request {
	return idempotency.Request{
		Scope: c.Merchant.String(), Key: c.Key, Operation: "POST /v1/payments/{id}/capture",
		Fields: []idempotency.Field{
			{Pointer: "/id", Value: c.Payment.String()},
			{Pointer: "/amount_minor", Value: strconv.FormatInt(c.Amount.AmountMinor, 10)},
			{Pointer: "/currency", Value: c.Amount.Currency},
			{Pointer: "/card_token", Value: c.Token},
		},
	}
}

// delivery is one request on its way through the protocol.
type delivery struct {
	Capture
	request idempotency.Request
	print   idempotency.Fingerprint
	// until is when waiting ends.
	until time.Time
	// waited says that this delivery joined a twin's run; recovered that it
	// finished one.
	waited, recovered bool
	// cleared is the number up to which the provider was asked whether it holds
	// a charge that we do not know of.
	cleared int
}

// Capture charges a payment once, whatever number of deliveries ask for it. The
// numbers are those of the package comment.
func (s *Service) Capture(ctx context.Context, c Capture) (Result, error) {
	if c.Wait <= 0 {
		c.Wait = s.Wait
	}
	c.Wait = min(c.Wait, s.MaxWait)
	d := &delivery{Capture: c, request: c.request(), until: s.Now().Add(c.Wait)}
	d.print = d.request.Fingerprint(s.Keys.Secret)
	for {
		res, done, err := s.try(ctx, d)
		if err != nil {
			return Result{Fate: Rejected, PaymentID: c.Payment}, s.keyed(err)
		}
		if done {
			res.PaymentID = c.Payment
			return res, nil
		}
		if err := ctx.Err(); err != nil {
			return Result{Fate: Rejected, PaymentID: c.Payment}, notExecuted(err)
		}
	}
}

// try goes through the protocol once. It is not done when the world moved
// meanwhile (a twin finished, a key was given back) and the next look decides.
func (s *Service) try(ctx context.Context, d *delivery) (res Result, done bool, err error) {
	// 1. The key.
	row, found, err := s.Keys.Lookup(ctx, d.request.Scope, d.Key)
	if err != nil {
		return res, false, notExecuted(err)
	}
	if found {
		return s.known(ctx, d, row)
	}
	// 2. tx1.
	if err := fault.Point("capture.before_claim", d.Merchant, d.Payment); err != nil {
		return res, false, notExecuted(err)
	}
	a, err := s.claim(ctx, d)
	_, noDay := postgres.NoPartition(err)
	switch {
	case noDay:
		return res, false, notExecuted(err)
	case s.Keys.Taken(err):
		return res, false, nil
	case errors.Is(err, errNotClaimable):
		return s.unclaimable(ctx, d)
	case once.LockTimeout(err):
		return res, false, idempotency.ErrInProgress
	case err != nil:
		return res, false, maybeExecuted(err)
	}
	if err := fault.Point("capture.after_claim", d.Merchant, d.Payment); err != nil {
		return res, false, maybeExecuted(err)
	}
	s.tell(ctx, observe.Claimed, observe.Event{Scope: d.Merchant, Correlation: d.Payment, Operation: "capture", Key: d.Key, Attempt: a.No})
	// 3 and 4.
	res, err = s.charge(ctx, a)
	if err := fault.Point("capture.before_response", d.Merchant, d.Payment); err != nil {
		return res, false, maybeExecuted(err)
	}
	return res, err == nil, err
}

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
		// Look again: somebody else has just taken it over, or the key holds the
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

// charge is steps 3 and 4 for an attempt that this process holds.
func (s *Service) charge(ctx context.Context, a attempt) (Result, error) {
	a, err := s.calls.Run(ctx, a)
	switch {
	case err != nil:
		return Result{}, left(err)
	case a.Status == attemptInDoubt:
		res := s.doubtful(ctx, a)
		res.Fate = Executed
		return res, nil
	}
	res := Result{Fate: Executed}
	if a.end == nil { // a twin was faster
		res.Answer, err = s.storedAnswer(ctx, a)
		return res, err
	}
	res.Answer = a.end.answer
	return res, nil
}

// send calls the provider under the attempt's own key. It is [call.Outside]'s.
func (s *Service) send(ctx context.Context, a attempt) (outcome, error) {
	about := observe.Event{Scope: a.MerchantID, Correlation: a.PaymentID, Operation: "capture", Key: a.OpenedBy, Attempt: a.No}
	if err := fault.Point("capture.before_charge", a.MerchantID, a.PaymentID); err != nil {
		return outcome{}, errors.Join(provider.ErrInDoubt, err)
	}
	s.tell(ctx, observe.Sent, about)
	c, err := s.Provider.Charge(ctx, provider.Request{
		Key: a.ProviderKey, Reference: PaymentRef(a.PaymentID), Amount: money.Of(a.AmountMinor, a.Currency), Token: a.CardToken.String,
	})
	if err := fault.Point("capture.after_charge", a.MerchantID, a.PaymentID); err != nil {
		return outcome{}, errors.Join(provider.ErrInDoubt, err)
	}
	about.Node, about.Detail = "provider", string(c.Status)
	if err != nil {
		about.Detail = "no answer"
	}
	s.tell(ctx, observe.Answered, about)
	switch {
	case errors.Is(err, provider.ErrNotSent):
		return outcome{}, fmt.Errorf("%w: %w", call.ErrNotSent, err)
	case errors.Is(err, provider.ErrRefused):
		return outcome{}, fmt.Errorf("%w: %w", call.ErrRefused, err)
	case err != nil:
		return outcome{}, err
	}
	return s.believe(ctx, a, c)
}
