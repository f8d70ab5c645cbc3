package saga

import (
	"context"
	"errors"
	"slices"
	"testing"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/outbox"
)

// roomIsDue is the condition of the trip's second step: what the table says of the
// story, under a lock; a story that is not in it needs its room.
func roomIsDue(ctx context.Context, tx once.Tx, s Saga) (ready Ready, err error) {
	rows, err := tx.Query(ctx, `SELECT ready FROM conditions WHERE correlation = $1 FOR UPDATE`, s.Correlation)
	_, err = once.One(rows, err, &ready)
	return ready, err // Go is the zero value
}

// condition changes what the condition reads, and signals in the same transaction.
func (w *world) condition(s Saga, ready Ready) {
	w.t.Helper()
	e, err := outbox.New(s.Scope, s.Correlation, "condition", s.Subject, w.d.Signal, map[string]int{"schema": 1})
	if err != nil {
		w.t.Fatal(err)
	}
	w.in(func(tx once.Tx) error {
		_, err := tx.Exec(context.Background(), `
INSERT INTO conditions (correlation, ready) VALUES ($1, $2) ON CONFLICT (correlation) DO UPDATE SET ready = $2`, s.Correlation, int(ready))
		if err != nil {
			return err
		}
		rows, err := tx.Query(context.Background(), `SELECT count(*) + 2 FROM outbox_events WHERE aggregate_id = $1`, s.Subject)
		if _, err := once.One(rows, err, &e.AggregateVersion); err != nil {
			return err
		}
		return store.Outbox.Append(context.Background(), tx, e)
	})
}

func (w *world) decide(s Saga, skip bool) {
	w.t.Helper()
	if skip {
		w.condition(s, Skip)
		return
	}
	w.condition(s, Go)
}

// waits fails unless the saga waits for its room, of which nothing was sent.
func (w *world) waits(s Saga) {
	w.t.Helper()
	w.is(s, Waiting, 1, 0)
	now := w.now(s)
	if t := now.track(1, Do); t.Status != Awaiting || t.Attempts != 0 || t.StartedAt != nil || t.DeadlineAt == nil {
		w.t.Errorf("the step in hand is %+v", *t)
	}
	if n := w.count(`SELECT count(*) FROM outbox_events WHERE correlation_id = $1 AND type LIKE 'room.%'`, s.Correlation); n != 0 {
		w.t.Errorf("%d commands of a step that waits", n)
	}
}

func TestAStepWaitsHoweverLongUntilASignalAfterWhichItsConditionIsDecided(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ready   Ready
		refuse  string
		end     State
		effects int
		undos   []string
	}{
		"due":                      {Go, "", Completed, 4, nil},
		"not needed":               {Skip, "", Completed, 3, nil},
		"due, then turned round":   {Go, "money.send", Compensated, 0, []string{"room.free", "seat.free"}},
		"not needed, turned round": {Skip, "money.send", Compensated, 0, []string{"seat.free"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.refuse[c.refuse] = true
			s := w.begin()
			w.condition(s, Wait)
			w.drain(s)
			w.waits(s)
			for range 5 { // more than it has tries
				if w.expire(s) != 1 {
					t.Error("the timer does not look at what waits")
				}
			}
			w.condition(s, Wait)
			w.drain(s)
			w.waits(s)
			w.condition(s, c.ready)
			w.drain(s)
			w.is(s, c.end, c.effects, 0)
			undone := w.types(s, "%.free")
			if !slices.Equal(undone, c.undos) {
				t.Errorf("undone were %v, not %v", undone, c.undos)
			}
		})
	}
}

func TestADeadlineFindsWhatALostSignalWasAbout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	w.condition(s, Wait)
	w.drain(s)
	w.condition(s, Go)
	w.drain(s, w.d.Signal)
	w.waits(s)
	w.expire(s)
	w.drain(s, w.d.Signal)
	w.is(s, Completed, 4, 0)
	w.drain(s) // it was not lost but late, and no saga waits any more
	w.is(s, Completed, 4, 0)
}

func TestASignalWakesTheStoriesOfItsCorrelationAndNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, other := w.begin(), w.begin()
	for _, s := range []Saga{one, other} {
		w.condition(s, Wait)
		w.drain(s)
	}
	w.in(func(tx once.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE conditions SET ready = $1`, int(Go))
		return err
	})
	w.condition(one, Go)
	w.drain(one)
	w.drain(other)
	w.is(one, Completed, 4, 0)
	w.waits(other)
}

// So a change comes before the reading, or after the saga waits for its signal.
func TestWhatAConditionHasReadIsLockedUntilTheWaitIsDurable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	w.condition(s, Wait)
	w.drain(s, "seat.take.done")
	reply := w.pending(s)[0]
	w.in(func(tx once.Tx) error {
		if err := w.o.Handle(t.Context(), tx, []inbox.Message{reply}); err != nil {
			return err
		}
		change := w.db.InTx(t.Context(), func(other once.Tx) error {
			_, err := other.Exec(t.Context(), `SELECT ready FROM conditions WHERE correlation = $1 FOR UPDATE NOWAIT`, s.Correlation)
			return err
		})
		if change == nil {
			t.Error("the condition changed between its reading and the wait")
		}
		return nil
	})
	w.waits(s)
	w.condition(s, Go)
	w.drain(s)
	w.is(s, Completed, 4, 0)
}

func TestACrashWhileAStoryWaitsOrIsWokenLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	w.condition(s, Wait)
	w.drain(s, "seat.take.done")
	reply := w.pending(s)[0]
	if err := w.deliver(reply, true); err != nil {
		t.Fatal(err)
	}
	w.is(s, Running, 1, 0)
	w.drain(s)
	w.waits(s)
	w.condition(s, Go)
	signal := w.pending(s)[0]
	if err := w.deliver(signal, true); err != nil {
		t.Fatal(err)
	}
	w.waits(s)
	w.drain(s)
	w.is(s, Completed, 4, 0)
}

func TestAConditionThatNoSignalDecidesIsRefused(t *testing.T) {
	t.Parallel()
	d := trip()
	d.Steps[0].Condition = roomIsDue
	if err := d.Check(); !errors.Is(err, errDefinition) {
		t.Errorf("a wait without an end: %v", err)
	}
}
