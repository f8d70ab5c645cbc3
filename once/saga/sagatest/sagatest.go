// Package sagatest judges participants: whatever order their commands come in and
// however often, a step is done once, undone once, and never done after it was
// undone. Every participant runs it in three lines, on a real database:
//
//	sagatest.Run(t, saga.Participant{Store: store, Actions: map[string]saga.Action{"seat.reserve": reserve, "seat.release": release}},
//		sagatest.Sample{Do: "seat.reserve", Undo: "seat.release", New: newSeat, Effects: seatsOf, Postgres: database})
package sagatest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/retry"
	"payonce/once/saga"
)

// Sample says how to make commands for a participant and how to see what they
// did.
type Sample struct {
	Do, Undo string // Undo "" leaves the undo's part out
	// New writes what a do needs to succeed and returns the saga's scope,
	// correlation and data.
	New func(t testing.TB, db once.DB) (scope, correlation string, data any)
	// Refused does the same for a do that the participant refuses; nil when it
	// never does.
	Refused func(t testing.TB, db once.DB) (scope, correlation string, data any)
	// Effects counts what the world sees of one step: 0 before it is done and
	// after it is undone, 1 between.
	Effects  func(t testing.TB, db once.DB, correlation string, data json.RawMessage) int
	Postgres func(testing.TB) once.DB
}

// Run runs the suite.
func Run(t *testing.T, p saga.Participant, s Sample) {
	t.Helper()
	judges := map[string]func(*stage){
		"twenty copies of a do at once, one effect, twenty equal replies": twentyDos,
		"a crash before the commit leaves nothing and the do repeats":     crashedDo,
		"an unknown schema version is permanent, with no effect":          unknownSchema,
		"a step that a person decided about is never done any more":       decidedStep,
	}
	if s.Undo != "" {
		judges["done, undone, undone again: nothing is left, two equal replies"] = doneAndUndone
		judges["an undo before its do is remembered, and the late do is refused"] = undoFirst
		judges["a copy of the do after its undo changes nothing"] = lateCopy
		judges["do and undo at once, twenty times: never done after undone"] = racing
	}
	if s.Refused != nil {
		judges["a refused do leaves nothing, says so again, and its undo is a no-op"] = refusedDo
	}
	for name, judge := range judges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			judge(&stage{t: t, p: p, Sample: s, db: s.Postgres(t)})
		})
	}
}

type stage struct {
	Sample
	t  *testing.T
	p  saga.Participant
	db once.DB
}

// story is one step of one saga.
type story struct {
	saga, scope, correlation string
	data                     json.RawMessage
}

func (s *stage) story(make func(testing.TB, once.DB) (scope, correlation string, data any)) story {
	s.t.Helper()
	scope, correlation, data := make(s.t, s.db)
	raw, err := json.Marshal(data)
	if err != nil {
		s.t.Fatal(err)
	}
	o := story{uuid.Must(uuid.NewV7()).String(), scope, correlation, raw}
	s.effects(o, 0)
	return o
}

func (o story) command(s *stage, kind string) inbox.Message {
	c := saga.Command{Schema: 1, Saga: o.saga, Step: "step", Direction: saga.Do, Attempt: 1, Data: o.data}
	if kind == s.Undo {
		c.Direction = saga.Undo
	}
	payload, err := json.Marshal(c)
	if err != nil {
		s.t.Fatal(err)
	}
	return inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: kind, Payload: payload, Scope: o.scope, Correlation: o.correlation, AggregateID: o.saga}
}

func (s *stage) handle(m inbox.Message) error {
	return s.db.InTx(context.Background(), func(tx once.Tx) error { return s.p.Handle(context.Background(), tx, []inbox.Message{m}) })
}

func (s *stage) must(m inbox.Message) {
	s.t.Helper()
	if err := s.handle(m); err != nil {
		s.t.Fatalf("%s: %v", m.Type, err)
	}
}

func (s *stage) effects(o story, want int) {
	s.t.Helper()
	if got := s.Effects(s.t, s.db, o.correlation, o.data); got != want {
		s.t.Errorf("%d effects, not %d", got, want)
	}
}

type reply struct {
	Type    string
	Payload []byte
}

