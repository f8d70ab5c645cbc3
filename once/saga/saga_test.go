package saga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/oncetest/dbtest"
	"payonce/once/outbox"
)

// The tables are found on the session's search_path.
var store = Store{}

// trip is the toy story: a seat, a room, the money (no way back), the voucher.
func trip() Definition {
	d := Definition{Name: "trip", Store: store, Start: "trip.asked", Steps: []Step{
		{Name: "seat", Do: "seat.take", Undo: "seat.free", Deadline: time.Hour, Tries: 2},
		{Name: "room", Do: "room.take", Undo: "room.free", Deadline: time.Hour, Tries: 2},
		{Name: "money", Do: "money.send", Pivot: true, Deadline: time.Hour, Tries: 2},
		{Name: "voucher", Do: "voucher.print", Deadline: time.Hour, Tries: 2},
	}}
	d.Ended = func(ctx context.Context, tx once.Tx, s Saga) error {
		_, err := tx.Exec(ctx, `INSERT INTO ends (saga, state) VALUES ($1, $2)`, s.ID, string(s.State))
		return err
	}
	return d
}

const tripTables = `
CREATE TABLE effects (saga text NOT NULL, step text NOT NULL, PRIMARY KEY (saga, step));
CREATE TABLE ends (saga text PRIMARY KEY, state text NOT NULL);
CREATE TABLE conditions (correlation text PRIMARY KEY, ready integer NOT NULL)`

// world is a database with one trip's tables and its participants.
type world struct {
	t            testing.TB
	db           once.DB
	d            Definition
	o            *Orchestrator
	participants Participant
	refuse       map[string]bool // commands that are refused
	mu           sync.Mutex
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, db: dbtest.OpenPq(t, dbtest.Database(t, "trip")+"&search_path=trip"), d: trip(), refuse: map[string]bool{}}
	w.d.Signal, w.d.Steps[1].Condition = "trip.changed", roomIsDue
	w.o = &Orchestrator{Definition: w.d}
	if err := w.d.Check(); err != nil {
		t.Fatal(err)
	}
	w.participants = Participant{Store: store, Actions: map[string]Action{}}
	for _, s := range w.d.Steps {
		w.participants.Actions[s.Do] = w.act(`INSERT INTO effects (saga, step) VALUES ($1, $2)`)
		if s.Undo != "" {
			w.participants.Actions[s.Undo] = w.act(`DELETE FROM effects WHERE saga = $1 AND step = $2`)
		}
	}
	w.in(func(tx once.Tx) error {
		_, err := tx.Exec(t.Context(), tripTables)
		return err
	})
	return w
}

func (w *world) act(query string) Action {
	return func(ctx context.Context, tx once.Tx, c Command) error {
		w.mu.Lock()
		no := w.refuse[c.Type]
		w.mu.Unlock()
		if no {
			return Refuse("full")
		}
		_, err := tx.Exec(ctx, query, c.Saga, c.Step)
		return err
	}
}

func (w *world) in(f func(tx once.Tx) error) {
	w.t.Helper()
	if err := w.db.InTx(context.Background(), f); err != nil {
		w.t.Fatal(err)
	}
}

// begin writes a saga and its start event.
func (w *world) begin(skip ...string) Saga {
	w.t.Helper()
	s := Saga{ID: uuid.Must(uuid.NewV7()).String(), Scope: uuid.NewString(), Correlation: uuid.NewString(), Subject: uuid.NewString(), Data: []byte(`{"to":"Rome"}`)}
	e, err := outbox.New(s.Scope, s.Correlation, "trip", s.Subject, w.d.Start, map[string]int{"schema": 1})
	if err != nil {
		w.t.Fatal(err)
	}
	e.AggregateVersion = 1
	w.in(func(tx once.Tx) error {
		return errors.Join(w.d.Open(context.Background(), tx, s, skip...), store.Outbox.Append(context.Background(), tx, e))
	})
	return s
}

func TestASagaThatNoAnswerCouldFindIsNotOpened(t *testing.T) {
	t.Parallel()
	whole := Saga{ID: uuid.NewString(), Scope: "all", Correlation: uuid.NewString(), Subject: uuid.NewString(), Data: []byte(`{}`)}
	w := newWorld(t)
	for what, spoil := range map[string]func(*Saga){
		"id":                  func(s *Saga) { s.ID = "" },
		"scope":               func(s *Saga) { s.Scope = "" },
		"correlation":         func(s *Saga) { s.Correlation = "" },
		"subject":             func(s *Saga) { s.Subject = "" },
		"an id that is short": func(s *Saga) { s.ID = strings.Repeat("x", 255) },
		"data that is JSON":   func(s *Saga) { s.Data = []byte(`{`) },
	} {
		s := whole
		spoil(&s)
		if err := w.db.InTx(t.Context(), func(tx once.Tx) error { return w.d.Open(t.Context(), tx, s) }); err == nil {
			t.Errorf("a saga without %s was opened", what)
		}
	}
}

