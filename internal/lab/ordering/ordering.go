package ordering

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/envelope"
	"payonce/once/message"
	"payonce/once/rabbit"
)

// Relaxed is a relay without order.
type Relaxed struct {
	DB        *postgres.DB
	Publisher *rabbit.Publisher
	Batch     int
	// Taken, if set, is called between reading and publishing: for a test that
	// lets one worker overtake another.
	Taken func(worker int)
}

type row struct {
	RowID     uuid.UUID `db:"row_id"`
	EventID   uuid.UUID `db:"event_id"`
	Aggregate uuid.UUID `db:"aggregate_id"`
	Version   int64     `db:"aggregate_version"`
	Type      string    `db:"type"`
	Payload   []byte    `db:"payload"`
}

const (
	takeRows = `
SELECT row_id, event_id, aggregate_id, aggregate_version, type, payload
FROM outbox_events WHERE published_at IS NULL
ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED`
	markRows = `UPDATE outbox_events SET published_at = clock_timestamp() WHERE row_id = ANY ($1::uuid[])`
)

// Drain publishes with so many workers until nobody finds a row.
func (r Relaxed) Drain(ctx context.Context, workers int) error {
	results := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for n := 1; n > 0 && results[w] == nil; {
				n, results[w] = r.batch(ctx, w)
			}
		})
	}
	all.Wait()
	return errors.Join(results...)
}

// batch does what the house forbids: the network is asked while a transaction,
// and with it every row lock, is open.
func (r Relaxed) batch(ctx context.Context, worker int) (n int, err error) {
	err = postgres.InTx(ctx, r.DB, func(tx postgres.Tx) error {
		var rows []row
		if err := tx.Select(ctx, &rows, takeRows, r.Batch); err != nil {
			return err
		}
		if n = len(rows); n == 0 {
			return nil
		}
		if r.Taken != nil {
			r.Taken(worker)
		}
		var messages []message.Message
		var ids []string
		for _, e := range rows {
			ids = append(ids, e.RowID.String())
			messages = append(messages, patterns.Format.Message(envelope.Envelope{
				EventID: e.EventID.String(), Type: e.Type, Source: "/payonce", AggregateID: e.Aggregate.String(), AggregateVersion: e.Version, Attempt: 1, Payload: e.Payload,
			}, patterns.Relays.Exchange, e.Type))
		}
		if err := errors.Join(r.Publisher.PublishAll(ctx, messages)...); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		_, err := tx.Exec(ctx, markRows, pq.Array(ids))
		return err
	})
	return n, err
}

// StrictQueue is a consumer queue of which one consumer at a time gets messages.
func StrictQueue(name, deadExchange string) rabbit.Queue {
	q := rabbit.WorkQueue(name, deadExchange)
	q.Args["x-single-active-consumer"] = true
	return q
}

// Seen is one event as somebody met it.
type Seen struct {
	Aggregate uuid.UUID
	Version   int64
}

// Inversions counts how often an event was met after a later one of its
// aggregate. Copies count: whoever applies one applies an old state.
func Inversions(seen []Seen) (n int) {
	latest := map[uuid.UUID]int64{}
	for _, s := range seen {
		if s.Version < latest[s.Aggregate] {
			n++
			continue
		}
		latest[s.Aggregate] = s.Version
	}
	return n
}
