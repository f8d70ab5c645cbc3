package outbox

import (
	"context"
	"errors"
	"slices"

	"payonce/once"
)

// ErrQueue says that a queue is gone, or takes no messages at the moment: what is
// sent there would wait.
var ErrQueue = errors.New("the queue is gone, or takes no messages at the moment")

// The sampler forgets a queue that is gone, so one without a sample while others
// have fresh ones is not there. When all are old it is not known, and what is sent
// waits in the outbox for the broker to come back.
const takesSQL = `
SELECT EXISTS (SELECT FROM {queue_samples} WHERE queue = @queue)
        OR NOT EXISTS (SELECT FROM {queue_samples} WHERE sampled_at > clock_timestamp() - interval '30 seconds'),
       EXISTS (SELECT FROM {outbox_events} WHERE published_at IS NULL AND destination = @queue)`

// Takes says with [ErrQueue] that a replay to a queue would wait, as far as is known
// here: the broker is not asked. A trouble about a queue for which nothing waits is of the
// past: what is sent now finds out anew.
func (t Table) Takes(ctx context.Context, tx once.Tx, troubles once.Troubles, queue string) error {
	var there, waits bool
	rows, err := t.in(takesSQL).Query(ctx, tx, once.Args{"queue": queue})
	if _, err := once.One(rows, err, &there, &waits); err != nil {
		return err
	}
	if !there {
		return ErrQueue
	}
	if !waits {
		return nil
	}
	open, err := troubles.Open(ctx, tx, TroubleUnroutable, TroubleRefused)
	if err == nil && slices.Contains(open, "/"+queue) {
		err = ErrQueue
	}
	return err
}

const waitingSQL = `
SELECT event_id, destination, replay_no FROM {outbox_events}
 WHERE published_at IS NULL AND destination IS NOT NULL AND event_id = ANY (CAST(@events AS <id>[]))`

// Waiting is a replay that has not left yet: [Table.TakeBack] can remove it.
type Waiting struct {
	EventID string
	Queue   string
	Replay  int
}

// Replays lists those of some events that have not left yet.
func (t Table) Replays(ctx context.Context, db once.DB, events []string) ([]Waiting, error) {
	rows, err := t.in(waitingSQL).Read(ctx, db, once.Args{"events": once.Array(events)})
	return once.All(rows, err, func(w *Waiting) []any { return []any{&w.EventID, &w.Queue, &w.Replay} })
}

const takeBackSQL = `
DELETE FROM {outbox_events}
 WHERE aggregate_id = @aggregate AND event_id = @event AND destination = @queue AND replay_no = @replay AND published_at IS NULL`

// TakeBack removes a replay that has not left yet, and ends the trouble about its
// queue when nothing else waits for that. It returns false when the replay was
// published, or is not there. One that is being published at this moment may still
// arrive, under its own id.
func (t Table) TakeBack(ctx context.Context, tx once.Tx, troubles once.Troubles, queue, aggregate, event string, replay int) (bool, error) {
	n, err := t.in(takeBackSQL).Exec(ctx, tx, once.Args{"aggregate": aggregate, "event": event, "queue": queue, "replay": replay})
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.endIdle(ctx, tx, troubles, queue)
}

const takeBackRowsSQL = `
DELETE FROM {outbox_events} WHERE row_id = ANY (CAST(@rows AS uuid[])) AND destination = @queue AND published_at IS NULL`

// TakeBackRows is [Table.TakeBack] of many replays to one queue, by their rows. It returns
// how many it removed.
func (t Table) TakeBackRows(ctx context.Context, tx once.Tx, troubles once.Troubles, queue string, rows []string) (int64, error) {
	n, err := t.in(takeBackRowsSQL).Exec(ctx, tx, once.Args{"rows": once.Array(rows), "queue": queue})
	if err != nil || n == 0 {
		return 0, err
	}
	return n, t.endIdle(ctx, tx, troubles, queue)
}

const waitsSQL = `SELECT EXISTS (SELECT FROM {outbox_events} WHERE published_at IS NULL AND destination = @queue)`

// endIdle ends the trouble about a queue for which nothing waits any more.
func (t Table) endIdle(ctx context.Context, tx once.Tx, troubles once.Troubles, queue string) error {
	var others bool
	rows, err := t.in(waitsSQL).Query(ctx, tx, once.Args{"queue": queue})
	if _, err := once.One(rows, err, &others); err != nil || others {
		return err
	}
	return troubles.End(ctx, tx, "/"+queue, TroubleUnroutable, TroubleRefused)
}
