package outbox

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/trouble"
)

// Seen in a campaign on three nodes: one relay raised a trouble that a queue was gone, another one
// published what had waited for it before it knew of the trouble. No event goes to that
// queue but what a person sends, and that was refused because of the trouble, without end.
func TestAnAlertAboutAQueueForWhichNothingWaitsRefusesNoReplayAndEnds(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	takes := func() error {
		return s.db.InTx(t.Context(), func(tx once.Tx) error { return table.Takes(t.Context(), tx, trouble.Table{}, "reader") })
	}
	raise := func(subject string) {
		t.Helper()
		if err := s.db.InTx(t.Context(), func(tx once.Tx) error {
			return trouble.Table{}.Raise(t.Context(), tx, once.Trouble{Kind: TroubleUnroutable, Subject: subject, Facts: map[string]any{"reason": "no queue"}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	open := func() int {
		return s.count(`SELECT count(*) FROM troubles WHERE ended_at IS NULL AND subject = '/reader'`)
	}
	replay := thing("thing.happened", uuid.NewString(), 1)
	replay.Destination, replay.Replay = "reader", 1
	s.append(replay)
	raise("/reader")
	if err := takes(); !errors.Is(err, ErrQueue) {
		t.Errorf("while one waits: %v", err)
	}
	s.exec(`UPDATE outbox_events SET published_at = clock_timestamp()`) // by another relay
	if err := takes(); err != nil {
		t.Errorf("while none waits: %v", err)
	}
	s.start(s.relay(nil))
	s.eventually("the trouble ends", func() bool { return open() == 0 })
	s.append(thing("thing.happened", uuid.NewString(), 1)) // and one about a route that events take stays for the next of them
	raise(names.Exchange + "/thing.unbound")
	s.eventually("it is published", func() bool { return s.unpublished() == 0 })
	if n := s.count(`SELECT count(*) FROM troubles WHERE ended_at IS NULL`); n != 1 {
		t.Errorf("%d troubles are open", n)
	}
}
