package e2e

import (
	"testing"
	"time"

	"payonce/internal/lab/stage"
	"payonce/internal/lab/wiretest"
)

// wires are every two processes that talk to each other.
var wires = [][2]string{
	{"client", "api"},
	{"api", "postgres"},
	{"api", "provider"},
	{"relay", "postgres"},
	{"relay", "rabbitmq"},
	{"worker", "postgres"},
	{"worker", "rabbitmq"},
	{"worker", "provider"},
	{"worker", "smtp"},
}

// TestEveryFaultOnEveryWireWhileThreeBuyersPayEveryEffectOnce breaks one wire
// after the other in each way while captures go over it.
func TestEveryFaultOnEveryWireWhileThreeBuyersPayEveryEffectOnce(t *testing.T) {
	t.Parallel()
	net := wiretest.New(t)
	s := stage.Start(t, stage.Options{Between: net.Between, Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	tokens := []string{"tok_ok", "tok_ok", "tok_timeout_after"} // the last makes the worker ask the provider
	c := newCrowd(t, s, len(wires)*len(wiretest.Faults)*len(tokens))
	for _, way := range wires {
		for _, fault := range wiretest.Faults {
			mend := net.Wire(way[0], way[1]).Break(fault)
			lasts := time.After(700 * time.Millisecond)
			once := make(chan struct{})
			close(once)
			wait := c.shop(len(tokens), 0, once, func(i int) string { return tokens[i] })
			if fault == wiretest.Linger && way[1] == "postgres" {
				// The server ends its sessions, and the client does not hear of it.
				s.Count(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1`, "payonce-"+way[0])
			}
			<-lasts
			mend()
			wait()
		}
	}
	if got, want := c.captured(), len(wires)*len(wiretest.Faults)*len(tokens); got != want {
		t.Errorf("%d of %d captured", got, want)
	}
	c.settles()
}
