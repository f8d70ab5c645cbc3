// Package inboxtest judges consumers: whatever the broker, the network and the
// process do, each event has its effect once. Every consumer runs it in three
// lines, on a real database and a real broker:
//
//	inboxtest.Run(t,
//		inboxtest.Consumer{Name: "points", Types: []string{"order.placed"}, Handler: points.Apply, Names: retries, Postgres: database, Broker: oncetest.Broker},
//		inboxtest.Sample{New: newOrderPlaced, Effects: pointsOf})
package inboxtest

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/inbox"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// Consumer is what is judged, and where.
type Consumer struct {
	Name    string
	Types   []string
	Handler inbox.Handler
	Around  *inbox.Around // for RunAround
	Table   inbox.Table
	// Names are where its failed messages go, and how their headers are called.
	Names retry.Names
	// Troubles is where it raises trouble; nil is the table of the inbox's schema.
	Troubles once.Troubles
	// Postgres gives each test a database with the consumer's tables and the
	// inbox; Broker gives it the address of an empty virtual host.
	Postgres func(testing.TB) once.DB
	Broker   func(testing.TB) string
}

// Sample says how to make events for the consumer and how to see their effect.
type Sample struct {
	// New writes what an event needs to be applied, and returns an event that
	// was never delivered. Its payload is a JSON object with a number "schema".
	New func(t testing.TB, db once.DB) inbox.Message
	// Effects counts what the world would see of one event: 0 before it is
	// applied, Want after.
	Effects func(t testing.TB, db once.DB, m inbox.Message) int
	Want    int // 0 means 1
}

// Run runs the suite.
func Run(t *testing.T, c Consumer, s Sample) {
	t.Helper()
	if s.Want == 0 {
		s.Want = 1
	}
	for name, judge := range map[string]func(*stage){
		"delivered twice in a row, one effect":                    func(s *stage) { twiceInARow(s, s.handling) },
		"twenty deliveries at once to four workers, one effect":   func(s *stage) { twentyAtOnce(s, s.handling) },
		"one batch of thirty, thirty effects":                     oneBatch,
		"a crash before the commit leaves nothing and repeats":    crashBeforeCommit,
		"a crash between commit and ack, one effect":              crashBeforeAck,
		"a poison among ten innocents dies alone":                 poisonAmongInnocents,
		"an unknown schema version is permanent, with no effect":  unknownVersion,
		"an unknown field is ignored":                             unknownField,
		"an unknown type is permanent, with no effect":            unknownType,
		"a message of the future or of long ago is not applied":   outsideTheWindow,
		"a panic of the handler hurts nobody else and is retried": panicOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			judge(newStage(t, c, s))
		})
	}
}

func twiceInARow(s *stage, worker func() *inbox.Runner) {
	m := s.fresh()
	r := worker()
	s.publish(m)
	s.eventually("the first is applied", func() bool { return r.Counts().Applied == 1 })
	s.publish(m)
	s.eventually("the second is absorbed", func() bool { return r.Counts().Absorbed == 1 })
	s.effects(s.sample.Want, m)
	s.drained()
}

func twentyAtOnce(s *stage, worker func() *inbox.Runner) {
	m := s.fresh()
	runners := []*inbox.Runner{worker(), worker(), worker(), worker()}
	copies := make([]inbox.Message, 20)
	for i := range copies {
		copies[i] = m
	}
	s.publish(copies...)
	s.eventually("one is applied, nineteen are absorbed", func() bool {
		var applied, absorbed int64
		for _, r := range runners {
			applied, absorbed = applied+r.Counts().Applied, absorbed+r.Counts().Absorbed
		}
		return applied == 1 && absorbed == 19
	})
	s.effects(s.sample.Want, m)
	s.drained()
}

func oneBatch(s *stage) {
	events := s.several(30)
	s.publish(events...) // Before anybody consumes, so that they come together.
	r := s.run(s.Handler)
	s.eventually("thirty are applied", func() bool { return r.Counts().Applied == 30 })
	s.effects(s.sample.Want, events...)
	s.drained()
}

