package outbox

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestTheBacklogIsCountedWithTheAgeOfItsOldestEventWhoeverOwnsIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	g := &BacklogGauge{DB: s.db}
	look := func() Backlog {
		t.Helper()
		if err := g.look(t.Context(), 30*time.Second); err != nil {
			t.Fatal(err)
		}
		return g.Latest()
	}
	if b := look(); b != (Backlog{}) {
		t.Errorf("an empty outbox: %+v", b)
	}
	for p := range 3 {
		s.append(thing("thing.happened", inPartition(p), 1))
	}
	s.exec(`UPDATE outbox_events SET created_at = created_at - interval '1 hour' WHERE partition_no = 2`)
	if b := look(); b.Unpublished != 3 || b.Oldest < time.Hour || b.Oldest > 2*time.Hour {
		t.Errorf("three events, one of them an hour old: %+v", b)
	}
	s.append(thing("thing.unbound", uuid.NewString(), 1))
	s.relays(s.relay(nil), func(done Counts) bool { return done.Marked == 3 && done.Returned > 0 })
	if b := look(); b.Unpublished != 1 || b.Oldest >= time.Hour {
		t.Errorf("one event that cannot leave: %+v", b)
	}
}
