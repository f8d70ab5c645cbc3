package ordering_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/ordering"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/outbox"
	"payonce/once/rabbit"
)

const kind = "thing.happened"

var topology = rabbit.Topology{
	Exchanges: []rabbit.Exchange{{Name: patterns.Relays.Exchange, Kind: "topic"}, {Name: "dead", Kind: "fanout"}},
	Queues:    []rabbit.Queue{rabbit.WorkQueue("reader", "dead"), ordering.StrictQueue("strict", "dead")},
	Bindings:  []rabbit.Binding{{Queue: "reader", Exchange: patterns.Relays.Exchange, Key: kind}, {Queue: "strict", Exchange: patterns.Relays.Exchange, Key: kind}},
}

// place is a database with one aggregate's events and somebody who reads.
type place struct {
	t    *testing.T
	dsn  string
	db   *postgres.DB
	url  string
	conn *rabbit.Conn

	mu   sync.Mutex
	seen []ordering.Seen
}

func newPlace(t *testing.T, events int) *place {
	t.Helper()
	p := &place{t: t, dsn: devtest.DSN(t), url: devtest.Broker(t)}
	var err error
	p.db, err = postgres.Open(t.Context(), postgres.Config{DSN: p.dsn})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.db.Close() })
	p.conn = p.connect()
	one := uuid.New()
	var all []outbox.Event
	for v := range events {
		all = append(all, outbox.Event{
			ID: uuid.Must(uuid.NewV7()).String(), AggregateType: "thing", AggregateID: one.String(), AggregateVersion: int64(v + 1), Type: kind, Payload: fmt.Appendf(nil, `{"n":%d}`, v),
		})
	}
	require.NoError(t, postgres.InTx(t.Context(), p.db, func(tx postgres.Tx) error { return patterns.Append(t.Context(), tx, all...) }))
	return p
}

func (p *place) connect() *rabbit.Conn {
	p.t.Helper()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{p.url}, Topology: topology, BackoffMin: 10 * time.Millisecond, BackoffMax: 100 * time.Millisecond})
	require.NoError(p.t, err)
	p.t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(p.t.Context(), 60*time.Second)
	defer cancel()
	require.NoError(p.t, conn.Ready(ctx))
	return conn
}

// read notes what arrives in a queue until the test ends.
func (p *place) read(queue string) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- p.conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue}, func(_ context.Context, batch []rabbit.Delivery) {
			p.note(batch...)
			_ = rabbit.Ack(batch...)
		})
	}()
	p.t.Cleanup(func() { stop(); require.NoError(p.t, <-ended) })
}

func (p *place) note(batch ...rabbit.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range batch {
		e, err := patterns.Format.Parse(d.Message)
		if err != nil {
			p.t.Error(err)
		}
		p.seen = append(p.seen, ordering.Seen{Aggregate: patterns.ID(e.AggregateID), Version: e.AggregateVersion})
	}
}

func (p *place) met() []ordering.Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]ordering.Seen(nil), p.seen...)
}

func (p *place) eventually(what string, condition func() bool) {
	p.t.Helper()
	require.Eventually(p.t, condition, 60*time.Second, 5*time.Millisecond, what)
}

func TestTheRelaxedRelayInvertsTwoEventsOfOneAggregateWhenOneWorkerOvertakesTheOther(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 2)
	p.read("reader")
	// The worker that has event 1 waits until event 2 is there.
	took, overtaken := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow := ordering.Relaxed{DB: p.db, Publisher: p.conn.Publisher(rabbit.PublisherConfig{}), Batch: 1, Taken: func(int) {
		once.Do(func() { close(took); <-overtaken })
	}}
	fast := ordering.Relaxed{DB: p.db, Publisher: p.conn.Publisher(rabbit.PublisherConfig{}), Batch: 1}
	drained := make(chan error, 2)
	go func() { drained <- slow.Drain(context.Background(), 1) }()
	<-took
	go func() { drained <- fast.Drain(context.Background(), 1) }()
	p.eventually("the second event", func() bool { return len(p.met()) == 1 })
	close(overtaken)
	require.NoError(t, <-drained)
	require.NoError(t, <-drained)
	p.eventually("both", func() bool { return len(p.met()) == 2 })
	require.Equal(t, 1, ordering.Inversions(p.met()))
}

func TestTwoRelaysOfOursInvertNoneOfTwoHundredEventsOfOneAggregate(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 200)
	p.read("reader")
	for range 2 {
		relay, err := outbox.NewRelay(patterns.Relay(outbox.Config{DB: p.db.Once(), Publisher: p.connect().Publisher(rabbit.PublisherConfig{}), Poll: 20 * time.Millisecond}, nil))
		require.NoError(t, err)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- relay.Run(ctx) }()
		t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	}
	p.eventually("200 events", func() bool { return len(p.met()) >= 200 })
	require.Zero(t, ordering.Inversions(p.met()))
}

func TestAStrictQueueHandsOverWhileTheOldConsumerStillHoldsWhatTheNewOneApplies(t *testing.T) {
	t.Parallel()
	p := newPlace(t, 3)
	require.NoError(t, ordering.Relaxed{DB: p.db, Publisher: p.conn.Publisher(rabbit.PublisherConfig{}), Batch: 1}.Drain(t.Context(), 1))
	// The active consumer has all three in hand when its connection goes.
	old, took := p.connect(), make(chan []rabbit.Delivery, 3)
	go func() {
		_ = old.Consume(context.Background(), rabbit.ConsumerConfig{Queue: "strict", BatchMax: 3, Linger: time.Second}, func(_ context.Context, batch []rabbit.Delivery) { took <- batch })
	}()
	var hand []rabbit.Delivery
	for len(hand) < 3 {
		hand = append(hand, <-took...)
	}
	p.read("strict") // Not active: it waits.
	p.note(hand[0])
	old.Close()
	p.eventually("the new consumer applied all three", func() bool { return len(p.met()) == 4 })
	p.note(hand[1]) // The old one did not know.
	require.ErrorIs(t, rabbit.Ack(hand[1]), rabbit.ErrStale)
	require.Equal(t, 1, ordering.Inversions(p.met()), "versions 1, 1 2 3, 2")
}
