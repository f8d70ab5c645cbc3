package checkout_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
)

// A stray charge stands behind more declines than a page of the provider's list
// holds. The next attempt must find it.
func TestAStrayChargeBehindAnyNumberOfDeclinesIsFoundAndNoSecondIsMade(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 99, 100, 101, 1_000} {
		s := open(t)
		payment := s.payment()
		r, err := s.capture(payment, "declined", "tok_declined")
		require.NoError(t, err)
		require.Equal(t, 402, r.Answer.Status)
		for i := 1; i < n; i++ {
			_, err := s.Provider.Charge(t.Context(), s.request(payment, fmt.Sprintf("declined-%d", i), "tok_declined"))
			require.NoError(t, err)
		}
		stray, err := s.Provider.Charge(t.Context(), s.request(payment, "stray", "tok_ok"))
		require.NoError(t, err)
		require.Equal(t, provider.Succeeded, stray.Status)

		_, err = s.capture(payment, "next", "tok_ok")
		require.ErrorIs(t, err, checkout.ErrNeedsReview, "after %d declines", n)
		require.Equal(t, 1, s.charges(payment, "succeeded"), "after %d declines", n)
		require.Equal(t, 1, s.count(`SELECT count(*) FROM alerts WHERE kind = 'provider_contradiction' AND merchant_id = $1 AND facts->>'provider_charge' = $2`,
			s.merchant, stray.ID), "the alert names charge and merchant")
	}
}

func TestAListThatCannotBeReadToItsEndIsUnknownAndNotNoneAndThatIsSaidOnce(t *testing.T) {
	t.Parallel()
	partial := true
	s := open(t, charger(func(c provider.Charger) provider.Charger {
		return charging{Charger: c, byReference: func(ctx context.Context, reference string, real provider.Charger) ([]provider.Charge, error) {
			if partial {
				return nil, provider.ErrIncomplete
			}
			return real.ChargesByReference(ctx, reference)
		}}
	}))
	payment := s.payment()
	r, err := s.capture(payment, "K1", "tok_declined")
	require.NoError(t, err)
	require.Equal(t, 402, r.Answer.Status)
	for range 2 {
		_, err = s.capture(payment, "K2", "tok_ok")
		require.ErrorIs(t, err, checkout.ErrNotListed)
		require.ErrorIs(t, err, checkout.ErrNeedsReview)
		require.Equal(t, 0, s.charges(payment, "succeeded"))
		require.Equal(t, 1, s.alerts(checkout.AlertUnlisted))
	}
	partial = false
	r, err = s.capture(payment, "K2", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	require.Equal(t, 0, s.alerts(checkout.AlertUnlisted), "a whole list ends the alert")
}

// The charge is looked for among declines, wherever the provider puts it, and
// again when the first look was not answered in time. Run by the mutants of the
// simulator.
func TestAStrayChargeIsFoundWhereverItStandsInTheListAndHoweverLateTheListComes(t *testing.T) {
	t.Parallel()
	s := open(t)
	for at := range 5 {
		payment := s.payment()
		stray := func() {
			_, err := s.Provider.Charge(t.Context(), s.request(payment, fmt.Sprintf("stray-%d", at), "tok_ok"))
			require.NoError(t, err)
		}
		if at == 0 {
			stray()
		}
		r, err := s.capture(payment, fmt.Sprintf("first-%d", at), "tok_declined")
		require.NoError(t, err)
		require.Equal(t, 402, r.Answer.Status)
		for i := 1; i < 5; i++ {
			if i == at {
				stray()
			}
			_, err := s.Provider.Charge(t.Context(), s.request(payment, fmt.Sprintf("declined-%d-%d", at, i), "tok_declined"))
			require.NoError(t, err)
		}

		s.anew(patience(300 * time.Millisecond))
		for range 3 {
			if _, err = s.capture(payment, fmt.Sprintf("next-%d", at), "tok_ok"); errors.Is(err, checkout.ErrNeedsReview) {
				break
			}
			require.ErrorIs(t, err, provider.ErrNotSent, "what could not be read is unknown")
			s.anew(patience(4 * time.Second))
		}
		require.ErrorIs(t, err, checkout.ErrNeedsReview, "at %d", at)
		require.Equal(t, 1, s.charges(payment, "succeeded"), "at %d", at)
	}
}
