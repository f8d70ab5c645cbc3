package simulated

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// longest is how many times the first delay an open breaker waits at most.
const longest = 32

// newBreaker makes the breaker that stands between us and a provider that is
// down: open after 20 calls in 10 s of which four in five found nobody; then one
// probe at a time, at delays that double while probes fail; closed by the first
// that succeeds.
func newBreaker(cfg Config) circuitbreaker.CircuitBreaker[answer] {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var failed atomic.Int64 // probes since it was closed
	return circuitbreaker.NewBuilder[answer]().
		HandleIf(func(a answer, err error) bool {
			// Who hangs up before the answer has learned nothing about the provider.
			return err != nil && !errors.Is(err, context.Canceled) || a.outOfReach()
		}).
		WithFailureRateThreshold(0.8, 20, 10*time.Second).
		WithDelayFunc(func(failsafe.ExecutionAttempt[answer]) time.Duration {
			return cfg.BreakerDelay * time.Duration(min(int64(1)<<min(failed.Add(1)-1, 8), longest))
		}).
		WithSuccessThreshold(1).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			if e.NewState == circuitbreaker.ClosedState {
				failed.Store(0)
				log.Info("the provider answers again", "breaker", e.NewState.String())
				return
			}
			log.Warn("the provider is out of reach", "breaker", e.NewState.String())
		}).
		Build()
}

// outOfReach says that a gateway answered in the provider's place.
func (a answer) outOfReach() bool {
	return a.status == http.StatusBadGateway || a.status == http.StatusServiceUnavailable || a.status == http.StatusGatewayTimeout
}

// BreakerState is how the breaker stands, as a metric has it: 0 closed, 1
// half-open, 2 open.
func (c *Client) BreakerState() int64 {
	switch c.breaker.State() {
	case circuitbreaker.HalfOpenState:
		return 1
	case circuitbreaker.OpenState:
		return 2
	case circuitbreaker.ClosedState:
	}
	return 0
}
