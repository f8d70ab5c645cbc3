package checkout

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once/call"
	onceotel "payonce/once/otel"
)

// Recover finds out what became of one attempt and stores it. It may be called
// by anybody at any time: one caller at a time gets the attempt, the others get
// it as it stands. What it returns is the attempt afterwards; an unfinished one
// is still in doubt, or in somebody else's hands.
func (s *Service) Recover(ctx context.Context, payment uuid.UUID, no int) (attempt, error) {
	a, err := s.calls.Recover(ctx, call.ID{Subject: payment.String(), No: no})
	return a, left(err)
}

// tellTakeOver also tells of the one that is gone: what a process had still to
// write about its own beginning may have died with it, the row has not. It is
// told as of then, under its own trace.
func (s *Service) tellTakeOver(ctx context.Context, a attempt) {
	about := observe.Event{Scope: a.MerchantID, Correlation: a.PaymentID, Operation: "capture", Key: a.OpenedBy, Attempt: a.No}
	if a.Status == attemptSending { // a doubt that was written down has an author who lived
		gone := about
		gone.At = a.SentAt
		s.tell(onceotel.WithTraceparent(ctx, a.Traceparent), observe.Interrupted, gone)
	}
	about.Detail = "recovery"
	s.tell(ctx, observe.Claimed, about)
}

// ask resolves an attempt by asking, never by assuming. It is [call.Outside]'s.
func (s *Service) ask(ctx context.Context, a attempt) (o outcome, known bool, err error) {
	s.tellTakeOver(ctx, a)
	about := observe.Event{Scope: a.MerchantID, Correlation: a.PaymentID, Operation: "capture", Key: a.OpenedBy, Attempt: a.No, Detail: "recovery"}
	s.tell(ctx, observe.Sent, about)
	c, found, err := s.Provider.ChargeByKey(ctx, a.ProviderKey)
	about.Node, about.Detail = "provider", string(c.Status)
	switch {
	case err != nil:
		about.Detail = "no answer"
	case !found:
		about.Detail = "unknown"
	}
	s.tell(ctx, observe.Answered, about)
	s.heard(ctx, err)
	if err != nil || !found {
		return outcome{}, false, err
	}
	o, err = s.believeLeft(ctx, a, c)
	return o, true, err
}

// cancel has the provider refuse the attempt's key from now on: too old to surprise the
// buyer with a charge. It is [call.Outside]'s.
func (s *Service) cancel(ctx context.Context, a attempt) (outcome, error) {
	c, err := s.Provider.Cancel(ctx, a.ProviderKey)
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
