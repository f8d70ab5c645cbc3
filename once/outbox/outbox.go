package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
)

// Event is one fact, written in the transaction that makes it true.
type Event struct {
	// ID names the event and is what consumers dedupe by. A UUIDv7 says when it was born;
	// see package inbox.
	ID string
	// Destination is empty for an event that goes to each queue bound. A replay
	// names the one queue that it is for.
	Destination string
	// Replay counts how often a person has sent the event again; PastWindow says
	// that the person knows that a reader's dedupe may have forgotten it.
	Replay     int
	PastWindow bool
	// Scope is whose it is; Correlation is the story it belongs to, whatever
	// its aggregate. Either may be empty.
	Scope       string
	Correlation string

	AggregateType string
	AggregateID   string
	// AggregateVersion counts the aggregate's events from 1 without gaps, and
	// is drawn while the aggregate's row is locked. [Table.Fold] takes it from the
	// statement instead.
	AggregateVersion int64

	Type    string // noun.past_tense
	Payload []byte
	// Traceparent is the trace the event continues; empty means none.
	Traceparent string
}

// New makes an event with a fresh id, a UUIDv7. Its version is left to [Table.Fold], or to
// the caller who knows it.
func New(scope, correlation, aggregateType, aggregate, eventType string, payload any) (Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Event{}, err
	}
	b, err := json.Marshal(payload)
	if err != nil {
		return Event{}, err
	}
	e := Event{
		ID: id.String(), Scope: scope, Correlation: correlation,
		AggregateType: aggregateType, AggregateID: aggregate, Type: eventType, Payload: b,
	}
	return e, e.check()
}

var (
	errIncomplete = errors.New("outbox: an event needs an id, an aggregate, a type and a payload")
	errUnnumbered = errors.New("outbox: an event needs its AggregateVersion: 1 for an aggregate's first event, one more for each that follows")
	errUnreadable = errors.New("outbox: an id, a type or a destination is longer than 255 bytes, or no text that Postgres takes; no consumer could read it")
)

func (e Event) check() error {
	if e.ID == "" || e.AggregateID == "" || e.AggregateType == "" || e.Type == "" || e.Payload == nil {
		return fmt.Errorf("%w: %q of %s %s", errIncomplete, e.Type, e.AggregateType, e.AggregateID)
	}
	for _, text := range []string{e.ID, e.AggregateID, e.AggregateType, e.Type, e.Scope, e.Correlation, e.Destination, e.Traceparent} {
		if !envelope.Plain(text) {
			return fmt.Errorf("%w: %.300q", errUnreadable, text)
		}
	}
	return nil
}

// partition hashes the aggregate's id: a UUID by its bytes, whatever it is written like.
func (e Event) partition() int {
	h := fnv.New32a()
	if id, err := uuid.Parse(e.AggregateID); err == nil {
		_, _ = h.Write(id[:])
	} else {
		_, _ = h.Write([]byte(e.AggregateID))
	}
	return int(h.Sum32() % partitions)
}

// row is the id of the event's row, by whose time the table is cut into days: the event's
// own where that is a UUIDv7. A replay is a second row about the same event.
func (e Event) row() string {
	if id, err := uuid.Parse(e.ID); err == nil && id.Version() == 7 && e.Destination == "" {
		return id.String()
	}
	return uuid.Must(uuid.NewV7()).String() // fails only where the system has no random numbers
}

// The empty strings become NULL here, because a text array holds them more
// easily than nulls. seq is drawn in the order of the arguments.
const appendEvents = `
INSERT INTO {outbox_events} (row_id, event_id, destination, <scope>, correlation_id,
  aggregate_type, aggregate_id, aggregate_version, type, payload, traceparent, partition_no, replay_no, past_window)
SELECT e.row_id, e.event_id, nullif(e.destination, ''), CAST(nullif(e.whose, '') AS <id>), CAST(nullif(e.correlation_id, '') AS <id>),
  e.aggregate_type, e.aggregate_id, e.aggregate_version, e.type, e.payload, e.traceparent, e.partition_no, e.replay_no, e.past_window
FROM unnest(CAST(@rows AS uuid[]), CAST(@events AS <id>[]), CAST(@destinations AS text[]), CAST(@scopes AS text[]),
  CAST(@correlations AS text[]), CAST(@aggregate_types AS text[]), CAST(@aggregates AS <id>[]), CAST(@versions AS bigint[]),
  CAST(@types AS text[]), CAST(@payloads AS bytea[]), CAST(@traces AS text[]), CAST(@partitions AS smallint[]),
  CAST(@replays AS integer[]), CAST(@past_windows AS boolean[])) WITH ORDINALITY AS e
  (row_id, event_id, destination, whose, correlation_id, aggregate_type, aggregate_id, aggregate_version,
   type, payload, traceparent, partition_no, replay_no, past_window, place)
ORDER BY e.place`

