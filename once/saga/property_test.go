package saga

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever the participants answer, in whatever order messages and their copies
// arrive, whoever is killed before a commit and whichever deadline passes
// meanwhile: when everything has been delivered, all is done or all is undone.
func TestRandomOutcomesCopiesReorderingsAndCrashesEndAllDoneOrAllUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commands := []string{"seat.take", "room.take", "money.send", "seat.free", "room.free", "voucher.print"}
	ends := make(map[State]int)
	rapid.Check(t, func(rt *rapid.T) {
		for _, c := range commands {
			// Undos and what follows the pivot do not refuse for ever: somebody
			// would look after that.
			w.refuse[c] = rapid.IntRange(0, 4).Draw(rt, c) == 0 && (c == "seat.take" || c == "room.take" || c == "money.send")
		}
		s := w.begin()
		skip, decided := rapid.Bool().Draw(rt, "skip"), rapid.IntRange(0, 30).Draw(rt, "decided after")
		w.condition(s, Wait)
		pivoted := false
		for i := range rapid.IntRange(0, 30).Draw(rt, "turns") {
			if i == decided {
				w.decide(s, skip)
			}
			w.disturb(rt, s)
			pivoted = checkPivot(rt, w, s, pivoted)
		}
		w.decide(s, skip)
		// Everything arrives in the end, and every deadline passes once more.
		for range 8 {
			w.drain(s)
			w.expire(s)
			pivoted = checkPivot(rt, w, s, pivoted)
		}
		now, effects := w.now(s), w.effects(s)
		every := 4
		if skip {
			every = 3
		}
		if !(now.State == Completed && effects == every || now.State == Compensated && effects == 0) || w.alerts(s) != 0 {
			rt.Fatalf("%s with %d effects and %d alerts:%s", now.State, effects, w.alerts(s), history(now))
		}
		ends[now.State]++
	})
	if ends[Completed] == 0 || ends[Compensated] == 0 {
		t.Errorf("the search is blind: %v", ends)
	}
}

// disturb does one thing that can happen.
func (w *world) disturb(rt *rapid.T, s Saga) {
	pending := w.pending(s)
	action := rapid.SampledFrom([]string{"deliver", "deliver", "crash", "copy", "expire"}).Draw(rt, "action")
	if action == "expire" {
		w.expire(s)
		return
	}
	if len(pending) == 0 {
		return
	}
	m := pending[rapid.IntRange(0, len(pending)-1).Draw(rt, "which")]
	if err := w.deliver(m, action == "crash"); err != nil {
		rt.Fatal(err)
	}
	if action == "copy" {
		if err := w.deliver(m, false); err != nil {
			rt.Fatal(err)
		}
	}
}

// checkPivot fails when something was undone although the pivot is done.
func checkPivot(rt *rapid.T, w *world, s Saga, before bool) bool {
	now := w.now(s)
	passed := w.d.Passed(now)
	reached := 3
	if t := now.track(1, Do); t.Status == Skipped {
		reached = 2
	}
	if passed && (now.Direction == Undo || w.effects(s) < reached) || before && !passed {
		rt.Fatalf("a compensation after the pivot:%s", history(now))
	}
	return passed
}

func TestTheSameInputTwiceSendsOnce(t *testing.T) {
	t.Parallel()
	d := trip()
	rapid.Check(t, func(rt *rapid.T) {
		s := Saga{State: Running, Direction: Do, Position: -1}
		for i, step := range d.Steps {
			s.Tracks = append(s.Tracks, Track{Step: step.Name, Direction: Do, Position: i, Status: Pending})
		}
		d.next(&s, input{kind: begun})
		for !s.State.Final() && s.State != Stuck {
			in := input{kind: replied, step: d.Steps[s.Position].Name, direction: s.Direction, ok: rapid.Bool().Draw(rt, "ok"), reason: "no"}
			d.next(&s, in)
			if m := d.next(&s, in); m != (move{}) {
				rt.Fatalf("the second copy made %+v", m)
			}
		}
	})
}