// pending are the saga's messages that were not delivered yet, oldest first.
func (w *world) pending(s Saga) []inbox.Message {
	w.t.Helper()
	rows, err := w.db.Read(context.Background(), `
SELECT e.event_id, e.type, e.aggregate_id, e.payload FROM outbox_events e
 WHERE e.correlation_id = $1 AND NOT EXISTS (SELECT FROM consumer_inbox i WHERE i.event_id = e.event_id::uuid) ORDER BY e.seq`, s.Correlation)
	all, err := once.All(rows, err, func(m *inbox.Message) []any { return []any{&m.EventID, &m.Type, &m.AggregateID, &m.Payload} })
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range all {
		all[i].Scope, all[i].Correlation = s.Scope, s.Correlation
	}
	return all
}

var errCrash = errors.New("killed before the commit")

// deliver hands a message to whom it is for, through the inbox, as a runner does.
func (w *world) deliver(m inbox.Message, crash bool) error {
	consumer, handle := "saga", w.o.Handle
	if w.participants.Actions[m.Type] != nil {
		consumer, handle = "participants", w.participants.Handle
	}
	ctx, committed := inbox.Committing(context.Background())
	err := w.db.InTx(context.Background(), func(tx once.Tx) error {
		fresh, err := inbox.Table{}.Admit(context.Background(), tx, consumer, []string{m.EventID})
		if err != nil || len(fresh) == 0 {
			return err
		}
		if err := handle(ctx, tx, []inbox.Message{m}); err != nil {
			return err
		}
		if crash {
			return errCrash
		}
		return nil
	})
	if errors.Is(err, errCrash) {
		return nil
	}
	if err == nil {
		committed()
	}
	return err
}

// drain delivers until nothing is left; commands in keep are held back.
func (w *world) drain(s Saga, keep ...string) {
	w.t.Helper()
	for range 100 {
		held := 0
		pending := w.pending(s)
		for _, m := range pending {
			if contains(keep, m.Type) {
				held++
				continue
			}
			if err := w.deliver(m, false); err != nil {
				w.t.Fatalf("%s: %v", m.Type, err)
			}
		}
		if held == len(pending) {
			return
		}
	}
	w.t.Fatal("this saga never comes to rest")
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// expire lets the saga's deadline pass and the timer look.
func (w *world) expire(s Saga) int {
	w.t.Helper()
	w.in(func(tx once.Tx) error {
		_, err := tx.Exec(context.Background(), `UPDATE sagas SET due_at = clock_timestamp() - interval '1 second' WHERE id = $1 AND due_at IS NOT NULL`, s.ID)
		return err
	})
	n, err := Timer{Definition: w.d, DB: w.db}.RunOnce(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) now(s Saga) Saga {
	w.t.Helper()
	read, err := store.Read(context.Background(), w.db, s.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return read
}

func (w *world) count(query string, args ...any) (n int) {
	w.t.Helper()
	rows, err := w.db.Read(context.Background(), query, args...)
	if _, err := once.One(rows, err, &n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// types are the types of the saga's events that match, in their order.
func (w *world) types(s Saga, like string) []string {
	w.t.Helper()
	types, err := ids(w.db.Read(context.Background(), `SELECT type FROM outbox_events WHERE correlation_id = $1 AND type LIKE $2 ORDER BY seq`, s.Correlation, like))
	if err != nil {
		w.t.Fatal(err)
	}
	return types
}

func (w *world) effects(s Saga) int {
	return w.count(`SELECT count(*) FROM effects WHERE saga = $1`, s.ID)
}
func (w *world) alerts(s Saga) int {
	return w.count(`SELECT count(*) FROM troubles WHERE kind = 'saga_stuck' AND subject = $1 AND ended_at IS NULL`, s.Name())
}

// is fails unless the saga is where it should be, with so many effects.
func (w *world) is(s Saga, state State, effects, alerts int) {
	w.t.Helper()
	now := w.now(s)
	if now.State != state || w.effects(s) != effects || w.alerts(s) != alerts {
		w.t.Errorf("%s with %d effects and %d alerts, not %s with %d and %d: %s", now.State, w.effects(s), w.alerts(s), state, effects, alerts, history(now))
	}
	if ends := w.count(`SELECT count(*) FROM ends WHERE saga = $1`, s.ID); (ends == 1) != state.Final() {
		w.t.Errorf("%d ends in state %s", ends, state)
	}
}

func history(s Saga) string {
	text := ""
	for _, t := range s.Tracks {
		text += fmt.Sprintf(" %s:%s=%s(%d)", t.Direction, t.Step, t.Status, t.Attempts)
	}
	return text
}

func payload(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
