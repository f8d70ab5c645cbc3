package rabbit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/rabbit"
)

func TestFortyConnectionsThatAreGivenOneListAreNotAllOnItsFirstNode(t *testing.T) {
	t.Parallel()
	broker := oncetest.Broker(t)
	first, firstAddress := newWaiting(t, broker)
	second, secondAddress := newWaiting(t, broker)
	given := []string{firstAddress, secondAddress}
	for range 40 {
		conn, err := rabbit.Open(rabbit.Config{URLs: given})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		if err := conn.Ready(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	if first.clients() == 0 || second.clients() == 0 {
		t.Errorf("%d connections on one node, %d on the other", first.clients(), second.clients())
	}
	if given[0] != firstAddress || given[1] != secondAddress {
		t.Error("the caller's list is another one now")
	}
}

func TestAQueueIsReadAsLongAsTheBrokerHandsOutAndNotBeforeAndNotAfter(t *testing.T) {
	t.Parallel()
	broker := oncetest.Broker(t)
	w, address := newWaiting(t, broker)
	conn, other := open(t, address), open(t, broker)
	notRead := func(when string, of *rabbit.Conn) {
		t.Helper()
		if err := of.Reads(soon(t), queue); !errors.Is(err, rabbit.ErrNotRead) {
			t.Errorf("%s: want ErrNotRead, got %v", when, err)
		}
	}
	notRead("before it is read", conn)
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		_ = conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue}, func(_ context.Context, batch []rabbit.Delivery) { _ = rabbit.Ack(batch...) })
	})
	t.Cleanup(func() { stop(); reading.Wait() })
	read := func() bool { return conn.Reads(soon(t), queue) == nil }
	eventually(t, "it is read", read)
	notRead("by another process", other)
	for i := range 200 { // past the careful beginning
		if err := other.Publisher(rabbit.PublisherConfig{}).Publish(soon(t), numbered("known", i)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is read by a whole reader", read)
	generation := conn.Generation()
	w.cut()
	eventually(t, "it is read by the next connection", func() bool { return conn.Generation() > generation && read() })
	stop()
	reading.Wait()
	notRead("after the end", conn)
}

// Each message that no queue takes says that one is missed.
func TestAFloodThatNoQueueTakesDeclaresAtMostOnceInASecond(t *testing.T) {
	t.Parallel()
	broker := oncetest.Broker(t)
	w, address := newWaiting(t, broker)
	conn := open(t, address)
	publisher, before, began := conn.Publisher(rabbit.PublisherConfig{}), w.declarations.Load(), time.Now()
	const flood = 3_000
	messages := make([]message.Message, flood)
	for i := range messages {
		messages[i] = numbered("nobody-is-bound-for-this", i)
	}
	// One after the other, so that there is a pause for the next declaration.
	for chunk := range 30 {
		for _, err := range publisher.PublishAll(soon(t), messages[chunk*flood/30:(chunk+1)*flood/30]) {
			var returned message.Returned
			if !errors.As(err, &returned) {
				t.Fatal(err)
			}
		}
	}
	most := int64(len(topology.Queues)) * (2 + int64(time.Since(began)/time.Second))
	if n := w.declarations.Load() - before; n == 0 || n > most {
		t.Errorf("%d queues were declared for %d messages in %s, want one to %d", n, flood, time.Since(began), most)
	}
}
