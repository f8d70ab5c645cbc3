package checkout_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
)

func TestProvider429Or500ThenOKIsRetriedWithTheSameKeyAndCaptured(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, token := range []string{"tok_429_then_ok", "tok_500_then_ok"} {
		payment := s.payment()
		r, err := s.capture(payment, uuid.NewString(), token)
		require.NoError(t, err)
		require.Equal(t, 200, r.Answer.Status, token)
		require.Equal(t, 1, s.charges(payment, "succeeded"), token)
	}
}

func TestProvider500UntilTheDeadlineIsInDoubt(t *testing.T) {
	t.Parallel()
	s := open(t, patience(300*time.Millisecond))
	payment := s.payment()
	r, err := s.capture(payment, "K", "tok_500_always")
	require.NoError(t, err)
	require.Equal(t, 202, r.Answer.Status)
	require.Positive(t, r.RetryAfter)
	require.Equal(t, checkout.InDoubt, s.state(payment))
	again, err := s.capture(payment, "K", "tok_500_always")
	require.NoError(t, err)
	require.Equal(t, 202, again.Answer.Status, "in doubt is never stored")
	require.False(t, again.Replayed)
}

func TestProviderTimeoutAfterTheChargeIs202ThenTheTruth(t *testing.T) {
	t.Parallel()
	s := open(t, patience(300*time.Millisecond))
	payment := s.payment()
	r, err := s.capture(payment, "K", "tok_timeout_after")
	require.NoError(t, err)
	require.Equal(t, 202, r.Answer.Status)
	require.Equal(t, 1, s.charges(payment, "succeeded"), "the provider did charge")
	again, err := s.capture(payment, "K", "tok_timeout_after")
	require.NoError(t, err)
	require.Equal(t, 200, again.Answer.Status)
	require.Equal(t, checkout.Recovered, again.Fate)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
	stored, err := s.capture(payment, "K", "tok_timeout_after")
	require.NoError(t, err)
	require.True(t, stored.Replayed)
	require.Equal(t, string(again.Answer.Body), string(stored.Answer.Body))
}