// Append writes events in the caller's transaction, in one round trip. When tx
// commits they will be published at least once; when it does not, never. The
// caller holds the lock on each event's aggregate, or the events of one
// aggregate may be published in another order than they committed in.
func (t Table) Append(ctx context.Context, tx once.Tx, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	rows := make([]string, len(events))
	for i, e := range events {
		if err := e.check(); err != nil {
			return err
		}
		if e.AggregateVersion < 1 {
			return fmt.Errorf("%w: %q of %s %s has %d", errUnnumbered, e.Type, e.AggregateType, e.AggregateID, e.AggregateVersion)
		}
		rows[i] = e.row()
	}
	text := func(of func(e Event) string) string { return array(events, of) }
	number := func(of func(e Event) int) string { return array(events, of) }
	_, err := t.in(appendEvents).Exec(ctx, tx, once.Args{
		"rows": once.Array(rows), "events": text(func(e Event) string { return e.ID }),
		"destinations": text(func(e Event) string { return e.Destination }), "scopes": text(func(e Event) string { return e.Scope }),
		"correlations":    text(func(e Event) string { return e.Correlation }),
		"aggregate_types": text(func(e Event) string { return e.AggregateType }), "aggregates": text(func(e Event) string { return e.AggregateID }),
		"versions": array(events, func(e Event) int64 { return e.AggregateVersion }), "types": text(func(e Event) string { return e.Type }),
		"payloads": array(events, func(e Event) []byte { return e.Payload }), "traces": text(func(e Event) string { return e.Traceparent }),
		"partitions": number(Event.partition), "replays": number(func(e Event) int { return e.Replay }),
		"past_windows": array(events, func(e Event) bool { return e.PastWindow }),
	})
	return err
}

// array is one column of the events.
func array[T string | int | int64 | bool | []byte](events []Event, of func(e Event) T) string {
	column := make([]T, len(events))
	for i, e := range events {
		column[i] = of(e)
	}
	return once.Array(column)
}

// Fold returns the INSERT that appends one event from within the caller's own
// data-modifying statement, one row for each row of from:
//
//	WITH changed AS (UPDATE parcels SET …, version = version + 1 WHERE … RETURNING version)
//	` + table.Fold("changed", "changed.version") + `
//
// Its parameters are those of [Event.Args]. Use it where a round trip counts;
// where the update changes no row, no event is written.
func (t Table) Fold(from, versionExpr string) string {
	return t.written(`INSERT INTO {outbox_events} (row_id, event_id, <scope>, correlation_id,
  aggregate_type, aggregate_id, aggregate_version, type, payload, traceparent, partition_no)
SELECT @event_row, @event, @event_scope, @event_correlation, @event_aggregate_type, @event_aggregate,
  ` + versionExpr + `, @event_type, @event_payload, @event_trace, @event_partition
FROM ` + from)
}

// Args are the event's parameters for [Table.Fold]. The aggregate version is not among
// them, and a fold has no destination.
func (e Event) Args() once.Args {
	return once.Args{
		"event_row": e.row(), "event": e.ID, "event_scope": once.OrNull(e.Scope), "event_correlation": once.OrNull(e.Correlation),
		"event_aggregate_type": e.AggregateType, "event_aggregate": e.AggregateID, "event_type": e.Type,
		"event_payload": e.Payload, "event_trace": e.Traceparent, "event_partition": e.partition(),
	}
}
