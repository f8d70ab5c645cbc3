package checkout_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
)

// holdFirst is hold for the first charge alone: the next attempt is not stopped.
func (s *shop) holdFirst(end func(context.Context, provider.Request, provider.Charger) (provider.Charge, error)) (started <-chan struct{}, letGo func()) {
	out, on := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	s.Provider = charging{Charger: s.Provider, charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
		if calls.Add(1) > 1 {
			return real.Charge(ctx, r)
		}
		close(out)
		<-on
		return end(ctx, r, real)
	}}
	return out, func() { close(on) }
}

// during starts a capture with K1 and the first card, and a second with K2 and
// the other while the first is on its way; end is what becomes of the first.
func (s *shop) during(payment uuid.UUID, first, other string, end func(context.Context, provider.Request, provider.Charger) (provider.Charge, error)) (one, two checkout.Result) {
	s.t.Helper()
	started, letGo := s.holdFirst(end)
	ones, twos := make(chan checkout.Result, 1), make(chan checkout.Result, 1)
	go func() { r, _ := s.capture(payment, "K1", first); ones <- r }()
	<-started
	go func() { r, _ := s.capture(payment, "K2", other); twos <- r }()
	require.Eventually(s.t, func() bool { return s.Waiting(payment) == 1 }, 10*time.Second, time.Millisecond)
	letGo()
	return <-ones, <-twos
}

