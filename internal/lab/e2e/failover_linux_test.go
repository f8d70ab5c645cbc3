package e2e

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/stage"
)

// The primary dies for good and its standby takes over. The programs know both
// addresses and look for the one that takes writes; nobody restarts them.
func TestAFailoverToTheStandbyLosesNothingThatWasAcknowledgedAndDoublesNothing(t *testing.T) {
	t.Parallel()
	stack := devtest.Own(t)
	standby, err := stack.Standby(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = standby.Kill(t.Context()) })
	both := eitherOf(t, stack.PostgresDSN(devstack.MainDatabase), standby.Address())
	s := stage.Start(t, stage.Options{
		Services: &stage.Services{DSN: both, AMQPURL: stack.AMQPURL("/")},
		Env:      map[string][]string{"api": shortLease, "worker": shortLease},
	})
	for _, p := range []*stage.Program{s.API, s.Relay, s.Worker} {
		refusesAReplica(t, p, stack.PostgresDSN(devstack.MainDatabase), standby.Address())
	}
	c := newCrowd(t, s, many)
	done := make(chan struct{})
	wait := c.shop(4, crowdPause, done, ok)
	c.until("some is captured", func() bool { return c.captured() >= 8 })

	require.NoError(t, stack.Postgres.Kill(t.Context()))
	before := c.captured()
	require.NoError(t, standby.Promote(t.Context()))
	c.until("captured again on the standby", func() bool { return c.captured() >= before+8 })
	close(done)
	wait()
	c.settles()
	require.Equal(t, 0, s.Count(`SELECT pg_is_in_recovery()::int`))
	t.Logf("%d captured before the failover, %d in all", before, c.captured())
}

// refusesAReplica gives one life of a program the standby for its database: it must
// not be ready, because what it read there would be from the past.
func refusesAReplica(t *testing.T, p *stage.Program, primary, standby string) {
	t.Helper()
	replica, err := url.Parse(primary)
	require.NoError(t, err)
	replica.Host = standby
	p.Kill()
	_, err = p.Launch("PAYONCE_POSTGRES_DSN=" + replica.String())
	require.NoError(t, err)
	waits, rest := `"postgres":"unavailable"`, `"rabbitmq":"ok"`
	if p.Name == "api" { // it needs no broker
		waits, rest = `"name":"postgres","ok":false`, ""
	}
	require.Eventually(t, func() bool {
		ready := p.Ready(t.Context())
		require.Error(t, ready, "%s works on a replica", p.Name)
		return strings.Contains(ready.Error(), waits) && strings.Contains(ready.Error(), rest)
	}, settle, tick, "%s does not wait for a primary alone", p.Name)
	p.Kill()
	p.Start()
}

// eitherOf is a DSN with two hosts, of which the one that takes writes is used.
func eitherOf(t *testing.T, primary, standby string) string {
	t.Helper()
	first, err := url.Parse(primary)
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(standby)
	require.NoError(t, err)
	password, _ := first.User.Password()
	return fmt.Sprintf("host=%s,%s port=%s,%s user=%s password=%s dbname=%s sslmode=disable target_session_attrs=read-write connect_timeout=3",
		first.Hostname(), host, first.Port(), port, first.User.Username(), password, first.Path[1:])
}
