package checkout_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/platform/observe"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
	"payonce/once/idempotency"
)

// died is a charge whose caller did not live to hear the answer: the provider
// has acted (or not), nothing here was stored, the lease runs on.
func (s *shop) died(payment uuid.UUID, key, token string, reached bool) {
	s.t.Helper()
	real := s.Provider
	gone := make(chan struct{})
	s.Provider = charging{Charger: real, charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
		if reached {
			_, _ = real.Charge(ctx, r)
		}
		close(gone)
		select {} // this goroutine is the process that was killed
	}}
	go func() { _, _ = s.capture(payment, key, token) }()
	<-gone
	s.Provider = real
}

func (s *shop) leaseEnds(payment uuid.UUID) {
	s.t.Helper()
	s.exec(`UPDATE payment_attempts SET lease_until = clock_timestamp(), next_ask_at = clock_timestamp() WHERE payment_id = $1`, payment)
	s.exec(`UPDATE idempotency_keys SET lease_until = clock_timestamp() WHERE subject_id = $1 AND status = 'running'`, payment)
}

func (s *shop) sweep() int {
	s.t.Helper()
	n, err := checkout.Sweeper{Service: s.Service}.RunOnce(context.Background())
	require.NoError(s.t, err)
	return n
}

func TestDeadAfterTheChargeTheRetryFinishesIt(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	s.died(payment, "K", "tok_ok", true)
	s.leaseEnds(payment)
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	require.Equal(t, checkout.Recovered, r.Fate)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
	require.Equal(t, 1, s.events(payment, "payment.captured"))
}

func TestTheOneWhoTakesOverTellsOfTheOneThatIsGoneAndOfWhatItAsked(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	s.died(payment, "K", "tok_ok", true)
	s.leaseEnds(payment)
	var begun time.Time
	require.NoError(t, s.db.Get(t.Context(), &begun, `SELECT sent_at FROM payment_attempts WHERE payment_id = $1`, payment))
	var story []observe.Event
	s.Observer = observe.Func(func(_ context.Context, e observe.Event) { story = append(story, e) })
	_, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)

	var kinds, details []string
	for _, e := range story {
		kinds, details = append(kinds, string(e.Kind)), append(details, e.Detail)
		require.Equal(t, payment, e.Correlation)
	}
	require.Equal(t, []string{"interrupted", "claimed", "charge.sent", "charge.answered", "committed", "recovered"}, kinds)
	require.Equal(t, []string{"", "recovery", "recovery", "succeeded", "captured", ""}, details)
	require.True(t, story[0].At.Equal(begun), "told as of its beginning, %s, not of %s", begun, story[0].At)
}

func TestDeadAfterTheChargeTheSweeperAloneFinishesIt(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		s.died(payment, "K", "tok_ok", true)
		require.Equal(t, 0, s.sweep(), "a live lease is respected")
		s.leaseEnds(payment)
		require.Equal(t, 1, s.sweep())
		require.Equal(t, checkout.Captured, s.state(payment))
		r, err := s.capture(payment, "K", "tok_ok")
		require.NoError(t, err)
		require.True(t, r.Replayed, "the sweeper stored the very answer")
		require.Equal(t, 1, s.charges(payment, "succeeded"))
	})
}

func TestDeadBeforeTheChargeIsSentAgainWithTheSameKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	s.died(payment, "K", "tok_ok", false)
	s.leaseEnds(payment)
	require.Equal(t, 1, s.sweep())
	require.Equal(t, checkout.Captured, s.state(payment))
	require.Len(t, s.world.ChargesByKey("capture:"+checkout.PaymentRef(payment)+":1"), 1)
}

func TestAnOldAttemptUnknownToTheProviderIsCancelledNotSent(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	s.died(payment, "K", "tok_ok", false)
	s.leaseEnds(payment)
	s.exec(`UPDATE payment_attempts SET sent_at = sent_at - interval '11 minutes' WHERE payment_id = $1`, payment)
	require.Equal(t, 1, s.sweep())
	require.Equal(t, checkout.Declined, s.state(payment))
	require.Equal(t, 0, s.charges(payment, "succeeded"))
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 402, r.Answer.Status)
	require.Equal(t, "abandoned", field(t, r, "code"))
	// A late arrival of the old charge is refused by the tombstone.
	late, err := s.Provider.Charge(t.Context(), provider.Request{
		Key: "capture:" + checkout.PaymentRef(payment) + ":1", Reference: checkout.PaymentRef(payment), Amount: s.captureOf(payment, "", "").Amount, Token: "tok_ok",
	})
	require.NoError(t, err)
	require.Equal(t, provider.Cancelled, late.Status)
	require.Equal(t, 0, s.charges(payment, "succeeded"))
}

