package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/retry"
)

// Table is where a consumer remembers which events it has applied. The zero value is
// consumer_inbox of payonce/once/schema, looked for on the session's search_path.
//
// A consumer stays with one table: [Runner.Run] refuses to begin when the other one holds
// rows of its name.
type Table struct {
	Schema once.Schema
	// Any is for events whose ids are not UUIDv7: their rows are in consumer_inbox_any,
	// where each takes about as much room as its id and is found as fast, but forgetting
	// is a DELETE by age and not a dropped partition.
	Any bool
	// Alone says that there is no other table to look at: the schema is not that of
	// payonce/once/schema.
	Alone bool
}

// Sorted by event id, so that two workers with overlapping batches wait for each
// other in one order. The row waits for a rival's uncommitted twin and then
// comes back empty: absorbed, or, had the rival rolled back, admitted.
const (
	admitSQL = `
INSERT INTO {consumer_inbox} (consumer, event_id)
SELECT $1, id FROM unnest(CAST($2 AS uuid[])) AS id ORDER BY id
ON CONFLICT DO NOTHING
RETURNING event_id`
	admitAnySQL = `
INSERT INTO {consumer_inbox_any} (consumer, event_id)
SELECT $1, id FROM unnest(CAST($2 AS text[])) AS id ORDER BY id
ON CONFLICT DO NOTHING
RETURNING event_id`
)

// Admit records events as applied by consumer and returns those it had not
// applied before. The caller applies exactly these in the same transaction; the
// row commits with the effect, never before it.
func (t Table) Admit(ctx context.Context, tx once.Tx, consumer string, events []string) (fresh []string, err error) {
	statement := admitSQL
	if t.Any {
		statement = admitAnySQL
	}
	rows, err := tx.Query(ctx, t.Schema.In(statement), consumer, once.Array(events))
	fresh, err = once.All(rows, err, func(id *string) []any { return []any{id} })
	// 23514 without a constraint: the days have no place for a row. Nothing was written.
	if err != nil && !t.Any && once.SQLState(err) == "23514" {
		return nil, errOutsideWindow
	}
	return fresh, err
}

const (
	appliedSQL    = `SELECT EXISTS (SELECT FROM {consumer_inbox} WHERE consumer = $1 AND event_id = $2)`
	appliedAnySQL = `SELECT EXISTS (SELECT FROM {consumer_inbox_any} WHERE consumer = $1 AND event_id = $2)`
)

// Applied says whether consumer has applied an event; retry.Collector asks it.
func (t Table) Applied(ctx context.Context, tx once.Tx, consumer, event string) (yes bool, err error) {
	statement := appliedSQL
	if t.Any {
		statement = appliedAnySQL
	}
	if event, err = t.id(event); err != nil {
		return false, nil //nolint:nilerr // what is no id of this table was never applied
	}
	rows, err := tx.Query(ctx, t.Schema.In(statement), consumer, event)
	_, err = once.One(rows, err, &yes)
	return yes, err
}

const (
	othersSQL    = `SELECT EXISTS (SELECT FROM {consumer_inbox_any} WHERE consumer = $1)`
	othersAnySQL = `SELECT EXISTS (SELECT FROM {consumer_inbox} WHERE consumer = $1)`
)

// ErrOtherTable says that a consumer remembers events in the other table too: what is
// there would not be known here, and would be applied a second time.
var ErrOtherTable = errors.New("the consumer has rows in the other inbox table; move them, or keep to that one")

// settled refuses a consumer whose memory is elsewhere.
func (t Table) settled(ctx context.Context, db once.DB, consumer string) error {
	if t.Alone {
		return nil
	}
	statement := othersSQL
	if t.Any {
		statement = othersAnySQL
	}
	var others bool
	rows, err := db.Read(ctx, t.Schema.In(statement), consumer)
	if _, err = once.One(rows, err, &others); err == nil && others {
		err = fmt.Errorf("inbox: consumer %s: %w", consumer, ErrOtherTable)
	}
	return err
}

// id is an event's id as the table holds it.
func (t Table) id(event string) (string, error) {
	if t.Any {
		return event, nil
	}
	id, err := uuid.Parse(event)
	return id.String(), err
}

// errOutsideWindow says that the inbox has no partition for an event's id. The
// inbox has no default partition: what it cannot remember it must not admit.
var errOutsideWindow = errors.New("the inbox has no partition for this event id")

// outside names why the window does not hold an event.
func outside(event string, now time.Time) error {
	reason := "older_than_dedupe_window"
	if fromTheFuture(event, now) {
		reason = "event id from the future"
	}
	return retry.Permanent(fmt.Errorf("%s: %w", reason, errOutsideWindow))
}

func fromTheFuture(event string, now time.Time) bool { return bornAt(event).After(now) }

// bornAt reads the time that a UUIDv7 begins with.
func bornAt(event string) time.Time {
	id, err := uuid.Parse(event)
	if err != nil {
		return time.Time{}
	}
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms)
}