func TestAnotherCardDuringADeclineIsTheNextAttemptAndNotTheFirstsDecline(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]string{
		"the key that opened the first is there": ``,
		"the key that opened the first is gone":  `DELETE FROM idempotency_keys WHERE key = 'K1'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			payment := s.payment()
			one, two := s.during(payment, "tok_declined", "tok_ok", func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
				if forget != "" {
					s.exec(forget)
				}
				return realCharge(ctx, r, real)
			})
			require.Equal(t, 402, one.Answer.Status)
			require.Equal(t, 200, two.Answer.Status, "%s", two.Answer.Body)
			require.Equal(t, "2", field(t, two, "attempt"))
			require.Empty(t, two.Answer.Matched, "the outcome is its own")
			require.Equal(t, checkout.Executed, two.Fate)
			require.Equal(t, 1, s.charges(payment, "succeeded"))
			require.Equal(t, 1, s.charges(payment, "declined"))
			again, err := s.capture(payment, "K2", "tok_ok")
			require.NoError(t, err)
			require.Equal(t, string(two.Answer.Body), string(again.Answer.Body))
		})
	}
}

func TestAnotherCardDuringACaptureIsGivenItAndSaysThatItsOwnWasNotSent(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	_, two := s.during(payment, "tok_ok", "tok_declined", realCharge)
	later, err := s.capture(payment, "K3", "tok_slow")
	require.NoError(t, err)
	stored, err := s.capture(payment, "K2", "tok_declined")
	require.NoError(t, err)
	for _, r := range []checkout.Result{two, later, stored} {
		require.Equal(t, 200, r.Answer.Status)
		require.Equal(t, "other-card", r.Answer.Matched)
		require.Equal(t, "1", field(t, r, "attempt"))
	}
	require.Len(t, s.world.ChargesByReference(checkout.PaymentRef(payment)), 1)
}

func TestTenWithAnotherCardDuringADeclineAreOneNextAttempt(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	started, letGo := s.holdFirst(realCharge)
	first, answered := make(chan checkout.Result, 1), make(chan struct{})
	go func() { r, _ := s.capture(payment, "K1", "tok_declined"); first <- r }()
	<-started
	results, errs := make([]checkout.Result, 10), make([]error, 10)
	go func() {
		together(10, func(i int) { results[i], errs[i] = s.capture(payment, uuid.NewString(), "tok_ok") })
		close(answered)
	}()
	require.Eventually(t, func() bool { return s.Waiting(payment) == 10 }, 10*time.Second, time.Millisecond)
	letGo()
	<-answered
	require.Equal(t, 402, (<-first).Answer.Status)
	for i, r := range results {
		require.NoError(t, errs[i])
		require.Equal(t, 200, r.Answer.Status)
		require.Equal(t, "2", field(t, r, "attempt"))
		require.NotEqual(t, "other-card", r.Answer.Matched)
	}
	require.Equal(t, 1, s.charges(payment, "succeeded"))
	require.Equal(t, 2, s.count(`SELECT count(*) FROM payment_attempts WHERE payment_id = $1`, payment))
}

// Who asks the provider whether it holds money, and hears of the attempt that
// another delivery opened meanwhile, has found nothing that contradicts.
func TestAnAttemptThatOpensWhileTheProviderIsAskedIsNoContradiction(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	_, err := s.capture(payment, "K1", "tok_declined")
	require.NoError(t, err)
	var asked atomic.Int32
	var faster checkout.Result
	s.Provider = charging{Charger: s.Provider, byReference: func(ctx context.Context, reference string, real provider.Charger) ([]provider.Charge, error) {
		if asked.Add(1) == 1 {
			var err error
			if faster, err = s.capture(payment, "K2", "tok_ok"); err != nil {
				return nil, err
			}
		}
		return real.ChargesByReference(ctx, reference)
	}}
	slower, err := s.capture(payment, "K3", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, faster.Answer.Status)
	require.Equal(t, string(faster.Answer.Body), string(slower.Answer.Body))
	require.Equal(t, "business-key", slower.Answer.Matched)
	require.Zero(t, s.count(`SELECT count(*) FROM alerts`))
	require.Zero(t, s.count(`SELECT count(*) FROM payment_attempts WHERE contradicted_at IS NOT NULL`))
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

// While the first card is in doubt no other is sent; what comes
// out then decides.
func TestAnotherCardWhileTheFirstIsInDoubtWaitsForTheTruth(t *testing.T) {
	t.Parallel()
	for first, want := range map[string]struct {
		attempt, matched string
		charges          int
	}{
		"tok_ok":       {"1", "other-card", 1},
		"tok_declined": {"2", "", 2},
	} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			payment := s.payment()
			real := s.Provider
			s.Provider = charging{
				Charger: real,
				charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
					_, _ = real.Charge(ctx, r)
					return provider.Charge{}, provider.ErrInDoubt
				},
				byKey: func(context.Context, string, provider.Charger) (provider.Charge, bool, error) {
					return provider.Charge{}, false, provider.ErrInDoubt
				},
			}
			one, err := s.capture(payment, "K1", first)
			require.NoError(t, err)
			require.Equal(t, 202, one.Answer.Status)
			require.Empty(t, one.Answer.Matched)
			same, err := s.capture(payment, "K2", first)
			require.NoError(t, err)
			require.Equal(t, 202, same.Answer.Status)
			require.Equal(t, "business-key", same.Answer.Matched)
			other, err := s.capture(payment, "K3", "tok_slow")
			require.NoError(t, err)
			require.Equal(t, 202, other.Answer.Status)
			require.Equal(t, "other-card", other.Answer.Matched)
			require.Equal(t, "1", field(t, other, "attempt"))
			require.Len(t, s.world.ChargesByReference(checkout.PaymentRef(payment)), 1, "no card was sent beside it")
			require.Zero(t, s.count(`SELECT count(*) FROM idempotency_keys WHERE key IN ('K2', 'K3')`), "a doubt is no outcome")

			s.Provider = real
			known, err := s.capture(payment, "K3", "tok_slow")
			require.NoError(t, err)
			require.Equal(t, 200, known.Answer.Status)
			require.Equal(t, want.attempt, field(t, known, "attempt"))
			require.Equal(t, want.matched, known.Answer.Matched)
			require.Equal(t, 1, s.charges(payment, "succeeded"))
			require.Len(t, s.world.ChargesByReference(checkout.PaymentRef(payment)), want.charges)
		})
	}
}
