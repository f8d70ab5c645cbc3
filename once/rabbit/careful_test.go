package rabbit_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/oncetest/nettest"
	"payonce/once/rabbit"
)

// What a consumer holds when it dies is counted a delivery, and the broker gives
// up what was counted too often.
func TestAConsumerBeginsWithLittleInHandUntilWhatComesIsFresh(t *testing.T) {
	t.Parallel()
	proxy := nettest.NewProxy(t, oncetest.Broker(t))
	conn := open(t, proxy.URL())
	const many = 400
	var messages []message.Message
	for i := range many {
		messages = append(messages, numbered("known", i))
	}
	for _, err := range conn.Publisher(rabbit.PublisherConfig{}).PublishAll(soon(t), messages) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	held := map[uint64][]int{} // sizes of batches by generation
	go func() {
		_ = conn.Consume(t.Context(), rabbit.ConsumerConfig{Queue: queue, BatchMax: 50, Linger: 20 * time.Millisecond}, func(_ context.Context, batch []rabbit.Delivery) {
			mu.Lock()
			generation := batch[0].Generation()
			held[generation] = append(held[generation], len(batch))
			mu.Unlock()
			if generation > 1 {
				_ = rabbit.Ack(batch...)
			}
		})
	}()
	of := func(generation uint64) (sum, largest int) {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range held[generation] {
			sum, largest = sum+n, max(largest, n)
		}
		return sum, largest
	}
	eventually(t, "the first hands are full", func() bool { sum, _ := of(1); return sum == 10 })
	if ready := depth(t, conn, queue); ready != many-10 {
		t.Errorf("%d of %d are left: the consumer took more than ten before it had settled one", ready, many)
	}
	proxy.Cut() // The consumer dies of it, as far as the broker can tell.
	eventually(t, "all are settled", func() bool { sum, _ := of(2); return sum == many })
	if _, largest := of(2); largest <= 10 {
		t.Errorf("the largest batch had %d: trust never came", largest)
	}
	mu.Lock()
	defer mu.Unlock()
	for i, n := range held[2][:10] {
		if n > 10 {
			t.Errorf("batch %d after the death had %d", i, n)
		}
	}
}