func TestProviderTimeoutBeforeTheChargeIs202ThenChargedOnceByAnotherKeysRetry(t *testing.T) {
	t.Parallel()
	s := open(t, patience(300*time.Millisecond))
	payment := s.payment()
	r, err := s.capture(payment, "K1", "tok_timeout_before")
	require.NoError(t, err)
	require.Equal(t, 202, r.Answer.Status)
	require.Equal(t, 0, s.charges(payment, "succeeded"))
	// Recovery asks, hears that the key is unknown, and sends again.
	again, err := s.capture(payment, "K2", "tok_timeout_before")
	require.NoError(t, err)
	require.Equal(t, 200, again.Answer.Status)
	require.Equal(t, checkout.Recovered, again.Fate)
	require.Equal(t, "business-key", again.Answer.Matched)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestNothingSentReleasesTheKeyAndAnswers503(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	real := s.Provider
	s.Provider = simulated.New(simulated.Config{URL: "http://127.0.0.1:1"})
	_, err := s.capture(payment, "K", "tok_ok")
	var away *checkout.UnavailableError
	require.ErrorAs(t, err, &away)
	require.Equal(t, "no", away.Executed)
	require.ErrorIs(t, err, provider.ErrNotSent)
	require.Equal(t, checkout.RequiresCapture, s.state(payment))
	require.Equal(t, 0, s.count(`SELECT count(*) FROM idempotency_keys WHERE key = 'K'`), "the key is free again")
	s.Provider = real
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestAnOpenBreakerSendsNothingAndClosesAgain(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	behind, err := url.Parse(s.world.URL)
	require.NoError(t, err)
	var away atomic.Bool
	var calls atomic.Int64
	real := httputil.NewSingleHostReverseProxy(behind)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(gateway.Close)
	client := simulated.New(simulated.Config{URL: gateway.URL, BreakerDelay: 5 * time.Second})
	away.Store(true)
	for range 20 {
		_, _, _ = client.ChargeByKey(t.Context(), "k")
	}
	s.Provider = client
	sent := calls.Load()
	_, err = s.capture(payment, "K", "tok_ok")
	require.ErrorIs(t, err, provider.ErrNotSent)
	require.Equal(t, sent, calls.Load())
	require.Equal(t, checkout.RequiresCapture, s.state(payment))

	away.Store(false)
	require.Eventually(t, func() bool {
		r, err := s.capture(payment, "K", "tok_ok")
		return err == nil && r.Answer.Status == 200
	}, 30*time.Second, 100*time.Millisecond)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestAnUnknownTokenIsADeclineNamedInvalidToken(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	r, err := s.capture(payment, "K", "tok_nonsense")
	require.NoError(t, err)
	require.Equal(t, 402, r.Answer.Status)
	require.Equal(t, "invalid_token", field(t, r, "code"))
	require.Equal(t, checkout.Declined, s.state(payment))
}

func TestAnyOther4xxClosesTheAttemptReleasesTheKeyAndAlerts(t *testing.T) {
	t.Parallel()
	refuse := func(c provider.Charger) provider.Charger {
		return charging{Charger: c, charge: func(context.Context, provider.Request, provider.Charger) (provider.Charge, error) {
			return provider.Charge{}, provider.ErrRefused
		}}
	}
	s := open(t, charger(refuse))
	payment := s.payment()
	_, err := s.capture(payment, "K", "tok_ok")
	var away *checkout.UnavailableError
	require.ErrorAs(t, err, &away)
	require.Equal(t, checkout.RequiresCapture, s.state(payment))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts WHERE status = 'refused'`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM alerts WHERE kind = 'provider_refused'`))
	require.Equal(t, 0, s.count(`SELECT count(*) FROM idempotency_keys WHERE key = 'K'`))
}

func TestTheProviders409ForATwinIsAmbiguousNotARefusal(t *testing.T) {
	t.Parallel()
	s := open(t, patience(time.Second))
	payment := s.payment()
	p, err := s.Payment(t.Context(), s.merchant, payment)
	require.NoError(t, err)
	// A stranger's request with our key is running at the provider: it answers
	// 409 to ours until that one is done, then what that one charged.
	s.Provider = charging{Charger: s.Provider, charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
		slow := r
		slow.Token = "tok_slow"
		go func() { _, _ = real.Charge(context.WithoutCancel(ctx), slow) }()
		require.Eventually(t, func() bool {
			probe, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			_, err := real.Charge(probe, slow)
			return err != nil
		}, 20*time.Second, 10*time.Millisecond)
		return real.Charge(ctx, slow)
	}}
	r, err := s.capture(payment, "K", "tok_slow")
	require.NoError(t, err)
	require.Equal(t, 202, r.Answer.Status, "409 proves nothing")
	require.Equal(t, p.ID, r.PaymentID)
	require.Eventually(t, func() bool { return s.charges(payment, "succeeded") == 1 }, 20*time.Second, 20*time.Millisecond)
	_, err = checkout.Sweeper{Service: s.Service}.RunOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, checkout.Captured, s.state(payment))
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestAnAnswerWithAnotherAmountIsParkedWithAnAlertAndNeverCaptured(t *testing.T) {
	t.Parallel()
	cheat := func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
		c, err := real.Charge(ctx, r)
		c.Amount.AmountMinor = 1
		return c, err
	}
	s := open(t, charger(func(c provider.Charger) provider.Charger { return charging{Charger: c, charge: cheat} }))
	payment := s.payment()
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 202, r.Answer.Status)
	require.Equal(t, checkout.InDoubt, s.state(payment))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM alerts WHERE kind = 'provider_amount'`))
}

var errAway = errors.New("away")

func TestBrokenJSONFromTheProviderIsInDoubt(t *testing.T) {
	t.Parallel()
	garbage := func(context.Context, provider.Request, provider.Charger) (provider.Charge, error) {
		return provider.Charge{}, errors.Join(provider.ErrInDoubt, errAway)
	}
	s := open(t, charger(func(c provider.Charger) provider.Charger { return charging{Charger: c, charge: garbage} }))
	r, err := s.capture(s.payment(), "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 202, r.Answer.Status)
}
