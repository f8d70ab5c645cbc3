package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
	"payonce/internal/lab/stage"
	"payonce/internal/lab/wiretest"
)

const (
	drained = "exited with status 0"
	// drain is longer than the bound that the programs are given.
	drain = 40 * time.Second

	leasesOfAttempts = `SELECT count(*) FROM payment_attempts WHERE lease_until > clock_timestamp()`
	leasesOfKeys     = `SELECT count(*) FROM idempotency_keys WHERE lease_until > clock_timestamp()`
	leasesOfMails    = `SELECT count(*) FROM emails WHERE lease_until > clock_timestamp()`
	capturing        = `SELECT count(*) FROM payments WHERE status = 'capturing'`
)

// halfSlow pays every second order with a card that takes two seconds.
func halfSlow(i int) string { return []string{"tok_slow", "tok_ok"}[i%2] }

// status asks without a buyer; 0 is no answer.
func status(t *testing.T, target string) int {
	t.Helper()
	answer, err := client.New(target, "", client.Options{}).Send(t.Context(), client.Request{Method: http.MethodGet})
	if err != nil {
		return 0
	}
	return answer.Status
}

// listen opens the buyer's stream and returns a channel that is closed when the
// server ends it.
func listen(t *testing.T, b *stage.Buyer) <-chan struct{} {
	t.Helper()
	resp, err := b.Stage.Visitor().As(b.APIKey).Open(t.Context(), client.Request{Method: http.MethodGet, Path: "/v1/stream"}) //nolint:bodyclose // closed below, when the stream has ended
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer func() { _ = resp.Body.Close() }()
		_, _ = io.Copy(io.Discard, resp.Body)
	}()
	return over
}

// TestSIGTERMToTheApiAmidCapturesFinishesThemAndLeavesNoLease: no worker runs,
// so that nobody else could have finished what the api had begun.
func TestSIGTERMToTheApiAmidCapturesFinishesThemAndLeavesNoLease(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Without: []string{"worker"}, Env: map[string][]string{"api": {"PAYONCE_NOTICE=1s"}}})
	c := newCrowd(t, s, 60)
	stream := listen(t, c.Buyer)
	wait := c.shop(12, 0, nil, halfSlow)
	c.until("captures are under way", func() bool { return s.Count(capturing) >= 4 })

	require.NoError(t, s.API.Signal(syscall.SIGTERM))
	c.until("the door is still open and says that it will be shut", func() bool { return status(t, s.URL+"/readyz") == 503 })
	<-stream
	require.Equal(t, drained, s.API.Ends(drain))
	require.Zero(t, status(t, s.URL+"/readyz"), "nothing listens")
	for _, leases := range []string{leasesOfAttempts, leasesOfKeys, capturing, `SELECT count(*) FROM heartbeats WHERE process = 'api'`} {
		require.Zero(t, s.Count(leases), leases)
	}
	c.mu.Lock()
	answered := c.answers[200]
	c.mu.Unlock()
	require.GreaterOrEqual(t, s.Count(`SELECT count(*) FROM attempts WHERE operation LIKE '%capture%' AND status_code = 200`), answered, "the journal was written out")

	s.API.Start()
	s.Worker.Start()
	wait()
	c.settles()
	require.Zero(t, c.answers[500]+c.answers[502]+c.answers[503], "no server error at all: %v", c.answers)
}

func TestSIGTERMToTheRelayAmidABacklogMarksWhatWasConfirmedAndNothingGoesOutTwice(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"relay": {"PAYONCE_RELAY_BATCH=20"}}})
	c := newCrowd(t, s, 150)
	wait := c.shop(8, 0, nil, ok)
	for round := 1; round <= 3; round++ {
		c.until("some more is captured", func() bool { return c.captured() >= round*40 })
		require.NoError(t, s.Relay.Signal(syscall.SIGTERM))
		require.Equal(t, drained, s.Relay.Ends(drain))
		require.Zero(t, s.Count(`SELECT count(*) FROM heartbeats WHERE process = 'relay'`))
		s.Relay.Start()
	}
	wait()
	c.settles()
	require.Zero(t, s.Count(`SELECT count(*) FROM activity WHERE kind = 'absorbed'`), "a confirm that came was marked, so no inbox had anything to absorb")
}

