package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/stage"
)

// Liveness under the demo schedule.
const (
	settle = 30 * time.Second
	tick   = 100 * time.Millisecond
)

// shortLease brings the take-over of a dead holder's attempt within a test's
// patience; the windows are still in proportion.
var shortLease = []string{"PAYONCE_LEASE=3s", "PAYONCE_FINALISE=2s", "PAYONCE_PROVIDER_DEADLINE=1s", "PAYONCE_PROVIDER_CONNECT=500ms", "PAYONCE_SWEEP=500ms"}

func TestKilledAtEveryCapturePointTheRetryFindsOneCharge(t *testing.T) {
	t.Parallel()
	for _, point := range []string{
		"before_claim", "after_claim", "before_charge", "after_charge", "before_finalise", "after_finalise", "before_response",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
			b := s.Buyer()
			c := b.Order()
			b.Arm("capture."+point, c)
			pid := s.API.Pid()
			_, err := b.Capture(context.Background(), c, "K", "tok_ok")
			require.Error(t, err, "the api died before it could answer")
			require.Eventually(t, func() bool { return !s.API.Running() }, settle, tick)
			s.API.Start()
			require.NotEqual(t, pid, s.API.Pid())
			r, _ := b.MustCapture(c, "K", "tok_ok")
			require.Equal(t, 200, r.Status)
			b.Settles(c)
			again, _ := b.MustCapture(c, "K", "tok_ok")
			require.Equal(t, string(r.Body), string(again.Body))
		})
	}
}

func TestKilledAfterTheChargeTheSweeperAloneFinishesIt(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	b := s.Buyer()
	c := b.Order()
	b.Arm("capture.after_charge", c)
	_, err := b.Capture(context.Background(), c, "K", "tok_ok")
	require.Error(t, err)
	// Nobody retries, and the api stays away.
	b.Settles(c)
	require.Equal(t, 1, s.Count(`SELECT count(*) FROM payments WHERE status = 'captured'`))
	s.API.Start()
	r, tries := b.MustCapture(c, "K", "tok_ok")
	require.Equal(t, 200, r.Status)
	require.Equal(t, 1, tries)
	require.Equal(t, "true", r.Header.Get("Idempotent-Replayed"), "recovery stored what the handler would have sent")
}

func TestRelayAndWorkerKilledAtAnyMomentDuring200CapturesEveryEffectOnce(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	done := killAtRandom(t, s.Relay, s.Worker)
	checkouts := make([]stage.Checkout, 200)
	for i := range checkouts {
		checkouts[i] = b.Order()
	}
	var wg sync.WaitGroup
	next := make(chan int)
	for range 8 {
		wg.Go(func() {
			for i := range next {
				b.MustCapture(checkouts[i], fmt.Sprintf("K-%d", i), "tok_ok")
			}
		})
	}
	for i := range checkouts {
		next <- i
	}
	close(next)
	wg.Wait()
	killed := done()
	t.Logf("killed %d times", killed)
	require.GreaterOrEqual(t, killed, kills)
	for _, c := range checkouts {
		b.Settles(c)
	}
}

// kills is how often at least a run is disturbed; a fast machine is through
// with its captures earlier and is then disturbed while the effects follow.
const kills = 12

// killAtRandom kills programs every now and then; they come back by
// themselves. Calling what it returns waits for the last kill and tells how
// many there were.
func killAtRandom(t *testing.T, programs ...*stage.Program) func() int {
	t.Helper()
	for _, p := range programs {
		p.Keep()
	}
	ctx, stop := context.WithCancel(t.Context())
	total := make(chan int, 1)
	go func() {
		n := 0
		for ctx.Err() == nil || (n < kills && t.Context().Err() == nil) {
			select {
			case <-t.Context().Done():
			case <-time.After(time.Duration(50+rand.IntN(250)) * time.Millisecond):
				p := programs[rand.IntN(len(programs))]
				if p.Running() {
					_ = p.Signal(syscall.SIGKILL)
					n++
				}
			}
		}
		total <- n
	}()
	return func() int {
		stop()
		return <-total
	}
}
