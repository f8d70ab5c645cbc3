package simulated

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// errOpen says that nothing was sent, because the provider is out of reach.
var errOpen = errors.New("circuit breaker open")

// newBreaker makes the breaker that stands between us and a provider that is
// down: open after 20 calls in 10 s of which four in five found nobody; then, after
// a delay, one probe at a time; closed by the first that is answered. It is of a
// process, and so of all merchants: it counts only what no single card can cause.
func newBreaker(cfg Config) circuitbreaker.CircuitBreaker[answer] {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return circuitbreaker.NewBuilder[answer]().
		WithFailureRateThreshold(0.8, 20, 10*time.Second).
		// A constant: the library asks a function only where a failure opens the
		// breaker, and has a minute of its own where a success is the twentieth call.
		WithDelay(cfg.BreakerDelay).
		WithSuccessThreshold(1).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			if e.NewState == circuitbreaker.ClosedState {
				log.Info("the provider answers again", "breaker", e.NewState.String())
				return
			}
			log.Warn("the provider is out of reach", "breaker", e.NewState.String())
		}).
		Build()
}

// admitted lets a call through while the breaker is closed. When it is open for
// its delay, the next caller asks first, with a short question of its own: a card
// that never gets an answer would fail as a probe, whatever the provider's health.
func (c *Client) admitted(ctx context.Context) error {
	if c.breaker.IsClosed() {
		return nil
	}
	if !c.breaker.TryAcquirePermit() {
		return errOpen
	}
	asking, cancel := context.WithTimeout(ctx, c.probeTimeout)
	defer cancel()
	a, err := c.do(asking, http.MethodGet, "/v1/charges?"+url.Values{"idempotency_key": {"probe"}}.Encode(), "", nil)
	if err != nil || a.outOfReach() {
		c.breaker.RecordFailure()
		return errOpen
	}
	c.breaker.RecordSuccess()
	return nil
}

// reach is what a call says about the provider, and not about its card.
type reach int

const (
	unsaid  reach = iota // silence: the provider's, the way's, or one card's
	reached              // some answer of the provider
	gone                 // no connection, or a gateway that answered in its place
)

// count tells the breaker of a call. Late news of calls that began before it
// opened is not a probe's.
func (c *Client) count(r reach) {
	switch {
	case !c.breaker.IsClosed() || r == unsaid:
	case r == reached:
		c.breaker.RecordSuccess()
	case r == gone:
		c.breaker.RecordFailure()
	}
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
