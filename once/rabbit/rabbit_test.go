package rabbit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/oncetest/nettest"
	"payonce/once/rabbit"
)

const (
	exchange = "facts"
	queue    = "reader"
	dead     = "dead"
)

var topology = rabbit.Topology{
	Exchanges: []rabbit.Exchange{{Name: exchange, Kind: "topic"}, {Name: dead, Kind: "fanout"}},
	Queues:    []rabbit.Queue{rabbit.WorkQueue(queue, dead), rabbit.DeadLetterQueue(dead)},
	Bindings:  []rabbit.Binding{{Queue: queue, Exchange: exchange, Key: "known"}, {Queue: dead, Exchange: dead}},
}

func open(t *testing.T, url string) *rabbit.Conn {
	t.Helper()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{url}, Name: t.Name(), Topology: topology,
		BackoffMin: 10 * time.Millisecond, BackoffMax: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls a condition; a test waits for what it wants and never for
// time to pass.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func numbered(key string, n int) message.Message {
	return message.Message{Exchange: exchange, Key: key, ID: fmt.Sprintf("%s-%d", key, n), Body: []byte(fmt.Sprint(n))}
}

func depth(t *testing.T, c *rabbit.Conn, name string) int {
	t.Helper()
	d, err := c.Depth(soon(t), name)
	if err != nil {
		t.Fatal(err)
	}
	return d.Ready
}

func TestAReturnFailsThatMessageOnly(t *testing.T) {
	t.Parallel()
	conn := open(t, oncetest.Broker(t))
	var messages []message.Message
	for i := range 300 {
		key := "known"
		if i%3 == 0 {
			key = "unknown"
		}
		messages = append(messages, numbered(key, i))
	}
	fates := conn.Publisher(rabbit.PublisherConfig{Window: 50}).PublishAll(soon(t), messages)
	for i, err := range fates {
		var returned message.Returned
		if wantReturn := i%3 == 0; errors.As(err, &returned) != wantReturn || (!wantReturn && err != nil) {
			t.Errorf("message %d (%s): %v", i, messages[i].Key, err)
		}
	}
	eventually(t, "200 routed messages in the queue", func() bool { return depth(t, conn, queue) == 200 })
}

func TestAConfirmThatNeverComesIsUnconfirmedAndTheWindowIsFreeAgain(t *testing.T) {
	t.Parallel()
	proxy := nettest.NewProxy(t, oncetest.Broker(t))
	conn := open(t, proxy.URL())
	publisher := conn.Publisher(rabbit.PublisherConfig{Window: 4, ConfirmTimeout: 400 * time.Millisecond})
	if err := publisher.Publish(soon(t), numbered("known", 0)); err != nil {
		t.Fatal(err)
	}
	proxy.Answer(false)
	for i, err := range publisher.PublishAll(soon(t), []message.Message{numbered("known", 1), numbered("known", 2), numbered("known", 3), numbered("known", 4), numbered("known", 5)}) {
		if !errors.Is(err, message.ErrUnconfirmed) {
			t.Errorf("message %d: want ErrUnconfirmed, got %v", i+1, err)
		}
	}
	proxy.Answer(true) // The late confirms meet nobody who waits.
	for i := range 10 {
		// The silent connection may have been given up meanwhile, with a message on it.
		eventually(t, "the window is free", func() bool { return publisher.Publish(soon(t), numbered("known", 10+i)) == nil })
	}
}

