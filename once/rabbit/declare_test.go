package rabbit_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/oncetest/nettest"
	"payonce/once/rabbit"
)

// TestNoQueueIsDeclaredWithoutANodeUnlessThatIsSaid: a queue that is made while a node is
// away may have no replica on it, and no program sees that later.
func TestNoQueueIsDeclaredWithoutANodeUnlessThatIsSaid(t *testing.T) {
	t.Parallel()
	broker := oncetest.Broker(t)
	away := nettest.NewProxy(t, broker)
	away.Down()
	u, err := url.Parse(away.URL())
	if err != nil {
		t.Fatal(err)
	}
	type word struct{ queues, nodes []string }
	var refusals atomic.Int64
	said := make(chan word, 100)
	begin := func(hook func(context.Context, []string, []string) error, urls ...string) *rabbit.Conn {
		conn, err := rabbit.Open(rabbit.Config{URLs: urls, Topology: topology, UnderReplicated: hook, BackoffMin: 10 * time.Millisecond, BackoffMax: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		return conn
	}
	says := func(_ context.Context, queues, nodes []string) error {
		said <- word{queues, nodes}
		return nil
	}
	silent := func(when string) {
		t.Helper()
		select {
		case w := <-said:
			t.Errorf("%s: %+v was said", when, w)
		default:
		}
	}

	refusing := begin(func(context.Context, []string, []string) error {
		refusals.Add(1)
		return errors.New("cannot be stored")
	}, broker, away.URL())
	eventually(t, "three refusals", func() bool { return refusals.Load() > 2 })
	if refusing.Healthy() {
		t.Error("it is connected although the word was not taken")
	}
	refusing.Close()
	looking, err := rabbit.Open(rabbit.Config{URLs: []string{broker}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(looking.Close)
	if _, err := looking.Depth(soon(t), queue); !errors.Is(err, message.ErrNoQueue) {
		t.Errorf("the queue was declared without a word: %v", err)
	}

	conn := begin(says, away.URL(), broker)
	if err := conn.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	w := <-said
	slices.Sort(w.queues)
	if !slices.Equal(w.queues, []string{dead, queue}) || !slices.Equal(w.nodes, []string{u.Host}) {
		t.Errorf("said of %v without %v", w.queues, w.nodes)
	}
	if err := begin(says, broker, away.URL()).Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	silent("the queues are there")

	away.Up()
	if err := conn.DeleteQueue(soon(t), queue); err != nil {
		t.Fatal(err)
	}
	if err := begin(says, broker, away.URL()).Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	silent("all nodes are in one cluster")
}

// A node that waits for a frozen one answers nothing of what is to be declared, also not of
// the exchange by which the cluster is known. Without an end to that wait no other node is tried.
func TestANodeThatDoesNotSayWhoIsInTheClusterIsLeft(t *testing.T) {
	t.Parallel()
	waits, address := newWaiting(t, oncetest.Broker(t))
	waits.unmarked.Store(true)
	conn, err := rabbit.Open(rabbit.Config{
		URLs: []string{address, address}, Topology: topology, Answer: 300 * time.Millisecond, BackoffMin: time.Millisecond, BackoffMax: 10 * time.Millisecond,
		UnderReplicated: func(context.Context, []string, []string) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := conn.Ready(ctx); !errors.Is(err, rabbit.ErrSilent) {
		t.Errorf("want ErrSilent, got %v", err)
	}
	waits.unmarked.Store(false)
	if err := conn.Ready(soon(t)); err != nil {
		t.Error(err)
	}
}
