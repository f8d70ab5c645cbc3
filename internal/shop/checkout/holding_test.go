package checkout_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/world"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
)

// stray lets the provider charge for a payment under a key of its own.
func (s *shop) stray(payment uuid.UUID) provider.Charge {
	s.t.Helper()
	c, err := s.Provider.Charge(s.t.Context(), s.request(payment, "stray-"+uuid.NewString(), "tok_ok"))
	require.NoError(s.t, err)
	require.Equal(s.t, provider.Succeeded, c.Status)
	return c
}

// tell brings the shop the provider's message about a charge.
func (s *shop) tell(c provider.Charge) {
	s.t.Helper()
	s.hear(chargeSaidOf(s.t, c.Reference, c.IdempotencyKey, c.ID, string(c.Status), c.Amount))
}

// back gives a part of a charge back at the provider, by hand.
func (s *shop) back(charge string, minor int64) {
	s.t.Helper()
	r, err := simulated.New(simulated.Config{URL: s.world.URL}).Refund(s.t.Context(), provider.RefundRequest{
		Key: "back-" + uuid.NewString(), ChargeID: charge, Reference: "by-hand", Amount: money.Of(minor, "EUR"),
	})
	require.NoError(s.t, err)
	require.Equal(s.t, provider.Succeeded, r.Status)
}

// held is what the provider holds for a payment.
func (s *shop) held(payment uuid.UUID) (minor int64) {
	s.t.Helper()
	alive, err := provider.Alive(s.t.Context(), s.Provider, checkout.PaymentRef(payment))
	require.NoError(s.t, err)
	for _, h := range alive {
		minor += h.LeftMinor()
	}
	return minor
}

func (s *shop) refused(payment uuid.UUID, decisions ...string) {
	s.t.Helper()
	for _, d := range decisions {
		_, err := s.resolve(payment, d)
		require.ErrorIs(s.t, err, checkout.ErrStillApart, d)
	}
}

// A charge counts as its amount less its refunds, so what a person may decide
// follows what the provider still holds.
func TestADecisionAboutAStrayChargeFollowsWhatIsLeftOfIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		back    []int64 // what goes back before each look
		refused []string
		decide  string
		then    string
	}{
		"nothing went back":            {nil, []string{checkout.KeepOurs}, checkout.AcceptProvider, checkout.Captured},
		"all of it went back":          {[]int64{8400}, []string{checkout.AcceptProvider}, checkout.KeepOurs, checkout.Declined},
		"all of it, in two parts":      {[]int64{4000, 4400}, []string{checkout.AcceptProvider}, checkout.KeepOurs, checkout.Declined},
		"a part of it, then the other": {[]int64{1, 8399}, []string{checkout.AcceptProvider}, checkout.KeepOurs, checkout.Declined},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			payment := s.payment()
			_, err := s.capture(payment, "K1", "tok_declined")
			require.NoError(t, err)
			stray := s.stray(payment)
			_, err = s.capture(payment, "K2", "tok_ok")
			require.ErrorIs(t, err, checkout.ErrNeedsReview)
			for i, minor := range c.back {
				if i > 0 { // a part is left: neither decision makes the books agree
					s.refused(payment, checkout.AcceptProvider, checkout.KeepOurs)
				}
				s.back(stray.ID, minor)
			}
			s.refused(payment, c.refused...)
			done, err := s.resolve(payment, c.decide)
			require.NoError(t, err)
			require.Equal(t, c.then, done.Payment.Status)
			r, err := s.capture(payment, "K3", "tok_ok")
			require.NoError(t, err)
			require.Equal(t, 200, r.Answer.Status)
			require.EqualValues(t, 8400, s.held(payment), "captured means that the provider holds it")
			require.Equal(t, 0, s.count(`SELECT count(*) FROM alerts WHERE state = 'open'`))
		})
	}
}

func TestAChargeOfAnotherAmountThatWentBackEndsTheDoubtByItselfOrByAPerson(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *shop, payment uuid.UUID){
		"the sweeper": func(s *shop, payment uuid.UUID) {
			s.leaseEnds(payment)
			require.Equal(s.t, 1, s.sweep())
		},
		"a person": func(s *shop, payment uuid.UUID) {
			_, err := s.resolve(payment, checkout.KeepOurs)
			require.NoError(s.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			payment := s.payment()
			s.world.Behave(world.Behaviour{Charges: "other_amount"})
			r, err := s.capture(payment, "K1", "tok_ok")
			require.NoError(t, err)
			require.Equal(t, 202, r.Answer.Status)
			s.world.Behave(world.Behaviour{})
			charge := s.world.ChargesByReference(checkout.PaymentRef(payment))[0]
			s.back(charge.ID, charge.AmountMinor-1)
			s.refused(payment, checkout.AcceptProvider, checkout.KeepOurs)
			s.back(charge.ID, 1)
			s.refused(payment, checkout.AcceptProvider)
			end(s, payment)
			require.Equal(t, checkout.Declined, s.state(payment))
			require.Equal(t, 0, s.count(`SELECT count(*) FROM alerts WHERE state = 'open'`))
			r, err = s.capture(payment, "K1", "tok_ok")
			require.NoError(t, err)
			require.Equal(t, "given_back", field(t, r, "code"))

			// The provider's own word about it comes late, and agrees.
			s.hear(chargeSaidOf(t, charge.Reference, *charge.IdempotencyKey, charge.ID, "succeeded", amount84))
			require.Equal(t, 0, s.count(`SELECT count(*) FROM alerts WHERE state = 'open'`))
			r, err = s.capture(payment, "K2", "tok_ok")
			require.NoError(t, err)
			require.Equal(t, 200, r.Answer.Status)
			require.EqualValues(t, 8400, s.held(payment))
		})
	}
}

