package checkout_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/world"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
)

func (s *shop) resolve(payment uuid.UUID, decision string) (checkout.Resolution, error) {
	s.t.Helper()
	p, err := s.Payment(context.Background(), s.merchant, payment)
	require.NoError(s.t, err)
	return s.Resolve(context.Background(), checkout.Resolve{Payment: p, Decision: decision, Reason: "the bank said so on the phone", By: "operator"})
}

// contradicted is a payment whose stored decline the provider contradicts: its
// books hold a charge under the very key that was declined here.
func (s *shop) contradicted() uuid.UUID {
	s.t.Helper()
	payment := s.payment()
	real := s.Provider
	s.Provider = charging{Charger: real, charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
		c, err := real.Charge(ctx, r)
		c.Status, c.DeclineCode = provider.Declined, "insufficient_funds"
		return c, err
	}}
	r, err := s.capture(payment, "K1", "tok_ok")
	require.NoError(s.t, err)
	require.Equal(s.t, 402, r.Answer.Status)
	s.Provider = real
	require.Equal(s.t, 1, s.charges(payment, "succeeded"))
	_, err = s.capture(payment, "K2", "tok_ok")
	require.ErrorIs(s.t, err, checkout.ErrNeedsReview)
	return payment
}

func TestAChargeAliveUnderAnEarlierAttemptForbidsANewOneAndAlerts(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.contradicted()
		require.Equal(t, 1, s.charges(payment, "succeeded"), "nothing was sent a second time")
		require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts`))
		require.Equal(t, 1, s.count(`SELECT count(*) FROM alerts WHERE kind = 'provider_contradiction' AND facts->>'stored' = 'declined' AND facts->>'provider_says' = 'succeeded'`))
		require.Equal(t, 0, s.count(`SELECT count(*) FROM idempotency_keys WHERE key = 'K2'`))
	})
}

func TestAContradictionOfAnEarlierAttemptRefusesTheNextOneAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	for _, key := range []string{"K1", "K2"} {
		_, err := s.capture(payment, key, "tok_declined")
		require.NoError(t, err)
	}
	s.exec(`UPDATE payment_attempts SET contradicted_at = clock_timestamp() WHERE attempt_no = 1`)
	_, err := s.capture(payment, "K3", "tok_ok")
	require.ErrorIs(t, err, checkout.ErrNeedsReview)
}

func TestWhileTheProviderCannotBeAskedNoSecondAttemptOpens(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	_, err := s.capture(payment, "K1", "tok_declined")
	require.NoError(t, err)
	s.world.Behave(world.Behaviour{Outage: "unavailable"})
	_, err = s.capture(payment, "K2", "tok_ok")
	var away *checkout.UnavailableError
	require.ErrorAs(t, err, &away)
	require.Equal(t, "no", away.Executed)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts`))
	s.world.Behave(world.Behaviour{})
	r, err := s.capture(payment, "K2", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
}

