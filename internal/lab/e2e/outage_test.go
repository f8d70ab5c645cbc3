package e2e

import (
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/stage"
)

// many is more than a crowd buys in a test.
const many = 100_000

// crowdPause paces each buyer of a crowd: what counts is that some are under way
// at every moment, not how many.
const crowdPause = 400 * time.Millisecond

// onOwnServices is a stage on a Postgres and a RabbitMQ that the test may end.
// The outside world keeps its books elsewhere and is not hit.
func onOwnServices(t *testing.T) (*stage.Stage, *devstack.Stack) {
	t.Helper()
	stack := devtest.Own(t)
	s := stage.Start(t, stage.Options{
		Services: &stage.Services{DSN: stack.PostgresDSN(devstack.MainDatabase), AMQPURL: stack.AMQPURL("/")},
		Env:      map[string][]string{"api": shortLease, "worker": shortLease},
	})
	return s, stack
}

// outage is how long a service stays away: PAYONCE_TEST_OUTAGE, or five seconds.
func outage(t *testing.T) time.Duration {
	t.Helper()
	if given := os.Getenv("PAYONCE_TEST_OUTAGE"); given != "" {
		d, err := time.ParseDuration(given)
		require.NoError(t, err)
		return d
	}
	return 5 * time.Second
}

// goOn lets the crowd go on for a while.
func (c *crowd) goOn(d time.Duration) {
	c.t.Helper()
	over := time.After(d)
	before := c.captured()
	<-over
	c.t.Logf("%d captured in %s", c.captured()-before, d)
}

// TestServicesThatGoAwayUnderLoad has one Postgres and one RabbitMQ, which take a
// while to start, for all that may happen to them.
func TestServicesThatGoAwayUnderLoad(t *testing.T) {
	t.Parallel()
	s, stack := onOwnServices(t)
	for name, happens := range map[string]func(*testing.T, *stage.Stage, *devstack.Stack){
		"broker down during checkout, every capture answers 200 and the backlog drains":             brokerDownDuringCheckout,
		"Postgres and RabbitMQ killed twice each, nothing acknowledged is lost or doubled":          bothKilled,
		"Postgres restarted, cut off and frozen, and a frozen broker: a 503 says when to ask again": postgresAway,
	} {
		t.Run(name, func(t *testing.T) { happens(t, s, stack) })
	}
}

// The broker is no part of a capture.
func brokerDownDuringCheckout(t *testing.T, s *stage.Stage, stack *devstack.Stack) {
	away := outage(t)
	c := newCrowd(t, s, many)
	done := make(chan struct{})
	wait := c.shop(4, crowdPause, done, ok)
	c.until("some is captured", func() bool { return c.captured() >= 10 })

	require.NoError(t, stack.RabbitMQ.Stop(t.Context()))
	before := c.captured()
	c.goOn(away)
	close(done)
	wait()
	during := c.captured() - before
	const backlog = `SELECT count(*) FROM outbox_events WHERE published_at IS NULL`
	waiting := s.Count(backlog)
	require.Positive(t, during)
	require.GreaterOrEqual(t, waiting, during, "what was captured waits in the outbox")
	require.Equal(t, map[int]int{http.StatusOK: c.captured()}, c.answers, "every answer, the first included")

	require.NoError(t, stack.RabbitMQ.Start(t.Context()))
	back := time.Now()
	c.until("the backlog drains", func() bool { return s.Count(backlog) == 0 })
	t.Logf("%d captured while the broker was away for %s, %d events waited, drained %s after it was back", during, away, waiting, time.Since(back).Round(time.Millisecond))
	c.settles()
	t.Logf("every effect there %s after the broker was back", time.Since(back).Round(time.Millisecond))
}

func bothKilled(t *testing.T, s *stage.Stage, stack *devstack.Stack) {
	c := newCrowd(t, s, many)
	done := make(chan struct{})
	wait := c.shop(4, crowdPause, done, ok)
	for _, service := range []*devstack.Service{stack.Postgres, stack.RabbitMQ, stack.Postgres, stack.RabbitMQ} {
		some := c.captured() + 4
		c.until("some more is captured", func() bool { return c.captured() >= some })
		require.NoError(t, service.Kill(t.Context()))
		require.NoError(t, service.Start(t.Context()))
	}
	some := c.captured() + 4
	c.until("and again", func() bool { return c.captured() >= some })
	close(done)
	wait()
	c.settles()
}

func postgresAway(t *testing.T, s *stage.Stage, stack *devstack.Stack) {
	c := newCrowd(t, s, many)
	done := make(chan struct{})
	wait := c.shop(4, crowdPause, done, ok)
	another := func(what string) {
		some := c.captured() + 4
		c.until("captured again after "+what, func() bool { return c.captured() >= some })
	}
	another("the start")

	for range 5 {
		s.Count(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'payonce-%'`)
		another("all connections were killed")
	}

	said := c.away.Load()
	require.NoError(t, stack.Postgres.Stop(t.Context()))
	c.until("it is said that the database is away", func() bool { return c.away.Load() > said })
	require.Equal(t, 200, status(t, s.URL+"/healthz"))
	require.Equal(t, 503, status(t, s.URL+"/readyz"))
	require.NoError(t, stack.Postgres.Start(t.Context()))
	another("a restart")

	for _, service := range []*devstack.Service{stack.Postgres, stack.RabbitMQ} {
		require.NoError(t, service.Freeze())
		c.goOn(outage(t))
		require.NoError(t, service.Thaw())
		another(service.Name + " was frozen")
	}
	close(done)
	wait()
	c.settles()
}

// TestStoppedForFifteenSecondsAProcessWakesIntoAWorldThatWentOn stops each of
// the three with SIGSTOP while the others, and a second relay and worker, go on.
func TestStoppedForFifteenSecondsAProcessWakesIntoAWorldThatWentOn(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	s.Another("relay")
	s.Another("worker")
	c := newCrowd(t, s, many)
	done := make(chan struct{})
	wait := c.shop(4, crowdPause, done, halfSlow)
	for _, p := range []*stage.Program{s.Relay, s.Worker, s.API} {
		some := c.captured() + 4
		c.until("some more is captured", func() bool { return c.captured() >= some })
		require.NoError(t, p.Signal(syscall.SIGSTOP))
		before := c.captured()
		c.goOn(15 * time.Second)
		if p != s.API {
			require.Greater(t, c.captured(), before, "captures went on without %s", p.Name)
		}
		require.NoError(t, p.Signal(syscall.SIGCONT))
	}
	some := c.captured() + 4
	c.until("and again", func() bool { return c.captured() >= some })
	close(done)
	wait()
	c.settles()
}
