package checkout_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/shop/checkout"
	"payonce/once/webhook"
)

const clocksSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// The row "time" of the fault matrix: the provider's clock, or the worker's, is
// ten minutes off. Leases, questions and their schedule go by the database's
// clock, so a payment converges as ever; only a webhook is refused, which is
// what its tolerance is for, and recovery does without it.
func TestAClockThatIsTenMinutesOffMattersToTheWebhookToleranceAndToNothingElse(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"slow": -10 * time.Minute, "fast": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrong := func() time.Time { return time.Now().Add(off) }
			outside := worldtest.Start(t, world.Options{Now: wrong})
			s := openIn(t, devtest.Postgres(t), outside, patience(300*time.Millisecond), func(c *checkout.Config) { c.Now = wrong })

			answered := s.payment()
			r, err := s.capture(answered, "K1", "tok_ok")
			require.NoError(t, err)
			require.Equal(t, 200, r.Answer.Status)

			doubtful := s.payment()
			r, err = s.capture(doubtful, "K2", "tok_timeout_after")
			require.NoError(t, err)
			require.Equal(t, 202, r.Answer.Status)

			dead := s.payment()
			s.died(dead, "K3", "tok_ok", true)
			finished := s.sweep()
			require.Equal(t, checkout.Capturing, s.state(dead), "a live lease is respected by whatever clock")
			s.leaseEnds(dead)
			require.Equal(t, 2, finished+s.sweep())
			for _, payment := range []([16]byte){answered, doubtful, dead} {
				require.Equal(t, checkout.Captured, s.state(payment))
				require.Equal(t, 1, s.charges(payment, "succeeded"))
			}

			verifier, err := webhook.NewVerifier([]string{clocksSecret}, time.Now)
			require.NoError(t, err)
			secret, err := webhook.DecodeSecret(clocksSecret)
			require.NoError(t, err)
			_, err = verifier.Verify(webhook.Sign([][]byte{secret}, "msg_1", wrong(), nil), nil)
			require.ErrorIs(t, err, webhook.ErrTimestamp)
		})
	}
}
