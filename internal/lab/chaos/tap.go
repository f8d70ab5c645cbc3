package chaos

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/shop/event"
	"payonce/once/envelope"
	"payonce/once/rabbit"
)

// tapQueue gets a copy of every event that the relay publishes.
const tapQueue = "chaos.tap"

// tap listens to everything that is published: how often each event came, and
// whether a message says what it must not.
type tap struct {
	conn *rabbit.Conn
	over chan error
	scan *scanner

	publisher *rabbit.Publisher

	mu     sync.Mutex
	copies map[uuid.UUID]int
	poison map[uuid.UUID]bool // what the campaign itself published
	taken  map[uuid.UUID]bool // of that, what the broker has confirmed
	sample envelope.Envelope  // of a captured payment

	// calm is held while a queue is away: what the campaign itself publishes then
	// would be lost, and be in no outbox.
	calm sync.RWMutex
}

func openTap(ctx context.Context, url string, scan *scanner) (*tap, error) {
	conn, err := rabbit.Open(rabbit.Config{URLs: strings.Split(url, ","), Name: "chaos tap", Topology: rabbit.Topology{
		Exchanges: []rabbit.Exchange{{Name: patterns.Relays.Exchange, Kind: "topic"}},
		Queues:    []rabbit.Queue{{Name: tapQueue, Args: map[string]any{"x-queue-type": "quorum"}}},
		Bindings:  []rabbit.Binding{{Queue: tapQueue, Exchange: patterns.Relays.Exchange, Key: "#"}},
	}})
	if err != nil {
		return nil, err
	}
	t := &tap{conn: conn, over: make(chan error, 1), scan: scan, copies: map[uuid.UUID]int{}, poison: map[uuid.UUID]bool{}, taken: map[uuid.UUID]bool{}}
	t.publisher = conn.Publisher(rabbit.PublisherConfig{})
	if err := conn.Ready(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	go func() { t.over <- conn.Consume(ctx, rabbit.ConsumerConfig{Queue: tapQueue}, t.hear) }()
	return t, nil
}

// hear counts a batch. A redelivery to the tap is no second copy of the event.
func (t *tap) hear(_ context.Context, batch []rabbit.Delivery) {
	t.mu.Lock()
	for _, d := range batch {
		t.scan.text("message "+d.Type, string(d.Body))
		e, err := patterns.Format.Parse(d.Message)
		if err != nil {
			t.scan.found("a message without a usable envelope: " + err.Error())
			continue
		}
		id := patterns.ID(e.EventID)
		if !d.Redelivered || t.copies[id] == 0 { // its first delivery may have died on its way here
			t.copies[id]++
		}
		if e.Type == event.TypePaymentCaptured && !t.poison[id] {
			t.sample = e
		}
	}
	t.mu.Unlock()
	_ = rabbit.Ack(batch...) // stale after a reconnect: then it comes again, redelivered
}

// poisonous publishes an event whose schema no consumer knows: each of them must
// give it up at once, to the dead letters, and go on.
func (t *tap) poisonous(ctx context.Context) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, err
	}
	return id, t.publish(ctx, envelope.Envelope{
		EventID: id.String(), Type: event.TypePaymentCaptured, Source: "chaos", AggregateID: id.String(), AggregateVersion: 1,
		Time: time.Now(), Attempt: 1, Payload: []byte(`{"schema":99}`),
	})
}

// longAgo is before what any inbox remembers.
const longAgo = 45 * 24 * time.Hour

var errNoSample = errors.New("no capture was heard of yet")

// ancient publishes a copy of a captured payment's event under an id of long ago:
// each consumer must refuse it, because its inbox may have forgotten it.
func (t *tap) ancient(ctx context.Context) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, err
	}
	ms := time.Now().Add(-longAgo).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	t.mu.Lock()
	e := t.sample
	t.mu.Unlock()
	if e.EventID == "" {
		return id, errNoSample
	}
	e.EventID, e.Attempt = id.String(), 1
	return id, t.publish(ctx, e)
}

// publish sends an event of the campaign's own, and remembers that it is.
func (t *tap) publish(ctx context.Context, e envelope.Envelope) error {
	t.calm.RLock()
	defer t.calm.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	id := patterns.ID(e.EventID)
	t.mu.Lock()
	t.poison[id] = true
	t.mu.Unlock()
	err := t.publisher.Publish(ctx, patterns.Format.Message(e, patterns.Relays.Exchange, e.Type))
	if err == nil {
		t.mu.Lock()
		t.taken[id] = true
		t.mu.Unlock()
	}
	return err
}

// heard returns the copies of each event so far, without the poison.
func (t *tap) heard() map[uuid.UUID]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[uuid.UUID]int, len(t.copies))
	for id, n := range t.copies {
		if !t.poison[id] {
			out[id] = n
		}
	}
	return out
}

// poisoned are the poisonous events that the broker certainly took, for every
// consumer: what was not confirmed may be in some of the queues and not in others,
// and nothing sends it again.
func (t *tap) poisoned() (ids []uuid.UUID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.poison {
		if t.taken[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

func (t *tap) close() { t.conn.Close() }
