package client

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Options are a caller's manners. The zero value is a caller without a name who
// waits a minute and keeps no connection.
type Options struct {
	// UserAgent introduces the caller; empty means Go's own.
	UserAgent string
	// Timeout bounds one request, from the dial to the last byte of its answer; 0
	// means a minute.
	Timeout time.Duration
	// HeaderTimeout bounds the wait between a request and the beginning of its
	// answer, of a stream too; 0 means no bound of its own.
	HeaderTimeout time.Duration
	// Idle is how many connections are kept between requests, each for 10 s at
	// most; 0 means none: every request has a connection of its own.
	Idle int
	// Longest bounds an answer's body, in bytes; 0 means 8 MiB. A longer one is
	// [ErrTooLong].
	Longest int64
	// Dial opens a connection; nil means net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Transport is the way to the network that [New] takes, for what is no client:
// a proxy, or requests that a [Request] cannot say. It sends a request that may
// change something once. It heeds HeaderTimeout, Idle and Dial.
func Transport(o Options) http.RoundTripper {
	return once{&http.Transport{
		DialContext: o.Dial, ResponseHeaderTimeout: o.HeaderTimeout,
		DisableKeepAlives: o.Idle == 0, MaxIdleConnsPerHost: o.Idle, IdleConnTimeout: 10 * time.Second,
	}}
}

// once takes from net/http what it needs to repeat a request.
//
// When a connection that was used before dies under a request, net/http sends it
// again on another one, without a word, if it takes it for harmless: GET and the
// like, which may be repeated here too, and whatever carries an Idempotency-Key.
// The shop absorbs the second delivery, but the caller never knows of it: clicks
// are counted here, and every attempt is a decision.
type once struct{ *http.Transport }

const (
	keyHeader = "Idempotency-Key"
	// overlooked is the same header on the wire. net/http asks its map for the
	// canonical spelling only.
	overlooked = "idempotency-key"
)

// RoundTrip implements http.RoundTripper.
func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context()) // the caller's is not ours to change
	// A body that cannot be had again cannot be sent again.
	sent.GetBody = nil
	// A key without a body leaves nothing to withhold but the key's name.
	if keys, keyed := sent.Header[keyHeader]; keyed && (sent.Body == nil || sent.Body == http.NoBody) {
		delete(sent.Header, keyHeader)
		sent.Header[overlooked] = keys
	}
	return o.Transport.RoundTrip(sent)
}