func TestTwoRecoveriesAtOnceAskOnceAndFinishOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	s.died(payment, "K", "tok_ok", true)
	s.leaseEnds(payment)
	errs := make([]error, 12)
	together(12, func(i int) {
		if i%2 == 0 {
			_, errs[i] = s.Recover(context.Background(), payment, 1)
		} else {
			_, errs[i] = s.capture(payment, uuid.NewString(), "tok_ok")
		}
	})
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, checkout.Captured, s.state(payment))
	require.Equal(t, 1, s.charges(payment, "succeeded"))
	require.Equal(t, 1, s.events(payment, "payment.captured"))
}

// sleeps captures with K, and sleeps before its charge while its lease ends and the sweeper
// takes the attempt over and finishes it. Charge is what the sleeper makes of the provider's
// answer when it wakes; what its own client gets is returned.
func (s *shop) sleeps(payment uuid.UUID, token string, charge func(provider.Request) (provider.Charge, error)) (r checkout.Result, err error) {
	s.t.Helper()
	real := s.Provider
	asleep, wake := s.hold(func(_ context.Context, r provider.Request, _ provider.Charger) (provider.Charge, error) {
		return charge(r)
	})
	over := make(chan struct{})
	go func() {
		defer close(over)
		r, err = s.capture(payment, "K", token)
	}()
	<-asleep
	s.Provider = real
	s.leaseEnds(payment)
	require.Equal(s.t, 1, s.sweep())
	wake()
	<-over
	return r, err
}

func TestASleeperThatWakesAfterItsLeaseWasTakenFinishesNothing(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		_, err := s.sleeps(payment, "tok_ok", func(provider.Request) (provider.Charge, error) {
			return provider.Charge{}, provider.ErrInDoubt // it slept through the answer
		})
		require.NoError(t, err)
		require.Equal(t, checkout.Captured, s.state(payment), "the sleeper's doubt does not overwrite the truth")
		require.Equal(t, 1, s.charges(payment, "succeeded"))
	})
}

// Seen by reading: the sleeper's request was certainly not sent, and its client was answered
// that the card was not charged, which another holder had done meanwhile.
func TestASleeperWhoseRequestWasNotSentDoesNotSayThatNothingWasCharged(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	_, err := s.sleeps(payment, "tok_ok", func(provider.Request) (provider.Charge, error) {
		return provider.Charge{}, provider.ErrNotSent
	})
	require.ErrorIs(t, err, idempotency.ErrInProgress)
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestAttemptOneDeclinedAttemptTwoDeadTheSweeperFindsAttemptTwosOwnOutcome(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		r, err := s.capture(payment, "K1", "tok_declined")
		require.NoError(t, err)
		require.Equal(t, 402, r.Answer.Status)
		s.died(payment, "K2", "tok_ok", true)
		s.leaseEnds(payment)
		require.Equal(t, 1, s.sweep())
		require.Equal(t, checkout.Captured, s.state(payment), "attempt 1's decline does not answer for attempt 2")
		r, err = s.capture(payment, "K3", "tok_ok")
		require.NoError(t, err)
		require.Equal(t, checkout.Matched, r.Fate)
		require.Equal(t, 1, s.charges(payment, "succeeded"))
	})
}

func TestASuccessAfterAStoredDeclineAlertsWithBothFactsAndOverwritesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	r, _ := s.sleeps(payment, "tok_declined", func(r provider.Request) (provider.Charge, error) { // recovery sends it and the provider declines
		return provider.Charge{ID: "ch_late", Amount: r.Amount, Status: provider.Succeeded}, nil
	})
	require.Equal(t, 402, r.Answer.Status, "the stored outcome stays")
	require.Equal(t, checkout.Declined, s.state(payment))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM alerts WHERE kind = 'provider_contradiction'
	  AND facts->>'stored' = 'declined' AND facts->>'provider_charge' = 'ch_late'`))
	_, err := s.capture(payment, "K2", "tok_ok")
	require.ErrorIs(t, err, checkout.ErrNeedsReview, "no new attempt before a person has decided")
}

func TestAPaymentInDoubtIsAskedAboutOnAScheduleUntilTheProviderIsBack(t *testing.T) {
	t.Parallel()
	away := true
	silent := func(ctx context.Context, key string, real provider.Charger) (provider.Charge, bool, error) {
		if away {
			return provider.Charge{}, false, provider.ErrInDoubt
		}
		return real.ChargeByKey(ctx, key)
	}
	s := open(t, patience(200*time.Millisecond), charger(func(c provider.Charger) provider.Charger { return charging{Charger: c, byKey: silent} }))
	payment := s.payment()
	r, err := s.capture(payment, "K", "tok_timeout_after")
	require.NoError(t, err)
	require.Equal(t, 202, r.Answer.Status)
	for range 3 {
		s.leaseEnds(payment)
		require.Equal(t, 0, s.sweep())
		require.Equal(t, checkout.InDoubt, s.state(payment))
	}
	away = false
	s.leaseEnds(payment)
	require.Equal(t, 1, s.sweep())
	require.Equal(t, checkout.Captured, s.state(payment))
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}
