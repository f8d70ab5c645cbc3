package saga

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/inbox"
)

func TestFourStepsThatAreAllDoneCompleteTheSaga(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	w.drain(s)
	w.is(s, Completed, 4, 0)
}

func TestASkippedStepIsNeitherDoneNorUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole, broken := w.begin("room"), w.begin("room")
	w.drain(whole)
	w.is(whole, Completed, 3, 0)
	w.refuse["money.send"] = true
	w.drain(broken)
	w.is(broken, Compensated, 0, 0)
	if n := w.count(`SELECT count(*) FROM outbox_events WHERE type LIKE 'room.%'`); n != 0 {
		t.Errorf("%d commands for a skipped step", n)
	}
}

func TestARefusalUpToThePivotUndoesWhatWasDoneInReverse(t *testing.T) {
	t.Parallel()
	for step, undos := range map[string][]string{
		"seat.take": nil, "room.take": {"seat.free"}, "money.send": {"room.free", "seat.free"},
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.refuse[step] = true
			s := w.begin()
			w.drain(s)
			w.is(s, Compensated, 0, 0)
			if sent := w.types(s, "%.free"); !slices.Equal(sent, undos) {
				t.Errorf("undone were %v, not %v", sent, undos)
			}
			if now := w.now(s); now.Failure == nil || *now.Failure != "full" {
				t.Errorf("failed because of %v", now.Failure)
			}
		})
	}
}

func TestARefusalAfterThePivotIsStuckWithAnAlertAndAPersonsRetryFinishesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuse["voucher.print"] = true
	s := w.begin()
	w.drain(s)
	w.is(s, Stuck, 3, 1)
	if n := w.expire(s); n != 0 {
		t.Error("a refusal is not asked again by itself")
	}
	w.refuse["voucher.print"] = false
	if _, err := w.d.Retry(t.Context(), w.db, s.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.d.Retry(t.Context(), w.db, s.ID); !errors.Is(err, ErrSettled) {
		t.Errorf("the second retry got %v", err)
	}
	w.drain(s)
	w.is(s, Completed, 4, 0)
}

func TestADeadlineBeforeThePivotAsksOnceMoreAndThenTurnsRoundWithTheStepInHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	w.drain(s, "room.take")
	w.is(s, Running, 1, 0)
	w.expire(s)
	w.is(s, Running, 1, 0) // asked again
	w.expire(s)
	w.is(s, Compensating, 1, 0)
	w.drain(s, "room.take")
	w.is(s, Compensated, 0, 0)
	// The two commands arrive after all, later than their undo.
	w.drain(s)
	w.is(s, Compensated, 0, 0)
	now := w.now(s)
	if late := now.track(1, Do).Late; late != 2 {
		t.Errorf("%d late replies are recorded, not 2", late)
	}
}

func TestADeadlineAtThePivotUndoesNothingAsksAndAlertsUntilThereIsAnAnswer(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{false, true} {
		w := newWorld(t)
		s := w.begin()
		w.drain(s, "money.send")
		for try := range 5 {
			w.expire(s)
			w.drain(s, "money.send")
			if w.effects(s) != 2 || w.alerts(s) != 1 {
				t.Fatalf("after %d deadlines: %d effects, %d alerts", try+1, w.effects(s), w.alerts(s))
			}
		}
		if n := w.count(`SELECT count(*) FROM outbox_events WHERE type = 'money.send'`); n != 6 {
			t.Errorf("asked %d times, not 6", n)
		}
		w.refuse["money.send"] = refused
		w.drain(s)
		if refused {
			w.is(s, Compensated, 0, 0)
		} else {
			w.is(s, Completed, 4, 0)
		}
	}
}

func TestAtThePivotItIsAskedLessAndLessOften(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	w.drain(s, "money.send")
	for tries, deadlines := range []int{1, 2, 4, 4} {
		waits := w.count(`SELECT round(extract(epoch FROM due_at - clock_timestamp()) / $1)::int FROM sagas WHERE id = $2`, time.Hour.Seconds(), s.ID)
		if waits != deadlines {
			t.Errorf("after %d tries the next comes after %d deadlines, not %d", tries+1, waits, deadlines)
		}
		w.expire(s)
	}
}

func TestADeadlineAfterThePivotNeverTurnsRound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	w.drain(s, "voucher.print")
	for range 4 {
		w.expire(s)
	}
	w.is(s, Stuck, 3, 1)
	w.drain(s)
	w.is(s, Completed, 4, 0)
}

