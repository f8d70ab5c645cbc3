package checkout_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/world"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
	"payonce/once/idempotency"
)

// mute makes the provider answer no question until it is let speak.
func mute(speaks *atomic.Bool) option {
	return charger(func(c provider.Charger) provider.Charger {
		return charging{Charger: c, byKey: func(ctx context.Context, key string, real provider.Charger) (provider.Charge, bool, error) {
			if !speaks.Load() {
				return provider.Charge{}, false, provider.ErrInDoubt
			}
			return real.ChargeByKey(ctx, key)
		}}
	})
}

func hourly(c *checkout.Config) { c.Doubt = []time.Duration{time.Hour} }

func TestTheFirstAnswerAfterASilenceMakesEverythingInDoubtDueAtOncePaced(t *testing.T) {
	t.Parallel()
	var speaks atomic.Bool
	s := open(t, patience(300*time.Millisecond), hourly, mute(&speaks))
	var doubtful [5]uuid.UUID
	for i := range doubtful {
		doubtful[i] = s.payment()
		r, err := s.capture(doubtful[i], uuid.NewString(), "tok_timeout_after")
		require.NoError(t, err)
		require.Equal(t, 202, r.Answer.Status)
	}
	s.leaseEnds(doubtful[0])
	require.Equal(t, 0, s.sweep(), "the provider is silent")
	require.Equal(t, 0, s.sweep(), "and the next question is an hour away")
	speaks.Store(true)
	s.leaseEnds(doubtful[0])
	done := s.sweep()
	require.Equal(t, 0, s.count(`SELECT count(*) FROM payment_attempts WHERE status = 'in_doubt' AND next_ask_at > clock_timestamp() + interval '1 second'`))
	require.Eventually(t, func() bool { done += s.sweep(); return done == len(doubtful) }, 30*time.Second, 20*time.Millisecond)
	for _, payment := range doubtful {
		require.Equal(t, checkout.Captured, s.state(payment))
		require.Equal(t, 1, s.charges(payment, "succeeded"))
	}
	seen := s.Doubts()
	require.EqualValues(t, 5, seen.Recovered)
	require.Zero(t, seen.InDoubt)
}

func TestQuestionsFollowTheScheduleAndAClientsOwnDoNotUseItUp(t *testing.T) {
	t.Parallel()
	var speaks atomic.Bool
	s := open(t, patience(300*time.Millisecond), mute(&speaks), func(c *checkout.Config) { c.Doubt = checkout.DoubtProduction })
	payment := s.payment()
	_, err := s.capture(payment, "K", "tok_timeout_after")
	require.NoError(t, err)
	// How far the next question is, rounded down past the tenth of chance.
	next := func() int {
		return s.count(`SELECT floor(extract(epoch FROM next_ask_at - clock_timestamp()) + 0.3)::integer FROM payment_attempts`)
	}
	require.InDelta(t, 1, next(), 1)
	for range 5 {
		_, err := s.capture(payment, "K", "tok_timeout_after")
		require.NoError(t, err)
	}
	require.LessOrEqual(t, s.count(`SELECT asked FROM payment_attempts`), 2, "five questions of a client are at most those that were due anyway")
	for asked, delay := range map[int]int{3: 30, 5: 300, 9: 300} {
		s.exec(`UPDATE payment_attempts SET asked = $1`, asked)
		s.leaseEnds(payment)
		require.Equal(t, 0, s.sweep())
		require.InDelta(t, float64(delay)*1.05, next(), float64(delay)*0.05+3, "after question %d", asked+1)
	}
}

func TestADoubtOlderThanADayIsAnAlertThatItsOutcomeCloses(t *testing.T) {
	t.Parallel()
	var speaks atomic.Bool
	s := open(t, patience(300*time.Millisecond), mute(&speaks))
	payment := s.payment()
	_, err := s.capture(payment, "K", "tok_timeout_after")
	require.NoError(t, err)
	s.leaseEnds(payment)
	require.Equal(t, 0, s.sweep())
	require.Equal(t, 0, s.alerts(checkout.AlertInDoubt))
	s.exec(`UPDATE payment_attempts SET sent_at = sent_at - interval '25 hours'`)
	for range 2 {
		s.leaseEnds(payment)
		require.Equal(t, 0, s.sweep())
		require.Equal(t, 1, s.alerts(checkout.AlertInDoubt), "said once")
	}
	require.Equal(t, checkout.InDoubt, s.state(payment), "no timer assumes")
	speaks.Store(true)
	s.leaseEnds(payment)
	require.Equal(t, 1, s.sweep())
	require.Equal(t, checkout.Captured, s.state(payment))
	require.Equal(t, 0, s.alerts(checkout.AlertInDoubt))
}