// TestSIGTERMToTheWorkerAmidItsWorkGivesItsLeasesBack stops a worker that sends
// mails and asks the provider about captures in doubt.
func TestSIGTERMToTheWorkerAmidItsWorkGivesItsLeasesBack(t *testing.T) {
	t.Parallel()
	net := wiretest.New(t)
	s := stage.Start(t, stage.Options{Between: net.Between, Without: []string{"worker"}, Env: map[string][]string{"api": {"PAYONCE_PROVIDER_DEADLINE=500ms", "PAYONCE_PROVIDER_CONNECT=500ms"}}})
	c := newCrowd(t, s, 40)
	doubtful := newCrowd(t, s, 12)
	c.shop(8, 0, nil, ok)()
	var left []stage.Checkout
	for range 12 {
		o, _ := doubtful.next()
		r, err := doubtful.Capture(context.Background(), o, o.PaymentID, "tok_timeout_after")
		require.NoError(t, err)
		require.Equal(t, 202, r.Status, "%s", r.Body)
		left = append(left, o)
	}
	hurrySMTP, hurryProvider := net.Wire("worker", "smtp").Break(wiretest.Slow), net.Wire("worker", "provider").Break(wiretest.Slow)
	// Attempts first: what the provider tells by itself makes all of them due at once.
	for _, busy := range []string{leasesOfAttempts, leasesOfMails, leasesOfMails} {
		// Watched from its first moment: it may have asked before it says that it is ready.
		_, err := s.Worker.Launch()
		require.NoError(t, err)
		c.until("the worker is at it: "+busy, func() bool { return s.Count(busy) > 0 })
		require.NoError(t, s.Worker.Signal(syscall.SIGTERM))
		require.Equal(t, drained, s.Worker.Ends(drain))
		for _, leases := range []string{leasesOfMails, leasesOfAttempts, leasesOfKeys, `SELECT count(*) FROM heartbeats WHERE process = 'worker'`} {
			require.Zero(t, s.Count(leases), leases)
		}
	}
	hurrySMTP()
	hurryProvider()
	s.Worker.Start()
	for _, o := range append(left, c.paid...) {
		c.Settles(o)
	}
	for _, m := range s.Mails() {
		require.Equal(t, 1, m, "a mail that was accepted was marked, so none was sent twice")
	}
}

// TestADuplicateDoesNotHoldUpAnApiThatLeaves: its patience is not the process's.
func TestADuplicateDoesNotHoldUpAnApiThatLeaves(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Without: []string{"worker"}, Env: map[string][]string{"api": {"PAYONCE_DRAIN=10s", "PAYONCE_LEASE=60s"}}})
	b := s.Buyer()
	c := b.Order()
	b.Arm("capture.after_claim", c)
	_, err := b.Capture(context.Background(), c, "K", "tok_ok")
	require.Error(t, err, "its holder is dead, and its lease is long")
	s.API.Ends(drain)
	s.API.Start()
	answered := make(chan stage.Response, 1)
	go func() {
		r, _ := b.CaptureWaiting(context.Background(), c, "K", "tok_ok", 30)
		answered <- r
	}()
	require.Eventually(t, func() bool {
		return s.Count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'payonce-api' AND query LIKE '%payment_attempts%'`) > 0
	}, settle, tick, "the duplicate looks for its twin")
	require.NoError(t, s.API.Signal(syscall.SIGTERM))
	require.Equal(t, drained, s.API.Ends(drain))
	r := <-answered
	require.Equal(t, 409, r.Status, "%s", r.Body)
	require.NotEmpty(t, r.Header.Get("Retry-After"))
}

func TestASecondSignalOrTheBoundEndsTheApiAtOnceAndTheCaptureIsRecovered(t *testing.T) {
	t.Parallel()
	const silent = "tok_timeout_before" // for longer than a busy machine takes to hear a signal
	for name, end := range map[string]struct {
		drain, ending string
		signals       int
	}{
		"second signal": {"PAYONCE_DRAIN=60s", "was killed by SIGTERM", 2},
		"bound":         {"PAYONCE_DRAIN=50ms", "exited with status 1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stage.Start(t, stage.Options{Env: map[string][]string{"api": append(shortLease, "PAYONCE_PROVIDER_DEADLINE=10s", "PAYONCE_LEASE=12s", end.drain)}})
			b := s.Buyer()
			c := b.Order()
			cut := make(chan error, 1)
			go func() {
				_, err := b.Capture(context.Background(), c, "K", silent)
				cut <- err
			}()
			require.Eventually(t, func() bool { return s.Count(capturing) == 1 }, settle, 5*time.Millisecond)
			require.NoError(t, s.API.Signal(syscall.SIGTERM))
			if end.signals > 1 {
				first := func() bool { return strings.Contains(s.API.Process().LogTail(10), "asked to end") }
				require.Eventually(t, first, settle, 5*time.Millisecond, "the first has come")
				require.NoError(t, s.API.Signal(syscall.SIGTERM))
			}
			require.Equal(t, end.ending, s.API.Ends(drain))
			require.Error(t, <-cut)
			s.API.Start()
			r, _ := b.MustCapture(c, "K", silent)
			require.Equal(t, 200, r.Status)
			b.Settles(c)
		})
	}
}

func TestSIGTERMToTheSimulatorLetsItFinish(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	c := newCrowd(t, s, 24)
	wait := c.shop(8, 0, nil, halfSlow)
	c.until("charges are under way", func() bool { return s.Count(capturing) >= 4 })
	require.NoError(t, s.Simulator.Signal(syscall.SIGTERM))
	require.Equal(t, drained, s.Simulator.Ends(drain))
	s.Simulator.Start()
	wait()
	c.settles()
}
