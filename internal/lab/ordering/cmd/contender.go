package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/ordering"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/envelope"
	"payonce/once/message"
	"payonce/once/outbox"
	"payonce/once/rabbit"
)

const (
	kind     = "thing.happened"
	shared   = "shared"
	strict   = "strict"
	patience = 2 * time.Minute
)

// topology: relays publish to the exchange and so to the shared queue; the queues
// themselves are compared with messages that are sent to each directly.
var topology = rabbit.Topology{
	Exchanges: []rabbit.Exchange{{Name: patterns.Relays.Exchange, Kind: "topic"}, {Name: "dead", Kind: "fanout"}},
	Queues:    []rabbit.Queue{rabbit.WorkQueue(shared, "dead"), ordering.StrictQueue(strict, "dead")},
	Bindings:  []rabbit.Binding{{Queue: shared, Exchange: patterns.Relays.Exchange, Key: kind}},
}

func (f *furniture) contenders() []*contender {
	relays := func(n int) func(context.Context) (slice, error) {
		return func(ctx context.Context) (slice, error) { return f.ours(ctx, n) }
	}
	queue := func(name string, handOver bool) func(context.Context) (slice, error) {
		return func(ctx context.Context) (slice, error) { return f.consumed(ctx, name, handOver) }
	}
	return []*contender{
		{Name: "relay: ours, one", run: relays(1)},
		{Name: "relay: ours, two", run: relays(2)},
		{Name: "relay: relaxed, two workers", run: f.relaxed},
		{Name: "queue: shared by two consumers", run: queue(shared, false)},
		{Name: "queue: strict, two consumers", run: queue(strict, false)},
		{Name: "queue: strict, one hand-over", run: queue(strict, true)},
	}
}

// events are interleaved: version 1 of every aggregate, then version 2. Relays get
// many aggregates, as a shop has; consumers get few, so that two that share a
// queue have a chance to overtake each other.
const (
	forRelays    = 400
	forConsumers = 5
)

func (f *furniture) events(aggregates int) (all []outbox.Event) {
	ids := make([]uuid.UUID, aggregates)
	for i := range ids {
		ids[i] = uuid.New()
	}
	for v := range f.cfg.Events / len(ids) {
		for _, id := range ids {
			all = append(all, outbox.Event{
				ID: uuid.Must(uuid.NewV7()).String(), AggregateType: "thing", AggregateID: id.String(), AggregateVersion: int64(v + 1), Type: kind, Payload: fmt.Appendf(nil, `{"n":%d}`, v),
			})
		}
	}
	return all
}

// fill commits a slice's events, and says when.
func (f *furniture) fill(ctx context.Context) (all []outbox.Event, began time.Time, err error) {
	all = f.events(forRelays)
	err = postgres.InTx(ctx, f.db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(ctx, `TRUNCATE outbox_events`); err != nil {
			return err
		}
		for part := range slices.Chunk(all, 1000) {
			if err := patterns.Append(ctx, tx, part...); err != nil {
				return err
			}
		}
		began = time.Now() // A relay may see them before we see our commit.
		return nil
	})
	return all, began, err
}

// ours measures the shop's relay, from the wake-up to the last mark.
func (f *furniture) ours(ctx context.Context, n int) (slice, error) {
	var relays []*outbox.Relay
	ctx, stop := context.WithTimeout(ctx, patience)
	var running sync.WaitGroup
	defer func() { stop(); running.Wait() }()
	for range n {
		conn, err := f.connect(ctx)
		if err != nil {
			return slice{}, err
		}
		defer conn.Close()
		r, err := outbox.NewRelay(patterns.Relay(outbox.Config{DB: f.db.Once(), Publisher: conn.Publisher(rabbit.PublisherConfig{})}, nil))
		if err != nil {
			return slice{}, err
		}
		relays = append(relays, r)
		running.Go(func() { _ = r.Run(ctx) }) // It ends with its context and has no other way to.
	}
	for owned := 0; owned < outbox.Partitions; {
		if err := pause(ctx); err != nil {
			return slice{}, err
		}
		owned = 0
		for _, r := range relays {
			if n == 1 || r.Partitions() <= outbox.Partitions/n {
				owned += r.Partitions()
			}
		}
	}
	events, began, err := f.fill(ctx)
	if err != nil {
		return slice{}, err
	}
	for _, r := range relays {
		r.Wake()
	}
	for left := true; left; {
		if err := f.db.Get(ctx, &left, `SELECT EXISTS (SELECT FROM outbox_events WHERE published_at IS NULL)`); err != nil {
			return slice{}, err
		}
		if err := pause(ctx); err != nil {
			return slice{}, err
		}
	}
	return f.arrived(ctx, events, time.Since(began))
}

