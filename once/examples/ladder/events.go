package ladder

import (
	"context"

	"payonce/once"
	"payonce/once/message"
)

// Tables makes the outbox.
const Tables = `
CREATE TABLE IF NOT EXISTS events (
  no           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  aggregate    text        NOT NULL,
  body         text        NOT NULL,
  published_at timestamptz
);
CREATE INDEX IF NOT EXISTS events_pending ON events (no) WHERE published_at IS NULL`

// Event is what a change says to others.
type Event struct {
	No        int64
	Aggregate string // whose order matters
	Body      string
}

// Append writes an event in the transaction of the change that it speaks of. The change
// holds the lock of its aggregate.
func Append(ctx context.Context, tx once.Tx, aggregate, body string) error {
	_, err := tx.Exec(ctx, `INSERT INTO events (aggregate, body) VALUES ($1, $2)`, aggregate, body)
	return err
}

// Broker publishes. An error, or none, for each message: it is nil once the broker has
// confirmed. [payonce/once/rabbit.Publisher] is one.
type Broker interface {
	PublishAll(ctx context.Context, messages []message.Message) []error
}

// messageOf puts an event into an envelope; consumers know it again by its number.
func (e Event) messageOf(exchange string) message.Message {
	return message.Message{
		Exchange: exchange, Key: e.Aggregate, ContentType: "text/plain", Body: []byte(e.Body),
		Headers: map[string]any{"event": e.No},
	}
}

// read asks for events: columns no, aggregate, body.
func read(ctx context.Context, db once.DB, query string, args ...any) (events []Event, err error) {
	rows, err := db.Read(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var e Event
		if err := rows.Scan(&e.No, &e.Aggregate, &e.Body); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, rows.Err()
}

// mark says that events are published. A relay that is killed before this publishes them
// again: at least once.
func mark(ctx context.Context, db once.DB, published []int64) error {
	return db.InTx(ctx, func(tx once.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE events SET published_at = now() WHERE no = ANY ($1::bigint[])`, once.Array(published))
		return err
	})
}
