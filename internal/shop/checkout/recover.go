package checkout

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"payonce/internal/platform/fault"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once/idempotency"
)

// takeOverSQL makes this call the holder of an attempt that nobody holds, with
// a higher fence; the key that opened it follows. A second run by the driver
// recognises the holder that its first run wrote and changes nothing.
var takeOverSQL = postgres.Guarded("capture.take_over", `
WITH t AS (
  UPDATE payment_attempts
     SET fence = fence + CASE WHEN holder = $4::uuid THEN 0 ELSE 1 END,
         -- A client that asks early does not use up the schedule's questions.
         asked = asked + CASE WHEN holder = $4::uuid OR next_ask_at > clock_timestamp() THEN 0 ELSE 1 END,
         lease_until = CASE WHEN holder = $4::uuid THEN lease_until ELSE clock_timestamp() + $5::float8 * interval '1 second' END,
         next_ask_at = CASE WHEN holder = $4::uuid THEN next_ask_at ELSE clock_timestamp() + $5::float8 * interval '1 second' END,
         holder = $4::uuid
   WHERE payment_id = $1::uuid AND attempt_no = $2::integer AND status IN ('sending', 'in_doubt')
     AND (lease_until IS NULL OR lease_until <= clock_timestamp() OR holder = $4::uuid)
  RETURNING *, payment_id AS subject_id, attempt_no AS subject_no
), k AS (`+KeyTable.TakeOverFrom("t")+`)
SELECT `+attemptColumns+`
  FROM t a JOIN payments p ON p.id = a.payment_id JOIN orders o ON o.id = p.order_id`)

// Recover finds out what became of one attempt and stores it. It may be called
// by anybody at any time: one caller at a time gets the attempt, the others get
// it as it stands. What it returns is the attempt afterwards; an unfinished one
// is still in doubt, or in somebody else's hands.
func (s *Service) Recover(ctx context.Context, payment uuid.UUID, no int) (attempt, error) {
	var a attempt
	err := s.takeOver(ctx, &a, payment, no)
	if errors.Is(err, sql.ErrNoRows) {
		return s.attempt(ctx, payment, no)
	}
	if err != nil {
		return a, notExecuted(err)
	}
	s.tellTakeOver(ctx, a)
	if err := fault.Point("recovery.after_fetch", a.MerchantID, a.PaymentID); err != nil {
		return a, maybeExecuted(err) // The lease ends by itself.
	}
	o, err := s.ask(ctx, a)
	switch {
	case err != nil:
		// Whatever the error: it may have been sent once before under this key,
		// so even "refused" and "not sent" prove nothing about that first time.
		err = errors.Join(s.overdue(ctx, a), s.park(ctx, a))
	default:
		_, err = s.finalise(ctx, a, o)
	}
	if err != nil && !errors.Is(err, idempotency.ErrInProgress) {
		return a, err
	}
	if err := fault.Point("recovery.after_commit", a.MerchantID, a.PaymentID); err != nil {
		return a, maybeExecuted(err)
	}
	return s.attempt(ctx, payment, no)
}

// tellTakeOver also tells of the one that is gone: what a process had still to
// write about its own beginning may have died with it, the row has not. It is
// told as of then, under its own trace.
func (s *Service) tellTakeOver(ctx context.Context, a attempt) {
	about := observe.Event{Scope: a.MerchantID, Correlation: a.PaymentID, Operation: "capture", Key: a.OpenedBy, Attempt: a.No}
	if a.Status == attemptSending { // a doubt that was written down has an author who lived
		gone := about
		gone.At = a.SentAt
		s.tell(telemetry.WithTraceparent(ctx, a.Traceparent), observe.Interrupted, gone)
	}
	about.Detail = "recovery"
	s.tell(ctx, observe.Claimed, about)
}

// takeOver is carried through once it is on its way, whoever hangs up and
// whatever signal comes: an attempt taken over by nobody who knows of it would
// wait for the whole lease.
func (s *Service) takeOver(ctx context.Context, a *attempt, payment uuid.UUID, no int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)
	defer cancel()
	holder := uuid.New()
	return again(func() error {
		return takeOverSQL.Get(ctx, s.DB, a, payment, no, s.GiveUp.Seconds(), holder, s.Lease.Seconds())
	})
}