func TestFiftyPublishersSurviveFiveBrokenConnectionsWithoutAWrongAnswer(t *testing.T) {
	t.Parallel()
	proxy := nettest.NewProxy(t, oncetest.Broker(t))
	conn := open(t, proxy.URL())
	publisher := conn.Publisher(rabbit.PublisherConfig{Window: 20, ConfirmTimeout: 2 * time.Second})
	var confirmed, answered atomic.Int64
	var all sync.WaitGroup
	for p := range 50 {
		all.Go(func() {
			for i := range 20 {
				err := publisher.Publish(soon(t), numbered("known", p*1000+i))
				answered.Add(1)
				if err == nil {
					confirmed.Add(1)
				}
			}
		})
	}
	for cut := range 5 {
		eventually(t, "publishing goes on", func() bool { return answered.Load() > int64(cut*120) && conn.Healthy() })
		proxy.Cut()
	}
	all.Wait()
	if answered.Load() != 1000 {
		t.Errorf("%d of 1000 publishes were answered", answered.Load())
	}
	if confirmed.Load() == 0 {
		t.Error("nothing was confirmed")
	}
	eventually(t, "every confirmed message in the queue", func() bool { return int64(depth(t, conn, queue)) >= confirmed.Load() })
}

func TestAnAckOfAnOlderGenerationIsRefusedAndTheMessageComesAgain(t *testing.T) {
	t.Parallel()
	proxy := nettest.NewProxy(t, oncetest.Broker(t))
	conn := open(t, proxy.URL())
	publisher := conn.Publisher(rabbit.PublisherConfig{})
	for i := range 2 {
		if err := publisher.Publish(soon(t), numbered("known", i)); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	seen := map[uint64][]rabbit.Delivery{}
	of := func(generation uint64) []rabbit.Delivery {
		mu.Lock()
		defer mu.Unlock()
		return seen[generation]
	}
	ctx, stop := context.WithCancel(t.Context())
	consumed := make(chan error, 1)
	go func() {
		consumed <- conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue}, func(_ context.Context, batch []rabbit.Delivery) {
			mu.Lock()
			defer mu.Unlock()
			for _, d := range batch {
				seen[d.Generation()] = append(seen[d.Generation()], d)
			}
		})
	}()
	eventually(t, "both messages once", func() bool { return len(of(1)) == 2 })
	proxy.Cut()
	eventually(t, "both messages again", func() bool { return len(of(2)) == 2 })

	// Tag 1 of the old channel is another message's tag on the new one.
	if err := rabbit.Ack(of(1)...); !errors.Is(err, rabbit.ErrStale) {
		t.Errorf("a stale ack was taken: %v", err)
	}
	if !of(1)[0].Lost() || of(2)[0].Lost() {
		t.Error("Lost tells the generations apart wrongly")
	}
	if err := rabbit.Ack(of(2)[0]); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-consumed; err != nil {
		t.Error(err)
	}
	eventually(t, "exactly the unacknowledged message back in the queue", func() bool { return depth(t, conn, queue) == 1 })
}

func TestAckingManyIsOneFrameOnlyWhereEveryOlderDeliveryIsSettled(t *testing.T) {
	t.Parallel()
	conn := open(t, oncetest.Broker(t))
	publisher := conn.Publisher(rabbit.PublisherConfig{})
	var messages []message.Message
	for i := range 10 {
		messages = append(messages, numbered("known", i))
	}
	for _, err := range publisher.PublishAll(soon(t), messages) {
		if err != nil {
			t.Fatal(err)
		}
	}
	batches := make(chan []rabbit.Delivery)
	ctx, stop := context.WithCancel(t.Context())
	consumed := make(chan error, 1)
	go func() {
		consumed <- conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue, BatchMax: 10, Linger: time.Second}, func(_ context.Context, batch []rabbit.Delivery) { batches <- batch })
	}()
	batch := <-batches
	if len(batch) != 10 {
		t.Fatalf("a batch of %d", len(batch))
	}
	// All but numbers 3 and 7: an "ack multiple" up to 9 would lose both.
	for _, some := range [][]rabbit.Delivery{batch[8:], batch[4:7], batch[:3]} {
		if err := rabbit.Ack(some...); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	<-consumed
	eventually(t, "two messages back", func() bool { return depth(t, conn, queue) == 2 })
}

