package outbox

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// Seen in a campaign on three nodes: one relay raised an alert that a queue was gone, another one
// published what had waited for it before it knew of the alert. No event goes to that
// queue but what a person sends, and that was refused because of the alert, without end.
func TestAnAlertAboutAQueueForWhichNothingWaitsRefusesNoReplayAndEnds(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	takes := func() error {
		return postgres.InTx(t.Context(), s.db, func(tx postgres.Tx) error { return Takes(t.Context(), tx, "reader") })
	}
	raise := func() {
		if err := AlertUnroutable.RaiseAlone(t.Context(), s.db, uuid.Nil, "/reader", map[string]any{"reason": "no queue"}); err != nil {
			t.Fatal(err)
		}
	}
	open := func() int { return s.count(`SELECT count(*) FROM alerts WHERE state = 'open' AND subject = '/reader'`) }
	replay := thing("thing.happened", uuid.New(), 1)
	replay.Destination, replay.Replay = "reader", 1
	s.append(replay)
	raise()
	if err := takes(); !errors.Is(err, ErrQueue) {
		t.Errorf("while one waits: %v", err)
	}
	s.exec(`UPDATE outbox_events SET published_at = clock_timestamp()`) // by another relay
	if err := takes(); err != nil {
		t.Errorf("while none waits: %v", err)
	}
	s.start(s.relay(nil))
	s.eventually("the alert ends", func() bool { return open() == 0 })
	s.append(thing("thing.happened", uuid.New(), 1)) // and one about a route that events take stays for the next of them
	if err := AlertUnroutable.RaiseAlone(t.Context(), s.db, uuid.Nil, Exchange+"/thing.unbound", map[string]any{}); err != nil {
		t.Fatal(err)
	}
	s.eventually("it is published", func() bool { return s.unpublished() == 0 })
	if n := s.count(`SELECT count(*) FROM alerts WHERE state = 'open'`); n != 1 {
		t.Errorf("%d alerts are open", n)
	}
}
