package saga

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/inbox"
)

// lookable is a trip whose money is outside: it was sent when gone says so, and
// cannot be asked about while away says why.
type lookable struct {
	*world
	gone bool
	away error
	asks int
}

func newLookable(t *testing.T) *lookable {
	w := &lookable{world: newWorld(t)}
	w.d = w.d.WithLook("money", func(_ context.Context, _ Saga, as State) error {
		w.asks++
		switch {
		case w.away != nil:
			return w.away
		case w.gone && as == Compensated:
			return Contradict("the money is gone")
		case !w.gone && as == Completed:
			return Contradict("the money is here")
		}
		return nil
	})
	w.o = &Orchestrator{Definition: w.d}
	return w
}

// stuckAt brings a trip to where a person has to decide: a command that is never
// delivered.
func (w *world) stuckAt(command string) Saga {
	w.t.Helper()
	s := w.begin()
	w.drain(s, command)
	for range 4 {
		w.expire(s)
	}
	if now := w.now(s); now.State != Stuck {
		w.t.Fatalf("not stuck but %s", now.State)
	}
	return s
}

// loses takes away what was sent of a command, as a broker does that lost its disk.
func (w *world) loses(s Saga, command string) {
	w.t.Helper()
	w.in(func(tx once.Tx) error {
		lost, err := tx.Exec(context.Background(), `DELETE FROM outbox_events WHERE correlation_id = $1 AND type = $2`, s.Correlation, command)
		if err == nil && lost == 0 {
			w.t.Fatalf("no %s was under way", command)
		}
		return err
	})
}

func (w *world) decides(s Saga, as State) (Saga, error) {
	return w.d.Resolve(context.Background(), w.db, s.ID, as, "op", "seen at the bank")
}