// ask resolves an attempt by asking, never by assuming.
func (s *Service) ask(ctx context.Context, a attempt) (outcome, error) {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ProviderDeadline)
	about := observe.Event{Scope: a.MerchantID, Correlation: a.PaymentID, Operation: "capture", Key: a.OpenedBy, Attempt: a.No, Detail: "recovery"}
	s.tell(ctx, observe.Sent, about)
	c, found, err := s.Provider.ChargeByKey(asking, a.ProviderKey)
	cancel()
	about.Node, about.Detail = "provider", string(c.Status)
	switch {
	case err != nil:
		about.Detail = "no answer"
	case !found:
		about.Detail = "unknown"
	}
	s.tell(ctx, observe.Answered, about)
	s.heard(ctx, err)
	switch {
	case err != nil:
		return outcome{}, err
	case found:
		return s.believeLeft(ctx, a, c)
	case a.Young:
		// The provider has never heard of it: the same key makes sending again safe.
		return s.send(ctx, a)
	}
	// Too old to surprise the buyer with a charge. The tombstone refuses a late
	// arrival, or says that it was charged after all.
	cancelling, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ProviderDeadline)
	defer cancel()
	c, err = s.Provider.Cancel(cancelling, a.ProviderKey)
	if err != nil {
		return outcome{}, err
	}
	return s.believeLeft(ctx, a, c)
}

// believeLeft is believe for a charge that stands in the provider's books since an
// unknown time: it may have gone back meanwhile.
func (s *Service) believeLeft(ctx context.Context, a attempt, c provider.Charge) (outcome, error) {
	if c.Status != provider.Succeeded {
		return s.believe(ctx, a, c)
	}
	alive, err := s.alive(ctx, c)
	switch {
	case err != nil:
		return outcome{}, err
	case !alive:
		return givenBack(c), nil
	}
	return s.believe(ctx, a, c)
}

// alive asks whether the provider holds anything of a charge.
func (s *Service) alive(ctx context.Context, c provider.Charge) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ProviderDeadline)
	defer cancel()
	refunds, err := s.Provider.RefundsOfCharge(ctx, c.ID)
	s.heard(ctx, err)
	return err == nil && provider.Hold(c, refunds).Alive(), err
}

// overdue tells a person about a doubt that is older than a day: no schedule
// will end it.
func (s *Service) overdue(ctx context.Context, a attempt) error {
	if !a.Overdue {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)
	defer cancel()
	return AlertInDoubt.RaiseAlone(ctx, s.DB, a.MerchantID, PaymentRef(a.PaymentID), map[string]any{
		"attempt_no": a.No, "asked": a.Asked, "object": a.ProviderKey, "amount_minor": a.AmountMinor, "currency": a.Currency,
	})
}

// believe checks that the provider's answer speaks of this attempt. A charge of
// another amount is never taken for ours: it is parked with an alert.
func (s *Service) believe(ctx context.Context, a attempt, c provider.Charge) (outcome, error) {
	ours := money.Of(a.AmountMinor, a.Currency)
	if c.Status == provider.Cancelled || c.Amount == ours {
		return outcomeOf(c), nil
	}
	s.Log.Error("the provider answered with another amount", "payment", PaymentRef(a.PaymentID), "attempt", a.No)
	err := postgres.InTx(ctx, s.DB, func(tx postgres.Tx) error { return otherAmount(ctx, tx, a, c) })
	return outcome{}, errors.Join(provider.ErrInDoubt, err)
}

func otherAmount(ctx context.Context, tx postgres.Tx, a attempt, c provider.Charge) error {
	return AlertAmount.Raise(ctx, tx, a.MerchantID, PaymentRef(a.PaymentID), map[string]any{
		"attempt_no": a.No, "expected_minor": a.AmountMinor, "expected_currency": a.Currency,
		"provider_minor": c.Amount.AmountMinor, "provider_currency": c.Amount.Currency, "provider_charge": c.ID,
		"object": c.ID, "amount_minor": c.Amount.AmountMinor, "currency": c.Amount.Currency,
	})
}
