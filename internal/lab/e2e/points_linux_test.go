package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/stage"
)

// The parts whose points one payment passes on its way. A saga's, retention's
// and the dead letters' points are met by their own tests and by campaigns.
var passed = []string{"capture", "webhook", "relay", "ledger", "tickets", "email", "mailer", "provider", "recovery"}

// pointsOf asks the lab which crash points there are.
func pointsOf(t *testing.T, b *stage.Buyer) (list []string) {
	t.Helper()
	var view struct{ Data []string }
	require.NoError(t, json.Unmarshal(b.Get("/v1/lab/faults").Body, &view))
	for _, point := range view.Data {
		part, step, _ := strings.Cut(point, ".")
		// Verifying knows no payment yet, and so cannot be limited to one.
		if slices.Contains(passed, part) && step != "before_verify" {
			list = append(list, point)
		}
	}
	return list
}

// A wave is small, because the broker counts the deliveries that one worker's
// deaths cost a message.
const wave = 8

func TestEveryCrashPointOnThePaymentsWayKilledOnceEveryEffectOnce(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	b := s.Buyer()
	points := pointsOf(t, b)
	require.Greater(t, len(points), 25)
	for _, p := range []*stage.Program{s.API, s.Relay, s.Worker} {
		p.Keep()
	}
	killAt(b, points, wave)
	// Whoever dies of another's fault in the moment after its own commit has
	// nothing left to do, and so never comes to its own point: once more, alone.
	if left := unmet(t, s); len(left) > 0 {
		t.Logf("not met in a wave: %q", left)
		r, err := b.Do(t.Context(), http.MethodDelete, "/v1/lab/faults", "", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, r.Status)
		killAt(b, left, 1)
		require.Empty(t, unmet(t, s), "every armed point was met")
	}
	require.Zero(t, s.Count(`SELECT count(*) FROM dead_letters`))
}

// killAt makes a payment for each point, that ends the process which comes to it.
func killAt(b *stage.Buyer, points []string, wave int) {
	for len(points) > 0 {
		n := min(wave, len(points))
		if strings.HasPrefix(points[0], "capture.") {
			n = 1 // A capture that dies of another's fault is recovered, and never comes to its own point.
		}
		var buyers sync.WaitGroup
		checkouts := make([]stage.Checkout, n)
		for i, point := range points[:n] {
			checkouts[i] = b.Order()
			b.Arm(point, checkouts[i])
		}
		for i, point := range points[:n] {
			buyers.Go(func() {
				b.MustCapture(checkouts[i], "K-"+checkouts[i].PaymentID, cardFor(point))
				b.Settles(checkouts[i])
			})
		}
		buyers.Wait()
		points = points[n:]
	}
}

// unmet is the points that were armed and not met. A webhook may come after
// everything has settled, so it waits for the last.
func unmet(t *testing.T, s *stage.Stage) (left []string) {
	t.Helper()
	for deadline := time.Now().Add(settle); ; {
		left = nil
		require.NoError(t, s.DB.Select(t.Context(), &left, `SELECT point FROM lab.faults WHERE fired_at IS NULL ORDER BY seq`))
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		<-time.After(tick)
	}
}

// cardFor is the card whose payment passes a point.
func cardFor(point string) string {
	if strings.HasPrefix(point, "recovery.") {
		return "tok_timeout_after"
	}
	return "tok_ok"
}

func TestPanicAndErrorAtEveryPointOnThePaymentsWayEveryEffectOnceAndNo500WithoutAProblem(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	b := s.Buyer()
	for _, p := range []*stage.Program{s.API, s.Relay, s.Worker} {
		p.Keep()
	}
	type visit struct {
		checkout stage.Checkout
		card     string
	}
	var visits []visit
	for _, point := range pointsOf(t, b) {
		for _, action := range []string{"error", "panic"} {
			v := visit{b.Order(), cardFor(point)}
			b.ArmAction(point, action, v.checkout, 0)
			visits = append(visits, v)
		}
	}
	var buyers sync.WaitGroup
	next := make(chan visit, len(visits)) // a failed buyer goes, and must not be waited for
	for range wave {
		buyers.Go(func() {
			for v := range next {
				r, err := b.Capture(context.Background(), v.checkout, "K-"+v.checkout.PaymentID, v.card)
				if err == nil && r.Status >= 500 {
					assert.Contains(t, []any{"/problems/internal-error", "/problems/unavailable"}, r.Field("type"), "%s", r.Body)
				}
				b.MustCapture(v.checkout, "K-"+v.checkout.PaymentID, v.card)
				b.Settles(v.checkout)
			}
		})
	}
	for _, v := range visits {
		next <- v
	}
	close(next)
	buyers.Wait()
	require.Empty(t, unmet(t, s), "every armed point was met")
}

// A process that is stopped for longer than its lease wakes by itself, and what
// was done meanwhile by others is not done again.
func TestStoppedForLongerThanALeaseTheSleeperWakesAndEveryEffectIsThereOnce(t *testing.T) {
	t.Parallel()
	for point, program := range map[string]func(*stage.Stage) *stage.Program{
		"capture.after_charge":    func(s *stage.Stage) *stage.Program { return s.API },
		"relay.after_fetch":       func(s *stage.Stage) *stage.Program { return s.Relay },
		"ledger.after_effect":     func(s *stage.Stage) *stage.Program { return s.Worker },
		"mailer.after_lease":      func(s *stage.Stage) *stage.Program { return s.Worker },
		"capture.before_finalise": func(s *stage.Stage) *stage.Program { return s.API },
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
			b := s.Buyer()
			c := b.Order()
			b.ArmAction(point, "stop", c, 8*time.Second) // the lease is 3 s, idle transactions live for 5 s
			sleeper := program(s)
			pid := sleeper.Pid()
			b.MustCapture(c, "K", "tok_ok")
			b.Settles(c)
			require.Zero(t, s.Count(`SELECT count(*) FROM lab.faults WHERE fired_at IS NULL`))
			require.Equal(t, pid, sleeper.Pid())
			require.Eventually(t, func() bool { return !sleeper.Stopped() }, settle, tick, "it wakes by itself")
			r, err := b.Do(context.Background(), http.MethodGet, "/v1/audit", "", nil)
			require.NoError(t, err)
			require.Equal(t, 200, r.Status)
			other := b.Order()
			b.MustCapture(other, "K2", "tok_ok")
			b.Settles(other) // The one that woke works on.
			b.Settles(c)
			require.Zero(t, s.Count(`SELECT count(*) FROM dead_letters`))
		})
	}
}
