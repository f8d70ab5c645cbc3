package rabbit

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/oncetest/nettest"
)

func connected(t *testing.T, url string, queues ...Queue) *Conn {
	t.Helper()
	conn, err := Open(Config{URLs: []string{url}, Topology: Topology{Queues: queues}})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	require.NoError(t, conn.Ready(t.Context()))
	return conn
}

func (p *Publisher) outlet() *outlet {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	return p.out
}

// A broker remembers for a channel where a queue is led.
func TestAfterARefusalTheNextMessageGoesOverAnotherChannel(t *testing.T) {
	t.Parallel()
	full := Queue{Name: "full", Args: map[string]any{"x-queue-type": "classic", "x-max-length": int64(1), "x-overflow": "reject-publish"}}
	p := connected(t, oncetest.Broker(t), full, DeadLetterQueue("well")).Publisher(PublisherConfig{})
	send := func(queue string) error { return p.Publish(t.Context(), message.Message{Key: queue, ID: "m"}) }
	require.NoError(t, send("well"))
	require.NoError(t, send("full"))
	first := p.outlet()
	require.NoError(t, send("well"))
	require.Same(t, first, p.outlet(), "a channel that is well is kept")
	require.ErrorIs(t, send("full"), message.ErrNacked)
	require.NoError(t, send("well"))
	require.NotSame(t, first, p.outlet())
	select {
	case <-first.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the channel that was left stays open")
	}
}

func TestWhileAConfirmIsLateTheNextMessageGoesOverAnotherChannelAndTheLateOneCounts(t *testing.T) {
	t.Parallel()
	proxy := nettest.NewProxy(t, oncetest.Broker(t))
	p := connected(t, proxy.URL(), DeadLetterQueue("well")).Publisher(PublisherConfig{ConfirmTimeout: 2 * time.Second})
	require.NoError(t, p.Publish(t.Context(), message.Message{Key: "well", ID: "m"}))
	first := p.outlet()

	proxy.Answer(false)
	late := make(chan error, 1)
	require.NoError(t, p.Send(context.Background(), message.Message{Key: "well", ID: "late"}, func(err error) { late <- err }))
	require.Eventually(t, first.doubted.Load, 10*time.Second, time.Millisecond)
	proxy.Answer(true)
	require.NoError(t, p.Publish(t.Context(), message.Message{Key: "well", ID: "next"}))
	require.NotSame(t, first, p.outlet())
	require.NoError(t, <-late, "it is confirmed where it was published")
}
