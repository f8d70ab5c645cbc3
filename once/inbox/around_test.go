package inbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
	"payonce/once/oncetest"
	"payonce/once/retry"
)

// shouts is an outside world that dedupes by key.
type shouts struct {
	mu   sync.Mutex
	keys map[string]int
}

func (s *shouts) shout(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[key] = 1
}

func (s *shouts) counted(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[key]
}

// around shouts once per event and records it as points.
func (s *shouts) around() *inbox.Around {
	return &inbox.Around{Types: []string{"points.added"}, Intend: func(_ context.Context, _ once.Tx, m inbox.Message) (inbox.Call, error) {
		var a added
		if err := json.Unmarshal(m.Payload, &a); err != nil || a.Schema != 1 {
			return nil, retry.Permanent(fmt.Errorf("schema %d is unknown: %w", a.Schema, err))
		}
		return func(context.Context) (inbox.Record, error) {
			s.shout(m.AggregateID)
			return func(ctx context.Context, tx once.Tx) error {
				_, err := tx.Exec(ctx, addPoints, m.AggregateID, a.Points)
				return err
			}, nil
		}, nil
	}}
}

func TestTheSmallestConsumerThatAsksAndThenRecordsKeepsThePromise(t *testing.T) {
	t.Parallel()
	world := &shouts{keys: map[string]int{}}
	inboxtest.RunAround(t,
		inboxtest.Consumer{Name: "bank", Types: []string{"points.added"}, Around: world.around(), Table: window, Names: retries, Postgres: bank, Broker: oncetest.Broker},
		inboxtest.Sample{New: newAdded, Want: 2, Effects: func(t testing.TB, db once.DB, m inbox.Message) int {
			return world.counted(m.AggregateID) + sevens(t, db, m)
		}})
}

func TestWhoAsksASilentWorldKeepsNobodyWaitingWhoAsksForNothing(t *testing.T) {
	t.Parallel()
	db, url := bank(t), oncetest.Broker(t)
	answer, asked := make(chan struct{}), make(chan struct{}, 3)
	silent := &inbox.Around{Types: []string{"points.asked"}, Intend: func(context.Context, once.Tx, inbox.Message) (inbox.Call, error) {
		return func(context.Context) (inbox.Record, error) {
			asked <- struct{}{}
			<-answer
			return func(context.Context, once.Tx) error { return nil }, nil
		}, nil
	}}
	var applied atomic.Int32
	var handler inbox.Handler = func(_ context.Context, _ once.Tx, batch []inbox.Message) error {
		applied.Add(int32(len(batch)))
		return nil
	}
	r, conn, stop := start(t, url, db, handler, nil, func(c *inbox.Config) { c.Around, c.Calls = silent, 3 })
	var events []inbox.Message
	for i := range 9 {
		m := newAdded(t, nil)
		if i < 3 {
			m.Type = "points.asked"
		}
		events = append(events, m)
	}
	publish(t, conn, events...)
	for range 3 {
		<-asked
	}
	eventually(t, "six are applied while three ask", func() bool { return applied.Load() == 6 })

	ended := make(chan struct{})
	go func() { defer close(ended); stop() }()
	close(answer)
	<-ended
	if c := r.Counts(); c.Applied != 9 || c.Retried+c.Dead != 0 {
		t.Errorf("what was asked is not settled when the runner has ended: %+v", c)
	}
}
