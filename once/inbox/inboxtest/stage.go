package inboxtest

import (
	"cmp"
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/inbox"
	"payonce/once/message"
	"payonce/once/oncetest/nettest"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// schedule is short, so that a retry costs a test nothing.
var schedule = retry.Schedule{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}

// stage is one test's database, its broker behind a proxy, and the dead.
type stage struct {
	t *testing.T
	Consumer
	sample Sample
	db     once.DB
	proxy  *nettest.Proxy
	out    *rabbit.Publisher // the suite's own, past the proxy
	eye    *rabbit.Conn

	mu   sync.Mutex
	dead []rabbit.Delivery
}

func newStage(t *testing.T, c Consumer, sample Sample) *stage {
	t.Helper()
	s := &stage{t: t, Consumer: c, sample: sample, db: c.Postgres(t)}
	url := c.Broker(t)
	s.proxy = nettest.NewProxy(t, url)
	s.eye = s.connect(url)
	s.out = s.eye.Publisher(rabbit.PublisherConfig{})
	s.background(func(ctx context.Context) error {
		return s.eye.Consume(ctx, rabbit.ConsumerConfig{Queue: s.Names.Dead}, func(_ context.Context, batch []rabbit.Delivery) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.dead = append(s.dead, batch...)
		})
	})
	return s
}

func (s *stage) connect(url string) *rabbit.Conn {
	s.t.Helper()
	topology := s.Names.Topology(schedule).With(rabbit.Topology{Queues: []rabbit.Queue{rabbit.WorkQueue(s.Name, s.Names.Dead)}})
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{url}, Topology: topology, BackoffMin: 10 * time.Millisecond, BackoffMax: 100 * time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	if err := conn.Ready(ctx); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// background runs work until the test ends, before its connections close.
func (s *stage) background(work func(ctx context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

// run starts a worker with connections of its own, through the proxy.
func (s *stage) run(handler inbox.Handler) *inbox.Runner {
	s.t.Helper()
	return s.start(inbox.Config{Handler: handler})
}

// handling starts a worker with the handler that is judged, asking one with the Around.
func (s *stage) handling() *inbox.Runner { return s.run(s.Handler) }
func (s *stage) asking() *inbox.Runner   { return s.runAround(s.Around) }

// runAround starts a worker that asks, with a small prefetch.
func (s *stage) runAround(around *inbox.Around) *inbox.Runner {
	s.t.Helper()
	return s.start(inbox.Config{Around: around, BatchMax: 4, Prefetch: 4})
}

func (s *stage) start(cfg inbox.Config) *inbox.Runner {
	s.t.Helper()
	r, err := inbox.New(inbox.Config{
		Consumer: s.Name, Types: s.Types, Handler: cfg.Handler, Around: cfg.Around, BatchMax: cfg.BatchMax, Prefetch: cfg.Prefetch,
		DB: s.db, Table: s.Table, Names: s.Names, Troubles: s.Troubles, Schedule: schedule, Now: time.Now,
		Broker: s.connect(s.proxy.URL()), Publisher: s.connect(s.proxy.URL()).Publisher(rabbit.PublisherConfig{}),
		Linger: 20 * time.Millisecond,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.background(r.Run)
	return r
}

func (s *stage) fresh() inbox.Message {
	s.t.Helper()
	m := s.sample.New(s.t, s.db)
	if n := s.sample.Effects(s.t, s.db, m); n != 0 {
		s.t.Fatalf("a fresh event has %d effects already", n)
	}
	return m
}

func (s *stage) several(n int) []inbox.Message {
	s.t.Helper()
	events := make([]inbox.Message, n)
	for i := range events {
		events[i] = s.fresh()
	}
	return events
}

func (s *stage) publish(events ...inbox.Message) {
	s.t.Helper()
	var messages []message.Message
	for _, m := range events {
		messages = append(messages, s.Names.Format.Message(envelope.Envelope{
			EventID: m.EventID, Type: m.Type, Source: "/inboxtest", AggregateID: cmp.Or(m.AggregateID, m.EventID), AggregateVersion: max(1, m.AggregateVersion),
			Scope: m.Scope, Correlation: m.Correlation, Time: time.Now(), Traceparent: m.Traceparent, Attempt: 1, Payload: m.Payload,
		}, "", s.Name))
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for _, err := range s.out.PublishAll(ctx, messages) {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// effects fails unless each event has exactly this many.
func (s *stage) effects(want int, events ...inbox.Message) {
	s.t.Helper()
	for _, m := range events {
		if got := s.sample.Effects(s.t, s.db, m); got != want {
			s.t.Errorf("event %s has %d effects, not %d", m.EventID, got, want)
		}
	}
}

// drained waits until the queue is empty and nothing comes back to it.
func (s *stage) drained() {
	s.t.Helper()
	queues := append(s.Names.Topology(schedule).QueueNames(), s.Name)
	s.eventually("the queues are empty", func() bool {
		for _, queue := range queues {
			depth, err := s.eye.Depth(s.t.Context(), queue)
			if err != nil || (queue != s.Names.Dead && depth.Ready != 0) {
				return false
			}
		}
		return true
	})
}

func (s *stage) eventually(what string, condition func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			s.t.Fatalf("gave up waiting: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// idOfDay makes an event id that was, or will be, born so many days from now.
func idOfDay(days int) string {
	id := uuid.Must(uuid.NewV7())
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(time.Now().AddDate(0, 0, days).UnixMilli()))
	copy(id[:6], stamp[2:])
	return id.String()
}
