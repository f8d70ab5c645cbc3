package simulated

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/failsafe-go/failsafe-go"

	"payonce/internal/shop/provider"
)

// send posts what moves money, again under the same key until an answer proves
// something or the caller's deadline ends it. Its error is ErrNotSent, when no
// try can have reached the provider, or ErrInDoubt.
func (c *Client) send(ctx context.Context, path, key string, body []byte) (answer, error) {
	if err := c.admitted(ctx); err != nil {
		return answer{}, fmt.Errorf("%w: %w", provider.ErrNotSent, err)
	}
	sent, said := false, unsaid
	a, err := c.charges.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[answer]) (answer, error) {
		try, connected := watched(e.Context())
		a, err := c.do(try, http.MethodPost, path, key, body)
		switch {
		case said == reached:
		case err == nil && !a.outOfReach():
			said = reached
		case err == nil, dialFailed(err):
			said = gone
		}
		// Once one try may have reached the provider, no later refusal to
		// connect can prove that nothing was sent.
		if sent = sent || connected.Load() || !dialFailed(err); !sent {
			return a, fmt.Errorf("%w: %w", errUnreached, err)
		}
		return a, err
	})
	c.count(said)
	switch {
	case err != nil && !sent:
		return a, fmt.Errorf("%w: %w", provider.ErrNotSent, err)
	case err != nil:
		return a, fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	return a, nil
}

// errUnreached ends a call early: nothing was sent, so the client may as well
// hear it now and ask again.
var errUnreached = errors.New("the provider cannot be reached")

// watched tells whether a request ever had a connection. The error alone does
// not: when a reused connection dies, net/http sends a request that carries an
// Idempotency-Key again by itself, and if that meets a closed door, "refused to
// connect" is all the caller hears of a request that may have been served.
func watched(ctx context.Context) (context.Context, *atomic.Bool) {
	connected := new(atomic.Bool)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), connected
}

// dialFailed says that the last connection could not be made.
func dialFailed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