func crashBeforeCommit(s *stage) {
	m := s.fresh()
	var crashed atomic.Bool
	r := s.run(func(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
		if err := s.Handler(ctx, tx, batch); err != nil {
			return err
		}
		if crashed.CompareAndSwap(false, true) {
			// What a killed process looks like to the database.
			_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`)
			return err
		}
		return nil
	})
	s.publish(m)
	s.eventually("it is applied in the second run", func() bool { return r.Counts().Applied == 1 })
	if !crashed.Load() {
		s.t.Error("nothing crashed")
	}
	s.effects(s.sample.Want, m)
	s.drained()
}

func crashBeforeAck(s *stage) {
	m := s.fresh()
	var cut atomic.Bool
	r := s.run(func(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
		err := s.Handler(ctx, tx, batch)
		if err == nil && cut.CompareAndSwap(false, true) {
			s.proxy.Cut() // The commit comes, its ack cannot.
		}
		return err
	})
	s.publish(m)
	s.eventually("the redelivery is absorbed", func() bool { return r.Counts().Applied == 1 && r.Counts().Absorbed >= 1 })
	s.effects(s.sample.Want, m)
	s.drained()
}

func poisonAmongInnocents(s *stage) {
	events := s.several(10)
	poison := events[4]
	poison.EventID = uuid.Must(uuid.NewV7()).String()
	poison.Payload = []byte(`{"schema":`)
	batch := append(append(append([]inbox.Message{}, events[:5]...), poison), events[5:]...)
	s.publish(batch...)
	r := s.run(s.Handler)
	s.eventually("ten are applied", func() bool { return r.Counts().Applied == 10 })
	s.effects(s.sample.Want, events...)
	s.died(poison, retry.ClassPermanent, "")
	s.drained()
}

func unknownVersion(s *stage) {
	m := s.changed("schema", 999)
	s.publish(m)
	s.run(s.Handler)
	s.died(m, retry.ClassPermanent, "")
	s.effects(0, m)
}

func unknownField(s *stage) {
	m := s.changed("a_field_of_tomorrow", map[string]any{"deep": true})
	s.publish(m)
	r := s.run(s.Handler)
	s.eventually("it is applied", func() bool { return r.Counts().Applied == 1 })
	s.effects(s.sample.Want, m)
}

func unknownType(s *stage) {
	m := s.fresh()
	m.Type = "nothing.of_ours"
	s.publish(m)
	s.run(s.Handler)
	s.died(m, retry.ClassPermanent, "")
	s.effects(0, m)
}

func outsideTheWindow(s *stage) {
	old, future := s.fresh(), s.fresh()
	old.EventID = idOfDay(-400)
	future.EventID = idOfDay(+400)
	s.publish(old)
	s.run(s.Handler)
	s.died(old, retry.ClassPermanent, "older_than_dedupe_window")
	s.publish(future)
	s.died(future, retry.ClassPermanent, "event id from the future")
	s.effects(0, old)
	s.effects(0, future)
}

func panicOnce(s *stage) {
	events := s.several(5)
	var panicked atomic.Int32
	s.publish(events...)
	r := s.run(func(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
		for _, m := range batch {
			if m.EventID == events[2].EventID && panicked.Add(1) <= 2 {
				panic("as asked by the suite")
			}
		}
		return s.Handler(ctx, tx, batch)
	})
	s.eventually("all are applied, one of them later", func() bool { return r.Counts().Applied == 5 && r.Counts().Retried == 1 })
	s.effects(s.sample.Want, events...)
	s.drained()
}

// changed returns a fresh event with one field of its payload set.
func (s *stage) changed(field string, value any) inbox.Message {
	s.t.Helper()
	m := s.fresh()
	var payload map[string]json.RawMessage
	if err := json.Unmarshal(m.Payload, &payload); err != nil {
		s.t.Fatalf("the sample's payload is no JSON object: %v", err)
	}
	b, err := json.Marshal(value)
	if err != nil {
		s.t.Fatal(err)
	}
	payload[field] = b
	if m.Payload, err = json.Marshal(payload); err != nil {
		s.t.Fatal(err)
	}
	return m
}

// died waits for the message among the dead and looks at what is said of it.
func (s *stage) died(m inbox.Message, class retry.Class, reason string) {
	s.t.Helper()
	var found rabbit.Delivery
	s.eventually("it is among the dead", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, d := range s.dead {
			if d.Headers[envelope.HeaderID] == m.EventID {
				found = d
				return true
			}
		}
		return false
	})
	if got := found.Headers[s.Names.Format.Class]; got != string(class) {
		s.t.Errorf("died as %v, not as %s", got, class)
	}
	if got := found.Headers[s.Names.Format.Consumer]; got != s.Name {
		s.t.Errorf("died at %v, not at %s", got, s.Name)
	}
	if got, _ := found.Headers[s.Names.Format.Reason].(string); !strings.Contains(got, reason) || got == "" {
		s.t.Errorf("died because of %q, not %q", got, reason)
	}
}