func TestAnOutageEndsWithANewGenerationThatPublishes(t *testing.T) {
	t.Parallel()
	url := oncetest.Broker(t)
	proxy := nettest.NewProxy(t, url)
	conn := open(t, proxy.URL())
	generation := conn.Generation()
	proxy.Down()
	eventually(t, "the loss is noticed", func() bool { return !conn.Healthy() })
	proxy.Up()
	eventually(t, "a new generation", func() bool { return conn.Healthy() && conn.Generation() > generation })
	if err := conn.Publisher(rabbit.PublisherConfig{}).Publish(soon(t), numbered("known", 1)); err != nil {
		t.Error(err)
	}
}

func TestAQueueWithOtherArgumentsIsNamedAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	url := oncetest.Broker(t)
	open(t, url)
	other, err := rabbit.Open(rabbit.Config{URLs: []string{url}, Topology: rabbit.Topology{Queues: []rabbit.Queue{rabbit.LossyQueue(queue, 5)}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := other.Ready(ctx); !errors.Is(err, rabbit.ErrArguments) {
		t.Errorf("want ErrArguments, got %v", err)
	}
}

func TestAQueueThatIsDeletedIsGoneUntilAConnectionDeclaresIt(t *testing.T) {
	t.Parallel()
	url := oncetest.Broker(t)
	conn := open(t, url)
	for range 2 {
		if err := conn.DeleteQueue(soon(t), queue); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Depth(soon(t), queue); !errors.Is(err, message.ErrNoQueue) {
		t.Errorf("want ErrNoQueue, got %v", err)
	}
	if _, err := open(t, url).Depth(soon(t), queue); err != nil {
		t.Error(err)
	}
}

func TestDepthTellsAQueueThatIsNotThere(t *testing.T) {
	t.Parallel()
	conn := open(t, oncetest.Broker(t))
	if _, err := conn.Depth(soon(t), "nobody"); !errors.Is(err, message.ErrNoQueue) {
		t.Errorf("want ErrNoQueue, got %v", err)
	}
	if d := depth(t, conn, queue); d != 0 {
		t.Errorf("an empty queue holds %d", d)
	}
}

func TestOfSeveralNodesTheOneThatAnswersIsUsed(t *testing.T) {
	t.Parallel()
	away := nettest.NewProxy(t, oncetest.Broker(t))
	away.Down()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{away.URL(), oncetest.Broker(t)}, BackoffMin: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Ready(soon(t)); err != nil {
		t.Error(err)
	}
}

func TestABrokerAddressIsNeverQuotedInAnError(t *testing.T) {
	t.Parallel()
	_, err := rabbit.Open(rabbit.Config{URLs: []string{"amqp://user:hunter2@host:notaport/"}})
	if err == nil || errors.Is(err, context.Canceled) || len(err.Error()) == 0 {
		t.Fatal("a broken URL was accepted")
	}
	if got := err.Error(); strings.Contains(got, "hunter2") {
		t.Errorf("the password is in the error: %s", got)
	}
}

func TestAMessageToAnExchangeThatIsNotThereSaysWhichAndWhatDeclaresIt(t *testing.T) {
	t.Parallel()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{oncetest.Broker(t)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	err = conn.Publisher(rabbit.PublisherConfig{}).Publish(t.Context(), message.Message{Exchange: "nowhere", Key: "k", ID: "1", Body: []byte("1")})
	if !errors.Is(err, message.ErrUnconfirmed) || !strings.Contains(err.Error(), "no exchange 'nowhere'") || !strings.Contains(err.Error(), "rabbit.Config.Topology") {
		t.Errorf("%v", err)
	}
}

func TestADelayIsNoQueueThatSomeoneHasToRead(t *testing.T) {
	t.Parallel()
	all := rabbit.Topology{Queues: []rabbit.Queue{rabbit.WorkQueue("work", "dead"), rabbit.DelayQueue("work.1s", 1000), rabbit.DeadLetterQueue("dead")}}
	if got := all.Consumed(); !slices.Equal(got, []string{"work", "dead"}) {
		t.Errorf("%v", got)
	}
}
