package checkout_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/once/oncetest/nettest"
)

func guarded(t *testing.T, name string) string {
	t.Helper()
	for _, s := range postgres.GuardedStatements() {
		if s.Name() == name {
			return s.Text()
		}
	}
	t.Fatalf("no guarded statement is called %s", name)
	return ""
}

// TestAClaimOrFinaliseWhoseReplyIsLostIsFinishedByItsOwnRequest: the lease of
// fifteen seconds is not waited for.
func TestAClaimOrFinaliseWhoseReplyIsLostIsFinishedByItsOwnRequest(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		for name, part := range map[string]string{"claim": "INSERT INTO payment_attempts", "finalise": "UPDATE orders o SET status = 'paid'"} {
			for _, end := range []nettest.End{nettest.Close, nettest.Reset} {
				t.Run(name+" "+string(end), func(t *testing.T) {
					t.Parallel()
					s, proxy := behindGate(t, form)
					payment := s.payment()
					loss := proxy.Lose(nettest.Commit(part), end)
					r, err := s.capture(payment, "K", "tok_ok")
					require.NoError(t, err)
					require.True(t, loss.Happened())
					require.Equal(t, 200, r.Answer.Status)
					require.Equal(t, checkout.Executed, r.Fate)
					require.Equal(t, 1, s.charges(payment, "succeeded"))
					require.Equal(t, 1, s.events(payment, "payment.captured"))
				})
			}
		}
	})
}

func TestAnOrderWhoseCommitIsLostIsOneOrder(t *testing.T) {
	t.Parallel()
	for _, end := range []nettest.End{nettest.Close, nettest.Reset} {
		t.Run(string(end), func(t *testing.T) {
			t.Parallel()
			s, proxy := behindGate(t)
			loss := proxy.Lose(nettest.Commit("INSERT INTO orders"), end)
			s.payment()
			require.True(t, loss.Happened())
			require.Equal(t, 1, s.count(`SELECT count(*) FROM orders`))
			require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox_events WHERE type = 'order.placed'`))
		})
	}
}

// doubtful is a payment whose charge was made and whose answer was lost.
func (s *shop) doubtful() uuid.UUID {
	s.t.Helper()
	payment := s.payment()
	s.anew(patience(300 * time.Millisecond))
	r, err := s.capture(payment, "K-"+payment.String(), "tok_timeout_after")
	require.NoError(s.t, err)
	require.Equal(s.t, 202, r.Answer.Status)
	s.anew(patience(4 * time.Second))
	return payment
}

func TestATakeOverWhoseReplyIsLostIsSeenThrough(t *testing.T) {
	t.Parallel()
	for _, end := range []nettest.End{nettest.Close, nettest.Reset} {
		t.Run(string(end), func(t *testing.T) {
			t.Parallel()
			s, proxy := behindGate(t)
			payment := s.doubtful()
			loss := proxy.Lose(nettest.Commit(guarded(t, "capture.take_over")), end)
			_, err := s.Recover(context.Background(), payment, 1)
			require.NoError(t, err)
			require.True(t, loss.Happened())
			require.Equal(t, checkout.Captured, s.state(payment))
		})
	}
}

// TestASignalAmidATakeOverLeavesNoLease: the statement has committed, its reply
// is lost, and the process has been asked to end meanwhile.
func TestASignalAmidATakeOverLeavesNoLease(t *testing.T) {
	t.Parallel()
	dsn := devtest.DSN(t)
	s, proxy := behind(t, dsn)
	s.Finalise = 20 * time.Second
	payment := s.doubtful()
	warm := s.doubtful()
	_, err := s.Recover(t.Context(), warm, 1) // the statement is prepared from here on
	require.NoError(t, err)

	watch, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, PoolSize: 1})
	require.NoError(t, err)
	defer func() { _ = watch.Close() }()
	ctx, signal := context.WithCancel(t.Context())
	defer signal()
	ended := make(chan error, 1)
	proxy.Answer(false)
	go func() {
		_, err := s.Recover(ctx, payment, 1)
		ended <- err
	}()
	leases := func() (n int) {
		require.NoError(t, watch.Get(t.Context(), &n, `SELECT count(*) FROM payment_attempts WHERE lease_until > clock_timestamp()`))
		return n
	}
	require.Eventually(t, func() bool { return leases() == 1 }, 20*time.Second, 10*time.Millisecond, "it is taken over, and nobody has heard of it")
	signal()
	proxy.Cut()
	proxy.Answer(true)
	<-ended
	require.Zero(t, leases())
}
