package retrytest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/message"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// stage is one test's database and broker, with two consumers' queues.
type stage struct {
	t *testing.T
	Subject
	db      once.DB
	url     string
	conn    *rabbit.Conn
	out     *rabbit.Publisher
	applied sync.Map // event id → consumer

	mu   sync.Mutex
	sent []retry.Resend
}

func newStage(t *testing.T, subject Subject) *stage {
	t.Helper()
	s := &stage{t: t, Subject: subject, db: subject.Postgres(t), url: subject.Broker(t)}
	s.conn = s.connect()
	s.out = s.conn.Publisher(rabbit.PublisherConfig{})
	return s
}

func (s *stage) connect() *rabbit.Conn {
	s.t.Helper()
	topology := s.Names.Topology(s.Schedule).With(rabbit.Topology{
		Queues: []rabbit.Queue{rabbit.WorkQueue("mine", s.Names.Dead), rabbit.WorkQueue("other", s.Names.Dead)},
	})
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{s.url}, Topology: topology, BackoffMin: 10 * time.Millisecond})
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

func (s *stage) router() retry.Router {
	return retry.Router{Names: s.Names, Publisher: s.out, Schedule: s.Schedule, Now: time.Now}
}

func (s *stage) publish(m message.Message) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	if err := s.out.Publish(ctx, m); err != nil {
		s.t.Fatal(err)
	}
}

// publishDead sends what a router sends.
func (s *stage) publishDead(e envelope.Envelope, consumer string) {
	s.t.Helper()
	m := s.message(e, s.Names.Dead, consumer)
	m.Headers[s.Names.Format.Consumer] = consumer
	m.Headers[s.Names.Format.Class] = string(retry.ClassPermanent)
	m.Headers[s.Names.Format.Reason] = "as asked by the suite"
	s.publish(m)
}

func (s *stage) message(e envelope.Envelope, exchange, key string) message.Message {
	return s.Names.Format.Message(e, exchange, key)
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

// collect starts a collector.
func (s *stage) collect() *retry.Collector {
	s.t.Helper()
	c, err := retry.NewCollector(retry.CollectorConfig{
		DB: s.db, Table: s.Table, Names: s.Names, Troubles: s.Troubles, Broker: s.connect(), Now: time.Now, Recount: 50 * time.Millisecond,
		Applied: func(_ context.Context, _ once.Tx, consumer, event string) (bool, error) {
			by, ok := s.applied.Load(event)
			return ok && by == consumer, nil
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.background(c.Run)
	return c
}

// inbox remembers what one consumer got.
type inbox struct {
	format envelope.Format

	mu  sync.Mutex
	got []rabbit.Delivery
	at  []time.Time
}

func (i *inbox) deliveries() []rabbit.Delivery {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]rabbit.Delivery{}, i.got...)
}

func (i *inbox) attempts() (attempts []int) {
	for _, d := range i.deliveries() {
		e, _ := i.format.Parse(d.Message)
		attempts = append(attempts, e.Attempt)
	}
	return attempts
}

func (i *inbox) gaps() (gaps []time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := 1; n < len(i.at); n++ {
		gaps = append(gaps, i.at[n].Sub(i.at[n-1]))
	}
	return gaps
}

// consume hands each delivery of a queue to handle.
func (s *stage) consume(queue string, handle func(ctx context.Context, d rabbit.Delivery) error) *inbox {
	s.t.Helper()
	i := &inbox{format: s.Names.Format}
	conn := s.connect()
	s.background(func(ctx context.Context) error {
		return conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue}, func(ctx context.Context, batch []rabbit.Delivery) {
			for _, d := range batch {
				i.mu.Lock()
				i.got, i.at = append(i.got, d), append(i.at, time.Now())
				i.mu.Unlock()
				if err := handle(ctx, d); err != nil && ctx.Err() == nil {
					s.t.Error(err)
				}
			}
		})
	})
	return i
}

// fail is a consumer that cannot apply anything.
func (s *stage) fail(cause error) func(context.Context, rabbit.Delivery) error {
	router := s.router()
	return func(ctx context.Context, d rabbit.Delivery) error {
		if _, err := router.Failed(ctx, d, cause); err != nil {
			return err
		}
		return rabbit.Ack(d)
	}
}

// limit is how old an event may be to be replayed.
const limit = 14 * 24 * time.Hour

// deadLetters is where the suite decides; what it sends again is only noted.
func (s *stage) deadLetters() retry.DeadLetters {
	return retry.DeadLetters{
		DB: s.db, Table: s.Table, Format: s.Names.Format, Troubles: s.Troubles, Limit: limit, ByBusinessKey: func(consumer string) bool { return consumer == "mine" },
		Resend: func(_ context.Context, _ once.Tx, r retry.Resend) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.sent = append(s.sent, r)
			return nil
		},
	}
}

// decide acts as the operator and expects a refusal, or none.
func (s *stage) decide(l letter, action retry.Action, refusal error) {
	s.t.Helper()
	_, err := s.deadLetters().Decide(s.t.Context(), retry.Whose{All: true}, l.ID, action, retry.Decision{Who: "somebody", Why: " because "})
	if !errors.Is(err, refusal) || (refusal == nil) != (err == nil) {
		s.t.Errorf("%s of %s: %v, not %v", action, l.EventID, err, refusal)
	}
}

func (s *stage) resent() []retry.Resend {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]retry.Resend{}, s.sent...)
}

// idOf makes an event id of that moment.
func idOf(at time.Time) (id uuid.UUID) {
	id = uuid.Must(uuid.NewV7())
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id
}

type letter struct {
	retry.Letter
	Closed *time.Time
}

// letter waits for one that matches.
func (s *stage) letter(matches func(letter) bool) (found letter) {
	s.t.Helper()
	s.eventually("a letter", func() bool {
		for _, l := range s.all() {
			if matches(l) {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

func (s *stage) all() (all []letter) {
	s.t.Helper()
	list, err := s.deadLetters().List(s.t.Context(), retry.Whose{All: true}, "", "", 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, l := range list {
		one := letter{Letter: l}
		if l.ClosedAt.Valid {
			one.Closed = &l.ClosedAt.Time
		}
		all = append(all, one)
	}
	return all
}

// hashes counts the letters whose message names no event.
func (s *stage) hashes() (n int) {
	for _, l := range s.all() {
		if l.Event() == "" {
			n++
		}
	}
	return n
}

// alerts looks at what is open for a person.
func (s *stage) alerts(want int) {
	s.t.Helper()
	if n := s.Open(s.t, s.db); n != want {
		s.t.Errorf("%d troubles are open, not %d", n, want)
	}
}

func (s *stage) noneWaiting() bool {
	depth, err := s.conn.Depth(s.t.Context(), s.Names.Dead)
	return err == nil && depth.Ready == 0
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