func TestEachQuirkOfTheProviderEndsInOneCharge(t *testing.T) {
	t.Parallel()
	for _, quirk := range []string{"broken_json", "reset_after"} {
		t.Run(quirk, func(t *testing.T) {
			t.Parallel()
			s := open(t, patience(time.Second))
			payment := s.payment()
			s.world.Behave(world.Behaviour{Charges: quirk})
			r, err := s.capture(payment, "K", "tok_ok")
			require.NoError(t, err)
			require.Equal(t, 202, r.Answer.Status, "nothing that can be read was said")
			s.world.Behave(world.Behaviour{})
			s.leaseEnds(payment)
			require.Equal(t, 1, s.sweep())
			require.Equal(t, checkout.Captured, s.state(payment))
			require.Equal(t, 1, s.charges(payment, "succeeded"))
		})
	}
}

func TestAProviderThatForgotItsKeysIsAskedForItsListBeforeAnOldIntentIsSentAgain(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	s.died(payment, "K", "tok_ok", true)
	s.world.Behave(world.Behaviour{Charges: "forgetful"}) // the same key would charge again
	s.leaseEnds(payment)
	require.Equal(t, 1, s.sweep())
	require.Equal(t, checkout.Captured, s.state(payment))
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestTheProviderDownForAWhileLeavesNoDoubtBehind(t *testing.T) {
	t.Parallel()
	for _, outage := range []string{"unavailable", "reset", "hang"} {
		t.Run(outage, func(t *testing.T) {
			t.Parallel()
			s := open(t, patience(300*time.Millisecond))
			s.world.Behave(world.Behaviour{Outage: outage})
			payments := [3]uuid.UUID{s.payment(), s.payment(), s.payment()}
			for _, p := range payments {
				r, err := s.capture(p, "K-"+p.String(), "tok_ok")
				require.NoError(t, err)
				require.Equal(t, 202, r.Answer.Status)
			}
			s.world.Behave(world.Behaviour{})
			done := 0
			require.Eventually(t, func() bool { done += s.sweep(); return done == 3 }, 30*time.Second, 20*time.Millisecond)
			for _, p := range payments {
				r, err := s.capture(p, "K-"+p.String(), "tok_ok")
				require.NoError(t, err)
				require.Equal(t, 200, r.Answer.Status)
				require.True(t, r.Replayed)
				require.Equal(t, 1, s.charges(p, "succeeded"))
			}
		})
	}
}

// Three processes on one database whose hosts disagree about the time by twenty
// minutes: leases, waits, questions and answers are the database's.
func TestHostClocksTenMinutesApartChangeNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	clock := func(by time.Duration) *shop {
		return openIn(t, s.db, s.world, func(c *checkout.Config) { c.Now = func() time.Time { return time.Now().Add(by) } })
	}
	fast, slow := clock(10*time.Minute), clock(-10*time.Minute)
	fast.merchant, slow.merchant = s.merchant, s.merchant
	for _, pair := range [][2]*shop{{fast, slow}, {slow, fast}} {
		payment := s.payment()
		real := pair[0].Provider
		started, release := pair[0].hold(realCharge)
		first := make(chan error, 1)
		go func() { _, err := pair[0].capture(payment, "K-"+payment.String(), "tok_ok"); first <- err }()
		<-started
		pair[0].Provider = real
		impatient := pair[1].captureOf(payment, "K-"+payment.String(), "tok_ok")
		impatient.Wait = 50 * time.Millisecond
		_, err := pair[1].Capture(t.Context(), impatient)
		require.ErrorIs(t, err, idempotency.ErrInProgress, "the lease is alive, whatever the host's clock says")
		require.Equal(t, 0, pair[1].sweep(), "and nothing of it is due")
		second := make(chan error, 1)
		go func() { _, err := pair[1].capture(payment, "K-"+payment.String(), "tok_ok"); second <- err }()
		require.Eventually(t, func() bool { return pair[1].Waiting(payment) == 1 }, 10*time.Second, time.Millisecond, "a wait is a duration")
		release()
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		require.Equal(t, 1, s.charges(payment, "succeeded"))

		dead := s.payment()
		pair[0].died(dead, "D-"+dead.String(), "tok_ok", false)
		s.leaseEnds(dead)
		require.Equal(t, 1, pair[1].sweep(), "young or old is the database's to say")
		require.Equal(t, checkout.Captured, s.state(dead))
	}
}

func TestAFreshKeyForEachRetryIsStillOneCharge(t *testing.T) {
	t.Parallel()
	s := open(t, patience(300*time.Millisecond))
	payment := s.payment()
	status := 0
	for i := 0; status != 200; i++ {
		require.Less(t, i, 50)
		r, err := s.capture(payment, uuid.NewString(), "tok_timeout_after")
		require.NoError(t, err)
		status = r.Answer.Status
	}
	require.Equal(t, 1, s.charges(payment, "succeeded"))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts`))
}