func TestAChargeThatWentBackBeforeItWasKnownIsNotCaptured(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	s.died(payment, "K", "tok_ok", true)
	s.back(s.world.ChargesByReference(checkout.PaymentRef(payment))[0].ID, 8400)
	s.leaseEnds(payment)
	require.Equal(t, 1, s.sweep())
	require.Equal(t, checkout.Declined, s.state(payment))
	require.Equal(t, 0, s.events(payment, "payment.captured"))
	require.Zero(t, s.held(payment))
}

func TestAChargeIsNotCapturedWhileItIsUnknownWhatWentBackOfIt(t *testing.T) {
	t.Parallel()
	partial := true
	s := open(t, charger(func(c provider.Charger) provider.Charger {
		return charging{Charger: c, refunds: func(ctx context.Context, charge string, real provider.Charger) ([]provider.Refund, error) {
			if partial {
				return nil, provider.ErrIncomplete
			}
			return real.RefundsOfCharge(ctx, charge)
		}}
	}))
	payment := s.payment()
	s.died(payment, "K", "tok_ok", true)
	s.leaseEnds(payment)
	_, err := checkout.Sweeper{Service: s.Service}.RunOnce(t.Context())
	require.NoError(t, err)
	require.Equal(t, checkout.InDoubt, s.state(payment))
	require.Equal(t, 0, s.events(payment, "payment.captured"))
	partial = false
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestAFirstAttemptAsksWhenTheProviderToldOfAChargeThatNoAttemptAskedFor(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		for name, c := range map[string]struct {
			then     func(s *shop, payment uuid.UUID, stray provider.Charge)
			attempts int
		}{
			"it goes back, and the next capture goes on": {func(s *shop, payment uuid.UUID, stray provider.Charge) {
				s.back(stray.ID, 8400)
			}, 1},
			"it goes back, and a person keeps ours": {func(s *shop, payment uuid.UUID, stray provider.Charge) {
				s.back(stray.ID, 8400)
				s.refused(payment, checkout.AcceptProvider)
				_, err := s.resolve(payment, checkout.KeepOurs)
				require.NoError(s.t, err)
			}, 1},
			"a person takes it for the payment's": {func(s *shop, payment uuid.UUID, stray provider.Charge) {
				s.refused(payment, checkout.KeepOurs)
				done, err := s.resolve(payment, checkout.AcceptProvider)
				require.NoError(s.t, err)
				require.Equal(s.t, stray.ID, done.Payment.ProviderChargeID.String)
				require.Equal(s.t, 1, s.events(payment, "payment.captured"))
				s.tell(stray) // the same message under another id
			}, 1},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := open(t, form)
				payment := s.payment()
				stray := s.stray(payment)
				s.tell(stray)
				require.Equal(t, 1, s.count(`SELECT count(*) FROM alerts WHERE kind = 'provider_contradiction' AND merchant_id = $1 AND subject = $2
				AND facts->>'object' = $3 AND facts->>'amount_minor' = '8400' AND facts->>'currency' = 'EUR'`, s.merchant, checkout.PaymentRef(payment), stray.ID))
				require.Equal(t, 0, s.alerts(checkout.AlertUnknownCharge))
				for range 2 {
					_, err := s.capture(payment, "K1", "tok_ok")
					require.ErrorIs(t, err, checkout.ErrNeedsReview)
				}
				require.Equal(t, 1, s.charges(payment, "succeeded"))
				c.then(s, payment, stray)
				r, err := s.capture(payment, "K2", "tok_ok")
				require.NoError(t, err)
				require.Equal(t, 200, r.Answer.Status)
				require.EqualValues(t, 8400, s.held(payment))
				require.Equal(t, c.attempts, s.count(`SELECT count(*) FROM payment_attempts`))
				require.Equal(t, 0, s.count(`SELECT count(*) FROM alerts WHERE state = 'open'`))
			})
		}
	})
}

func TestADeclinedChargeThatNoAttemptAskedForStopsNobody(t *testing.T) {
	t.Parallel()
	s := open(t, charger(unlisted))
	payment := s.payment()
	s.hear(chargeSaidOf(t, checkout.PaymentRef(payment), "by hand", "ch_declined", "declined", amount84))
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	require.Equal(t, 0, s.count(`SELECT count(*) FROM alerts`))
}

// unlisted is a provider whose list must not be asked for.
func unlisted(c provider.Charger) provider.Charger {
	return charging{Charger: c, byReference: func(context.Context, string, provider.Charger) ([]provider.Charge, error) {
		return nil, provider.ErrInDoubt
	}}
}

func TestASecondChargeOfACapturedPaymentIsTheMerchantsAlertUntilItWentBack(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	second := s.stray(payment)
	s.tell(second)
	require.Equal(t, 1, s.alerts(provider.AlertContradiction))
	s.refused(payment, checkout.AcceptProvider, checkout.KeepOurs)
	s.back(second.ID, 8400)
	done, err := s.resolve(payment, checkout.KeepOurs)
	require.NoError(t, err)
	require.Equal(t, checkout.Captured, done.Payment.Status)
	require.EqualValues(t, 8400, s.held(payment))
}