func TestAnUndoThatNobodyAnswersIsAskedForEverWithAnAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuse["room.take"] = true
	s := w.begin()
	w.drain(s, "seat.free")
	for range 4 {
		w.expire(s)
	}
	w.is(s, Stuck, 1, 1)
	w.drain(s)
	w.is(s, Compensated, 0, 0)
}

func TestASagaWhoseStartNeverArrivesIsBegunByTheTimer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	w.expire(s)
	if now := w.now(s); now.Position != 0 || now.Sent != 1 {
		t.Errorf("at %d with %d commands", now.Position, now.Sent)
	}
	w.drain(s) // The start comes too, later.
	w.is(s, Completed, 4, 0)
}

func TestTenOrchestratorsAndTenTimersAtOnceSendOneCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	start := w.pending(s)[0]
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			copied := start
			copied.EventID = uuid.Must(uuid.NewV7()).String() // not even the inbox knows it
			if err := w.deliver(copied, false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.count(`SELECT count(*) FROM outbox_events WHERE type = 'seat.take'`); n != 1 {
		t.Errorf("%d commands after ten starts", n)
	}
	w.in(func(tx once.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE sagas SET due_at = clock_timestamp() - interval '1 second'`)
		return err
	})
	for range 10 {
		wg.Go(func() {
			if _, err := (Timer{Definition: w.d, DB: w.db}).RunOnce(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.count(`SELECT count(*) FROM outbox_events WHERE type = 'seat.take'`); n != 2 {
		t.Errorf("%d commands after one deadline", n)
	}
	if n := w.count(`SELECT count(DISTINCT aggregate_version) FROM outbox_events WHERE type = 'seat.take'`); n != 2 {
		t.Error("two commands share a version")
	}
}

// The race of the test above, in slow motion.
func TestOfTwoThatReadTheSameSagaOneAdvancesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	if err := w.deliver(w.pending(s)[0], false); err != nil {
		t.Fatal(err)
	}
	first, second := w.now(s), w.now(s)
	for i, one := range []*Saga{&first, &second} {
		w.in(func(tx once.Tx) error {
			before := one.State
			m := w.d.next(one, input{kind: expired})
			if m.send == nil {
				t.Fatal("a deadline that has passed sends nothing, so the test shows nothing")
			}
			won, err := w.d.write(t.Context(), tx, one, before, m)
			if won != (i == 0) {
				t.Errorf("number %d: won is %v", i+1, won)
			}
			return err
		})
	}
	if n := w.count(`SELECT count(*) FROM outbox_events WHERE type = 'seat.take'`); n != 2 {
		t.Errorf("%d commands after one start and one deadline", n)
	}
}

func TestAPersonResolvesAStuckSagaOnceAndNeverAgainstThePivot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.refuse["voucher.print"] = true
	s := w.begin()
	if _, err := w.d.Resolve(t.Context(), w.db, s.ID, Completed, "op", "too early"); !errors.Is(err, ErrSettled) {
		t.Errorf("a running saga: %v", err)
	}
	w.drain(s)
	if _, err := w.d.Resolve(t.Context(), w.db, s.ID, Compensated, "op", "no"); !errors.Is(err, ErrNoWayBack) {
		t.Errorf("undone after the pivot: %v", err)
	}
	if _, err := w.d.Resolve(t.Context(), w.db, s.ID, Completed, "op", "printed by hand"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.d.Resolve(t.Context(), w.db, s.ID, Completed, "op", "again"); !errors.Is(err, ErrSettled) {
		t.Errorf("the second time: %v", err)
	}
	w.is(s, Completed, 3, 0)
	if now := w.now(s); now.ResolvedWhy == nil || *now.ResolvedWhy != "printed by hand" || *now.ResolvedBy != "op" {
		t.Error("who and why are not recorded")
	}
}

func TestAReplyThatNamesNoSagaOrNoStepIsPermanent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.begin()
	for name, r := range map[string]Reply{
		"saga": {Schema: 1, Saga: uuid.NewString(), Step: "seat", Direction: Do},
		"step": {Schema: 1, Saga: s.ID, Step: "bath", Direction: Do},
		"none": {Schema: 1},
	} {
		m := inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: "seat.take.done", Payload: payload(t, r)}
		if err := w.deliver(m, false); err == nil {
			t.Errorf("no %s: no error", name)
		}
	}
}