// replies fails unless exactly these went out, in their order, and all of one
// type are the same bytes.
func (s *stage) replies(o story, want ...string) {
	s.t.Helper()
	found, err := s.db.Read(s.t.Context(), s.p.Store.Outbox.Schema.In(`
SELECT type, payload FROM {outbox_events}
 WHERE aggregate_type = 'participation' AND position($1::text IN convert_from(payload, 'UTF8')) > 0 ORDER BY seq`), o.saga)
	rows, err := once.All(found, err, func(r *reply) []any { return []any{&r.Type, &r.Payload} })
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	first := map[string]string{}
	for _, r := range rows {
		got = append(got, r.Type)
		if before, known := first[r.Type]; known && before != string(r.Payload) {
			s.t.Errorf("two replies %s differ: %s and %s", r.Type, before, r.Payload)
		}
		first[r.Type] = string(r.Payload)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("replies %v, not %v", got, want)
	}
}

func twentyDos(s *stage) {
	o := s.story(s.New)
	var wg sync.WaitGroup
	for range 20 {
		m := o.command(s, s.Do)
		wg.Go(func() {
			if err := s.handle(m); err != nil {
				s.t.Error(err)
			}
		})
	}
	wg.Wait()
	s.effects(o, 1)
	s.replies(o, slices.Repeat([]string{s.Do + ".done"}, 20)...)
}

func crashedDo(s *stage) {
	o := s.story(s.New)
	m := o.command(s, s.Do)
	err := s.db.InTx(s.t.Context(), func(tx once.Tx) error {
		if err := s.p.Handle(s.t.Context(), tx, []inbox.Message{m}); err != nil {
			return err
		}
		_, err := tx.Exec(s.t.Context(), `SELECT pg_terminate_backend(pg_backend_pid())`)
		return err
	})
	if err == nil {
		s.t.Error("nothing crashed")
	}
	s.effects(o, 0)
	s.replies(o)
	s.must(m)
	s.effects(o, 1)
	s.replies(o, s.Do+".done")
}

func unknownSchema(s *stage) {
	o := s.story(s.New)
	m := o.command(s, s.Do)
	var c map[string]any
	if err := json.Unmarshal(m.Payload, &c); err != nil {
		s.t.Fatal(err)
	}
	c["schema"] = 999
	m.Payload, _ = json.Marshal(c)
	if err := s.handle(m); retry.ClassOf(err) != retry.ClassPermanent {
		s.t.Errorf("%v is not permanent", err)
	}
	s.effects(o, 0)
	s.replies(o)
}

func decidedStep(s *stage) {
	o := s.story(s.New)
	if err := s.db.InTx(s.t.Context(), func(tx once.Tx) error {
		return s.p.Store.Decided(s.t.Context(), tx, o.saga, "step", o.scope)
	}); err != nil {
		s.t.Fatal(err)
	}
	want := []string{s.Do + ".failed", s.Do + ".failed"}
	s.must(o.command(s, s.Do))
	s.must(o.command(s, s.Do))
	if s.Undo != "" {
		s.must(o.command(s, s.Undo))
		want = append(want, s.Undo+".done") // there is nothing to take back
	}
	s.effects(o, 0)
	s.replies(o, want...)
}

func doneAndUndone(s *stage) {
	o := s.story(s.New)
	s.must(o.command(s, s.Do))
	s.effects(o, 1)
	s.must(o.command(s, s.Undo))
	s.effects(o, 0)
	s.must(o.command(s, s.Undo))
	s.effects(o, 0)
	s.replies(o, s.Do+".done", s.Undo+".done", s.Undo+".done")
}

func undoFirst(s *stage) {
	o := s.story(s.New)
	s.must(o.command(s, s.Undo))
	s.must(o.command(s, s.Do))
	s.must(o.command(s, s.Do))
	s.effects(o, 0)
	s.replies(o, s.Undo+".done", s.Do+".failed", s.Do+".failed")
}

func lateCopy(s *stage) {
	o := s.story(s.New)
	s.must(o.command(s, s.Do))
	s.must(o.command(s, s.Undo))
	s.must(o.command(s, s.Do))
	s.effects(o, 0)
	s.replies(o, s.Do+".done", s.Undo+".done", s.Do+".done")
}

func racing(s *stage) {
	for range 20 {
		o := s.story(s.New)
		var wg sync.WaitGroup
		for _, kind := range []string{s.Do, s.Undo} {
			m := o.command(s, kind)
			wg.Go(func() {
				if err := s.handle(m); err != nil {
					s.t.Error(err)
				}
			})
		}
		wg.Wait()
		s.effects(o, 0)
	}
}

func refusedDo(s *stage) {
	o := s.story(s.Refused)
	s.must(o.command(s, s.Do))
	s.must(o.command(s, s.Do))
	s.effects(o, 0)
	want := []string{s.Do + ".failed", s.Do + ".failed"}
	if s.Undo != "" {
		s.must(o.command(s, s.Undo))
		s.effects(o, 0)
		want = append(want, s.Undo+".done")
	}
	s.replies(o, want...)
}
