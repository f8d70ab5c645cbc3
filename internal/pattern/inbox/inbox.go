package inbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/pattern/retry"
	"payonce/internal/platform/envelope"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/once/rabbit"
)

// Message is one event as a consumer sees it.
type Message struct {
	EventID     uuid.UUID
	Type        string
	Payload     []byte
	Scope       uuid.UUID // whose it is
	Correlation uuid.UUID // the story it belongs to
	AggregateID uuid.UUID
	// AggregateVersion orders the events of one aggregate. Facts are applied
	// whatever their version; only projections compare.
	AggregateVersion int64
	Time             time.Time
	Traceparent      string
	// Attempt counts the tries that a schedule granted, from 1; Replay counts
	// the times that a person sent the event again. PastWindow says that the
	// person knew that the inbox may have forgotten it.
	Attempt     int
	Replay      int
	PastWindow  bool
	Redelivered bool
}

// Context continues the message's trace; a handler that writes events of its
// own for this message appends them under it.
func (m Message) Context(ctx context.Context) context.Context {
	return telemetry.WithTraceparent(ctx, m.Traceparent)
}

// Handler applies messages that this consumer has not applied before. All its
// writes go through tx, which commits them together with the inbox rows.
//
// One function serves batches and single messages: an error rejects the whole
// batch, after which each of its messages is given alone, so that only the one
// that is at fault suffers. A handler may therefore run more than once for a
// message, but commits once. It calls no network. retry.Permanent marks errors
// that trying again cannot cure.
//
// The batch is sorted by event id. Whoever locks other rows for a batch sorts
// those too, or two workers deadlock.
type Handler func(ctx context.Context, tx postgres.Tx, batch []Message) error

// Sorted by event id, so that two workers with overlapping batches wait for each
// other in one order. The row waits for a rival's uncommitted twin and then
// comes back empty: absorbed, or, had the rival rolled back, admitted.
const admit = `
INSERT INTO consumer_inbox (consumer, event_id)
SELECT $1, id FROM unnest($2::uuid[]) AS id ORDER BY id
ON CONFLICT DO NOTHING
RETURNING event_id`

// Admit records events as applied by consumer and returns those it had not
// applied before. The caller applies exactly these in the same transaction; the
// row commits with the effect, never before it.
func Admit(ctx context.Context, tx postgres.Tx, consumer string, events []uuid.UUID) ([]uuid.UUID, error) {
	texts := make([]string, len(events))
	for i, id := range events {
		texts[i] = id.String()
	}
	var fresh []uuid.UUID
	if err := tx.Select(ctx, &fresh, admit, consumer, pq.Array(texts)); err != nil {
		if _, missing := postgres.NoPartition(err); missing {
			return nil, errOutsideWindow
		}
		return nil, err
	}
	return fresh, nil
}

const applied = `SELECT EXISTS (SELECT FROM consumer_inbox WHERE consumer = $1 AND event_id = $2)`

// Applied says whether consumer has applied an event; retry.Collector asks it.
func Applied(ctx context.Context, tx postgres.Tx, consumer string, event uuid.UUID) (bool, error) {
	var yes bool
	err := tx.Get(ctx, &yes, applied, consumer, event)
	return yes, err
}

// errOutsideWindow says that the inbox has no partition for an event's id. The
// inbox has no default partition: what it cannot remember it must not admit.
var errOutsideWindow = errors.New("the inbox has no partition for this event id")

// outside names why the window does not hold an event.
func outside(event uuid.UUID, now time.Time) error {
	reason := "older_than_dedupe_window"
	if fromTheFuture(event, now) {
		reason = "event id from the future"
	}
	return retry.Permanent(fmt.Errorf("%s: %w", reason, errOutsideWindow))
}

func fromTheFuture(event uuid.UUID, now time.Time) bool { return bornAt(event).After(now) }

// bornAt reads the time that a UUIDv7 begins with.
func bornAt(id uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, id[:6]...))))
}

// item is a delivery and what it says.
type item struct {
	delivery rabbit.Delivery
	message  Message
}

// open reads a delivery. An error is permanent.
func (r *Runner) open(d rabbit.Delivery) (item, error) {
	e, err := envelope.Parse(d.Message)
	it := item{delivery: d, message: Message{
		EventID: e.EventID, Type: e.Type, Payload: e.Payload, Scope: e.Scope, Correlation: e.Correlation,
		AggregateID: e.AggregateID, AggregateVersion: e.AggregateVersion, Time: e.Time, Traceparent: e.Traceparent,
		Attempt: e.Attempt, Replay: e.Replay, PastWindow: e.PastWindow, Redelivered: d.Redelivered,
	}}
	switch {
	case err != nil:
		return it, retry.Poison(fmt.Errorf("the envelope cannot be read: %w", err))
	case len(r.cfg.Types) > 0 && !slices.Contains(r.cfg.Types, e.Type):
		return it, retry.Permanent(fmt.Errorf("events of type %q are unknown here", e.Type))
	}
	return it, nil
}
