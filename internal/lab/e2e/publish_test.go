package e2e

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/stage"
)

const relayOpenSQL = `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'payonce-relay' AND state = 'idle in transaction' AND xact_start < $1`

// TestNoTransactionOfTheRelayIsOpenWhileItPublishes stands between the relay
// and its broker and looks at the database whenever something is published.
func TestNoTransactionOfTheRelayIsOpenWhileItPublishes(t *testing.T) {
	t.Parallel()
	broker, err := url.Parse(devtest.Broker(t))
	require.NoError(t, err)
	var (
		s     atomic.Pointer[stage.Stage]
		looks atomic.Int64
		open  atomic.Int64
	)
	look := func(chunk []byte) {
		stage := s.Load()
		if stage == nil || len(chunk) < 200 { // acks and heartbeats are shorter than an event
			return
		}
		looks.Add(1)
		var began time.Time
		if err := stage.DB.Get(context.Background(), &began, `SELECT clock_timestamp()`); err != nil {
			return
		}
		// The event waits here meanwhile. A bystander's transaction ends, one
		// that spans the publish does not.
		for range 50 {
			if stage.Count(relayOpenSQL, began) == 0 {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		open.Add(1)
	}
	broker.Host = watched(t, broker.Host, look)
	house := stage.Start(t, stage.Options{AMQPURL: broker.String()})
	s.Store(house)
	b := house.Buyer()
	for range 10 {
		c := b.Order()
		b.MustCapture(c, c.PaymentID, "tok_ok")
		b.Settles(c)
	}
	require.Positive(t, looks.Load())
	require.Zero(t, open.Load(), "transactions that were open while an event went out")
}

// watched forwards connections to address and shows what clients send.
func watched(t *testing.T, address string, look func(chunk []byte)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go forward(client, address, look)
		}
	}()
	return l.Addr().String()
}

func forward(client net.Conn, address string, look func(chunk []byte)) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(client, server) }()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		look(buf[:n])
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}
