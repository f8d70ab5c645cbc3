package outbox

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
)

// ErrQueue says that a queue is gone, or takes no messages at the moment: what is
// sent there would wait.
var ErrQueue = errors.New("the queue is gone, or takes no messages at the moment")

// The sampler forgets a queue that is gone, so one without a sample while others
// have fresh ones is not there. When all are old it is not known, and what is sent
// waits in the outbox for the broker to come back. An alert about a queue for which
// nothing waits is of the past: what is sent now tells anew.
const takesSQL = `
SELECT (EXISTS (SELECT FROM queue_samples WHERE queue = $1)
        OR NOT EXISTS (SELECT FROM queue_samples WHERE sampled_at > clock_timestamp() - interval '30 seconds'))
   AND NOT (EXISTS (SELECT FROM alerts WHERE state = 'open' AND kind IN ($2, $3) AND subject = '/' || $1::text)
            AND EXISTS (SELECT FROM outbox_events WHERE published_at IS NULL AND destination = $1::text))`

// Takes says with [ErrQueue] that a replay to a queue would wait, as far as is known
// here: the broker is not asked.
func Takes(ctx context.Context, tx postgres.Tx, queue string) error {
	var takes bool
	if err := tx.Get(ctx, &takes, takesSQL, queue, AlertUnroutable.Name, AlertRefused.Name); err != nil {
		return err
	}
	if !takes {
		return ErrQueue
	}
	return nil
}

const takeBackSQL = `
DELETE FROM outbox_events
 WHERE aggregate_id = $1 AND event_id = $2 AND destination = $3 AND replay_no = $4 AND published_at IS NULL`

const waitingSQL = `
SELECT event_id, destination, replay_no FROM outbox_events
 WHERE published_at IS NULL AND destination IS NOT NULL AND event_id = ANY ($1::uuid[])`

// Waiting is a replay that has not left yet: [TakeBack] can remove it.
type Waiting struct {
	EventID uuid.UUID `db:"event_id"`
	Queue   string    `db:"destination"`
	Replay  int       `db:"replay_no"`
}

// Replays lists those of some events that have not left yet.
func Replays(ctx context.Context, db *postgres.DB, events []uuid.UUID) ([]Waiting, error) {
	var waiting []Waiting
	err := db.Select(ctx, &waiting, waitingSQL, pq.Array(events))
	return waiting, err
}

const waitsSQL = `SELECT EXISTS (SELECT FROM outbox_events WHERE published_at IS NULL AND destination = $1)`

// TakeBack removes a replay that has not left yet, and ends the alert about its
// queue when nothing else waits for that. It returns false when the replay was
// published, or is not there. One that is being published at this moment may still
// arrive, under its own id.
func TakeBack(ctx context.Context, tx postgres.Tx, queue string, aggregate, event uuid.UUID, replay int) (bool, error) {
	n, err := tx.Exec(ctx, takeBackSQL, aggregate, event, queue, replay)
	if err != nil || n == 0 {
		return false, err
	}
	return true, endIdle(ctx, tx, queue)
}

const takeBackRowsSQL = `
DELETE FROM outbox_events WHERE row_id = ANY ($1::uuid[]) AND destination = $2 AND published_at IS NULL`

// TakeBackRows is [TakeBack] of many replays to one queue, by their rows. It returns
// how many it removed.
func TakeBackRows(ctx context.Context, tx postgres.Tx, queue string, rows []string) (int64, error) {
	n, err := tx.Exec(ctx, takeBackRowsSQL, pq.Array(rows), queue)
	if err != nil || n == 0 {
		return 0, err
	}
	return n, endIdle(ctx, tx, queue)
}

// endIdle ends the alert about a queue for which nothing waits any more.
func endIdle(ctx context.Context, tx postgres.Tx, queue string) error {
	var others bool
	if err := tx.Get(ctx, &others, waitsSQL, queue); err != nil || others {
		return err
	}
	_, err := alert.Resolve(ctx, tx, "/"+queue, AlertUnroutable, AlertRefused)
	return err
}
