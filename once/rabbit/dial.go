package rabbit

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

func (c *Conn) dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.DialTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	// For the handshake; the client clears it once the connection is open.
	if err := raw.SetReadDeadline(time.Now().Add(c.cfg.DialTimeout)); err != nil { //nolint:forbidigo // a deadline on a socket is an absolute time
		return nil, errors.Join(err, raw.Close())
	}
	return &impatient{Conn: raw, patience: c.cfg.WriteTimeout}, nil
}

// impatient puts a deadline on every write. A broker in a memory alarm stops
// reading, and the client's blocked write would ignore its context.
type impatient struct {
	net.Conn
	patience time.Duration
	last     atomic.Pointer[time.Time] // the deadline of the goodbye, when there is one
}

// SetDeadline is how the client limits its handshake and its goodbye.
func (i *impatient) SetDeadline(t time.Time) error {
	i.last.Store(nil)
	if !t.IsZero() {
		i.last.Store(&t)
	}
	return i.Conn.SetDeadline(t)
}

func (i *impatient) Write(b []byte) (int, error) {
	deadline := time.Now().Add(i.patience) //nolint:forbidigo // a deadline on a socket is an absolute time
	if last := i.last.Load(); last != nil && last.Before(deadline) {
		deadline = *last
	}
	if err := i.SetWriteDeadline(deadline); err != nil {
		return 0, err
	}
	return i.Conn.Write(b)
}