func TestAcceptingTheProvidersChargeCapturesWithItAndRewritesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.contradicted()
	done, err := s.resolve(payment, checkout.AcceptProvider)
	require.NoError(t, err)
	require.Equal(t, checkout.Captured, done.Payment.Status)
	require.Equal(t, s.world.ChargesByReference(checkout.PaymentRef(payment))[0].ID, done.Payment.ProviderChargeID.String)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts WHERE attempt_no = 1 AND status = 'declined'`), "attempt 1 stays what it was")
	require.Equal(t, 1, s.events(payment, "payment.captured"))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM orders WHERE status = 'paid'`))
	require.Equal(t, 0, s.count(`SELECT count(*) FROM alerts WHERE state = 'open'`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_resolutions WHERE decision = 'accept_provider' AND decided_by = 'operator' AND reason <> ''`))

	stored, err := s.capture(payment, "K1", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 402, stored.Answer.Status, "a stored answer is never rewritten")
	fresh, err := s.capture(payment, "K3", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, fresh.Answer.Status)
	require.Equal(t, checkout.Matched, fresh.Fate)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestKeepingOursIsRefusedWhileTheProviderHoldsTheMoneyAndOpensTheNextAttemptAfterwards(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	_, err := s.capture(payment, "K1", "tok_declined")
	require.NoError(t, err)
	holds := provider.Charge{ID: "ch_theirs", Reference: checkout.PaymentRef(payment), IdempotencyKey: "capture:" + checkout.PaymentRef(payment) + ":1",
		Amount: amount84, Status: provider.Succeeded}
	s.hear(chargeSaid(t, holds.IdempotencyKey, holds.ID, "succeeded", amount84))
	real := s.Provider
	s.Provider = listing{real, holds}
	_, err = s.resolve(payment, checkout.KeepOurs)
	require.ErrorIs(t, err, checkout.ErrStillApart)
	require.Equal(t, 1, s.alerts(provider.AlertContradiction), "the alert stays open")
	require.Equal(t, 0, s.count(`SELECT count(*) FROM payment_resolutions`))

	s.Provider = real // somebody gave it back there
	done, err := s.resolve(payment, checkout.KeepOurs)
	require.NoError(t, err)
	require.Equal(t, checkout.Declined, done.Payment.Status)
	require.Equal(t, 0, s.alerts(provider.AlertContradiction))
	r, err := s.capture(payment, "K2", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

// listing is a provider whose books hold one charge more.
type listing struct {
	provider.Charger
	more provider.Charge
}

func (l listing) ChargesByReference(ctx context.Context, reference string) ([]provider.Charge, error) {
	all, err := l.Charger.ChargesByReference(ctx, reference)
	if reference == l.more.Reference {
		all = append(all, l.more)
	}
	return all, err
}

func TestAChargeOfAnotherAmountIsParkedForeverUntilAPersonSaysSoAndIsNeverCaptured(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	s.world.Behave(world.Behaviour{Charges: "other_amount"})
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 202, r.Answer.Status)
	s.world.Behave(world.Behaviour{})
	s.leaseEnds(payment)
	require.Equal(t, 0, s.sweep(), "the books say the same: it is asked about, and parked again")
	require.Equal(t, checkout.InDoubt, s.state(payment))
	require.Equal(t, 1, s.alerts(checkout.AlertAmount))
	for _, decision := range []string{checkout.AcceptProvider, checkout.KeepOurs} {
		_, err := s.resolve(payment, decision)
		require.ErrorIs(t, err, checkout.ErrStillApart, decision)
	}
	require.Equal(t, 1, s.alerts(checkout.AlertAmount))
	require.Equal(t, 0, s.events(payment, "payment.captured"))
}

func TestAnAttemptInDoubtEndsAsAbandonedByAPersonAndTheLateChargeMeetsTheTombstone(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	s.died(payment, "K", "tok_ok", false)
	s.leaseEnds(payment)
	s.exec(`UPDATE payment_attempts SET status = 'in_doubt', lease_until = NULL`)
	s.exec(`UPDATE payments SET status = 'in_doubt'`)
	s.exec(`INSERT INTO alerts (id, merchant_id, kind, subject, facts) VALUES ($1, $2, 'provider_in_doubt', $3, '{"attempt_no": 1}')`,
		uuid.Must(uuid.NewV7()), s.merchant, checkout.PaymentRef(payment))
	done, err := s.resolve(payment, checkout.KeepOurs)
	require.NoError(t, err)
	require.Equal(t, checkout.Declined, done.Payment.Status)
	require.Equal(t, "abandoned", done.Payment.DeclineCode.String)
	late, err := s.Provider.Charge(t.Context(), provider.Request{
		Key: "capture:" + checkout.PaymentRef(payment) + ":1", Reference: checkout.PaymentRef(payment), Amount: amount84, Token: "tok_ok"})
	require.NoError(t, err)
	require.Equal(t, provider.Cancelled, late.Status)
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 402, r.Answer.Status, "the key has its answer")
}

func TestOfTenPeopleWhoDecideAtOnceOneDoesAndNineHearThatNothingIsOpen(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.contradicted()
	var decided, late atomic.Int32
	together(10, func(int) {
		_, err := s.resolve(payment, checkout.AcceptProvider)
		if err == nil {
			decided.Add(1)
		} else if errors.Is(err, checkout.ErrNothingToResolve) {
			late.Add(1)
		}
	})
	require.EqualValues(t, 1, decided.Load())
	require.EqualValues(t, 9, late.Load())
	require.Equal(t, 1, s.events(payment, "payment.captured"))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_resolutions`))
	require.Equal(t, 2, s.count(`SELECT count(*) FROM payment_attempts`))
}