func (f *furniture) relaxed(ctx context.Context) (slice, error) {
	events, began, err := f.fill(ctx)
	if err != nil {
		return slice{}, err
	}
	relay := ordering.Relaxed{DB: f.db, Publisher: f.conn.Publisher(rabbit.PublisherConfig{}), Batch: 500}
	if err := relay.Drain(ctx, 2); err != nil {
		return slice{}, err
	}
	return f.arrived(ctx, events, time.Since(began))
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * time.Millisecond):
		return nil
	}
}

// witness applies events as a consumer does: a batch takes as long as a commit.
type witness struct {
	commit time.Duration

	mu    sync.Mutex
	mine  map[uuid.UUID]bool // a copy may be left from the slice before
	seen  []ordering.Seen
	known map[ordering.Seen]bool
	half  chan struct{} // closed when half of them have been met
	done  chan struct{} // closed when all have
	want  int
}

func newWitness(events []outbox.Event, commit time.Duration) *witness {
	w := &witness{commit: commit, want: len(events), mine: map[uuid.UUID]bool{}, known: map[ordering.Seen]bool{}, half: make(chan struct{}), done: make(chan struct{})}
	for _, e := range events {
		w.mine[patterns.ID(e.AggregateID)] = true
	}
	return w
}

func (w *witness) apply(_ context.Context, batch []rabbit.Delivery) {
	time.Sleep(w.commit)
	w.mu.Lock()
	for _, d := range batch {
		e, err := patterns.Format.Parse(d.Message)
		aggregate := patterns.ID(e.AggregateID)
		if err != nil || !w.mine[aggregate] {
			continue
		}
		s := ordering.Seen{Aggregate: aggregate, Version: e.AggregateVersion}
		w.seen = append(w.seen, s)
		if w.known[s] {
			continue
		}
		w.known[s] = true
		switch len(w.known) {
		case w.want:
			close(w.done)
		case w.want / 2:
			close(w.half)
		}
	}
	w.mu.Unlock()
	_ = rabbit.Ack(batch...) // A stale one comes again.
}

func (w *witness) verdict(took time.Duration) slice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slice{PerSecond: float64(w.want) / took.Seconds(), Inversions: ordering.Inversions(w.seen), Copies: len(w.seen) - len(w.known)}
}

// arrived reads the shared queue to its end: what a relay sent, in its order.
func (f *furniture) arrived(ctx context.Context, events []outbox.Event, took time.Duration) (slice, error) {
	w := newWitness(events, 0)
	stop := f.consumer(ctx, f.conn, shared, 100, w)
	defer stop()
	return w.verdictWhenDone(ctx, took)
}

func (w *witness) verdictWhenDone(ctx context.Context, took time.Duration) (slice, error) {
	select {
	case <-w.done:
		return w.verdict(took), nil
	case <-ctx.Done():
		return slice{}, ctx.Err()
	case <-time.After(patience):
		return slice{}, fmt.Errorf("after %s %d of %d events have arrived", patience, len(w.known), w.want)
	}
}

func (f *furniture) consumer(ctx context.Context, conn *rabbit.Conn, queue string, batch int, w *witness) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue, BatchMax: batch}, w.apply) // Its error is a mistake in the line above.
	}()
	return func() { cancel(); <-ended }
}

// consumed measures a queue with two consumers of which the first one's
// connection may break half-way.
func (f *furniture) consumed(ctx context.Context, queue string, handOver bool) (slice, error) {
	all := f.events(forConsumers)
	var messages []message.Message
	for _, e := range all {
		messages = append(messages, patterns.Format.Message(envelope.Envelope{
			EventID: e.ID, Type: e.Type, Source: "/payonce", AggregateID: e.AggregateID, AggregateVersion: e.AggregateVersion, Attempt: 1, Payload: e.Payload,
		}, "", queue))
	}
	for _, err := range f.conn.Publisher(rabbit.PublisherConfig{}).PublishAll(ctx, messages) {
		if err != nil {
			return slice{}, err
		}
	}
	first, err := f.connect(ctx)
	if err != nil {
		return slice{}, err
	}
	defer first.Close()
	w := newWitness(all, 5*time.Millisecond)
	began := time.Now()
	defer f.consumer(ctx, first, queue, 10, w)()
	defer f.consumer(ctx, f.conn, queue, 10, w)()
	if handOver {
		select {
		case <-w.half:
			first.Close()
		case <-time.After(patience):
		}
	}
	s, err := w.verdictWhenDone(ctx, 0)
	if err != nil {
		return slice{}, err
	}
	s.PerSecond = float64(len(all)) / time.Since(began).Seconds()
	return s, nil
}