// finish has pending decisions looked at, whose time has come.
func (w *world) finish() int {
	w.t.Helper()
	w.in(func(tx once.Tx) error {
		_, err := tx.Exec(context.Background(), `UPDATE saga_decisions SET look_at = clock_timestamp() WHERE state = 'pending'`)
		return err
	})
	n, err := Decisions{Definition: w.d, DB: w.db}.RunOnce(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestADecisionClosesTheStepInHandAndTheOthersEndAsOrdinarySteps(t *testing.T) {
	t.Parallel()
	for _, as := range []State{Compensated, Completed} {
		w := newLookable(t)
		effects := 0
		if as == Completed {
			w.gone, effects = true, 3 // The money went by another hand than the toy's.
		}
		s := w.stuckAt("money.send")
		now, err := w.decides(s, as)
		if err != nil || now.Decision.State != DecisionAccepted || now.State.Final() || now.ResolvedBy == nil {
			t.Fatalf("%s: %+v, %v", as, now, err)
		}
		w.drain(s) // also the five commands of money, late
		w.is(s, as, effects, 0)
		if n := w.count(`SELECT count(*) FROM effects WHERE step = 'money'`); n != 0 {
			t.Errorf("%s: the late commands acted", as)
		}
		end := w.now(s)
		if late := end.track(2, Do).Late; late != 5 {
			t.Errorf("%s: %d late replies, not 5", as, late)
		}
	}
}

func TestADecisionThatIsNotWhatWasFoundChangesNothingAndIsKept(t *testing.T) {
	t.Parallel()
	for _, as := range []State{Compensated, Completed} {
		w := newLookable(t)
		w.gone = as == Compensated
		s := w.stuckAt("money.send")
		_, err := w.decides(s, as)
		var no *Contradiction
		if !errors.As(err, &no) {
			t.Fatalf("%s: %v", as, err)
		}
		now := w.now(s)
		if now.State != Stuck || now.Decision.State != DecisionRefused || now.Decision.Found != no.Found || now.ResolvedBy != nil {
			t.Errorf("%+v", now)
		}
		if n := w.count(`SELECT count(*) FROM troubles WHERE subject = $1 AND ended_at IS NULL AND facts ->> 'reason' LIKE '%' || $2`, s.Name(), no.Found); n != 1 {
			t.Error("the alert does not say what was found")
		}
		w.expire(s) // It is asked about as before.
		w.drain(s)
		w.is(s, Completed, 4, 0)
	}
}

// The answer to a command that met a pending decision must not be taken for a
// refusal of the step once the decision is refused.
func TestAnAnswerThatOnlySaysThatAPersonDecidedTurnsNothingRound(t *testing.T) {
	t.Parallel()
	w := newLookable(t)
	w.away = errors.New("silence")
	s := w.stuckAt("money.send")
	if now, err := w.decides(s, Compensated); err != nil || !now.Decision.Pending() {
		t.Fatalf("%+v, %v", now.Decision, err)
	}
	for _, m := range w.pending(s) { // the commands, answered from memory; their replies stay in the outbox
		if m.Type == "money.send" {
			if err := w.deliver(m, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.away, w.gone = nil, true
	if w.finish() != 1 {
		t.Fatal("the decision is still pending")
	}
	w.drain(s)
	w.is(s, Stuck, 2, 1)
	w.expire(s)
	w.drain(s)
	w.is(s, Completed, 4, 0)
}

func TestWhileTheOutsideCannotBeAskedADecisionIsPendingAndNothingElseMovesTheSaga(t *testing.T) {
	t.Parallel()
	w := newLookable(t)
	w.away = errors.New("silence")
	s := w.stuckAt("money.send")
	now, err := w.decides(s, Compensated)
	if err != nil || !now.Decision.Pending() || now.Decision.Found != "it cannot be asked: silence" {
		t.Fatalf("%+v, %v", now.Decision, err)
	}
	if _, err := w.decides(s, Completed); !errors.Is(err, ErrDeciding) {
		t.Errorf("a second decision: %v", err)
	}
	if _, err := w.d.Retry(t.Context(), w.db, s.ID); !errors.Is(err, ErrDeciding) {
		t.Errorf("a retry: %v", err)
	}
	if w.expire(s) != 0 {
		t.Error("a deadline moved it")
	}
	yes := inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: "money.send.done", Scope: s.Scope, Correlation: s.Correlation,
		Payload: payload(t, Reply{Schema: 1, Saga: s.ID, Step: "money", Direction: Do})}
	if err := w.deliver(yes, false); err != nil {
		t.Fatal(err)
	}
	w.drain(s)
	w.is(s, Stuck, 2, 1)
	if w.finish() != 0 {
		t.Error("it ended although nothing could be asked")
	}
	w.away = nil
	if w.finish() != 1 || w.finish() != 0 {
		t.Error("it does not end once")
	}
	w.drain(s)
	w.is(s, Compensated, 0, 0)
}

func TestACallThatMayBeUnderWayIsWaitedForBeforeTheOutsideIsAsked(t *testing.T) {
	t.Parallel()
	w := newLookable(t)
	s := w.stuckAt("money.send")
	var command inbox.Message
	for _, m := range w.pending(s) {
		if m.Type == "money.send" {
			command = m
		}
	}
	// It was begun before the decision, and ends after it: the money is gone.
	outside := Outside{Store: store, Type: "money.send", Ask: func(context.Context, Command, bool) error { w.gone = true; return nil }}.Around()
	var call inbox.Call
	w.in(func(tx once.Tx) (err error) {
		call, err = outside.Intend(t.Context(), tx, command)
		return err
	})
	now, err := w.decides(s, Compensated)
	if err != nil || !now.Decision.Pending() || w.asks != 0 {
		t.Fatalf("asked %d times while a call may be under way: %+v, %v", w.asks, now.Decision, err)
	}
	record, err := call(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.in(func(tx once.Tx) error { return record(t.Context(), tx) })
	w.drain(s, "money.send")
	w.is(s, Stuck, 2, 1)
	if w.finish() != 1 || w.now(s).Decision.State != DecisionRefused {
		t.Errorf("%+v", w.now(s).Decision)
	}
}

func TestOfTwoWhoDecideAtOnceOneDecides(t *testing.T) {
	t.Parallel()
	w := newLookable(t)
	s := w.stuckAt("money.send")
	results := make(chan error)
	for range 2 {
		go func() {
			_, err := w.decides(s, Compensated)
			results <- err
		}()
	}
	first, second := <-results, <-results
	if first != nil {
		first, second = second, first
	}
	if first != nil || !errors.Is(second, ErrSettled) && !errors.Is(second, ErrDeciding) {
		t.Errorf("%v and %v", first, second)
	}
	w.drain(s)
	w.is(s, Compensated, 0, 0)
}

// What a person says takes nothing back: the room is held until its participant
// has let it go, also when all commands that were sent before are lost.
func TestADecisionOnTheWayBackRunsTheUndoThatWasNotAnsweredAndTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuse["money.send"] = true
	s := w.stuckAt("room.free")
	w.loses(s, "room.free")
	if _, err := w.decides(s, Completed); !errors.Is(err, ErrNoWayBack) {
		t.Errorf("completed on the way back: %v", err)
	}
	if now, err := w.decides(s, Compensated); err != nil || now.State != Compensating {
		t.Fatalf("%s, %v", now.State, err)
	}
	w.drain(s)
	w.is(s, Compensated, 0, 0)
}

func TestADecisionTakesThePlaceOfAnUndoThatWasRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuse["money.send"], w.refuse["room.free"] = true, true
	s := w.begin()
	w.drain(s)
	w.is(s, Stuck, 2, 1)
	if _, err := w.decides(s, Compensated); err != nil {
		t.Fatal(err)
	}
	w.refuse["room.free"] = false
	w.drain(s)
	w.is(s, Compensated, 1, 0) // The room is the person's word.
}
