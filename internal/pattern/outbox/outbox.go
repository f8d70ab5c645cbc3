package outbox

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/once"
)

// Exchange is where the relay publishes; a consumer's queue is bound to it by
// the types it wants.
const Exchange = "payonce.events"

// Event is one fact, written in the transaction that makes it true.
type Event struct {
	// ID is a UUIDv7; it names the event for ever and is what consumers dedupe
	// by.
	ID uuid.UUID
	// Destination is empty for an event that everybody bound may have. A replay
	// names the one queue that it is for.
	Destination string
	// Replay counts how often a person has sent the event again; PastWindow says
	// that the person knows that a reader's dedupe may have forgotten it.
	Replay     int
	PastWindow bool
	// Scope is whose it is; Correlation is the story it belongs to, whatever
	// its aggregate. Either may be the zero id.
	Scope       uuid.UUID
	Correlation uuid.UUID

	AggregateType string
	AggregateID   uuid.UUID
	// AggregateVersion counts the aggregate's events from 1 without gaps, and
	// is drawn while the aggregate's row is locked. [Fold] takes it from the
	// statement instead.
	AggregateVersion int64

	Type    string // noun.past_tense
	Payload []byte
	// Traceparent is the trace the event continues; empty means the context's.
	Traceparent string
}

var errIncomplete = errors.New("outbox: an event needs an id, an aggregate, a type and a payload")

func (e Event) check() error {
	if e.ID == uuid.Nil || e.AggregateID == uuid.Nil || e.AggregateType == "" || e.Type == "" || e.Payload == nil {
		return fmt.Errorf("%w: %q of %s %s", errIncomplete, e.Type, e.AggregateType, e.AggregateID)
	}
	return nil
}

func (e Event) partition() int {
	h := fnv.New32a()
	_, _ = h.Write(e.AggregateID[:])
	return int(h.Sum32() % partitions)
}

func (e Event) trace(ctx context.Context) string {
	if e.Traceparent != "" {
		return e.Traceparent
	}
	return telemetry.Traceparent(ctx)
}

// The empty strings become NULL here, because a text array holds them more
// easily than nulls. seq is drawn in the order of the arguments.
const appendEvents = `
INSERT INTO outbox_events (row_id, event_id, destination, merchant_id, correlation_id,
  aggregate_type, aggregate_id, aggregate_version, type, payload, traceparent, partition_no, replay_no, past_window)
SELECT e.row_id, e.event_id, nullif(e.destination, ''), nullif(e.merchant_id, '')::uuid, nullif(e.correlation_id, '')::uuid,
  e.aggregate_type, e.aggregate_id, e.aggregate_version, e.type, e.payload, e.traceparent, e.partition_no, e.replay_no, e.past_window
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::bigint[],
  $9::text[], $10::bytea[], $11::text[], $12::smallint[], $13::integer[], $14::boolean[]) WITH ORDINALITY AS e
  (row_id, event_id, destination, merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version,
   type, payload, traceparent, partition_no, replay_no, past_window, place)
ORDER BY e.place`

// Append writes events in the caller's transaction, in one round trip. When tx
// commits they will be published at least once; when it does not, never. The
// caller holds the lock on each event's aggregate, or the events of one
// aggregate may be published in another order than they committed in.
func Append(ctx context.Context, tx postgres.Tx, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	n := len(events)
	rows, ids, aggregates := make([]string, n), make([]string, n), make([]string, n)
	destinations, scopes, stories := make([]string, n), make([]string, n), make([]string, n)
	kinds, types, traces := make([]string, n), make([]string, n), make([]string, n)
	versions, shares, payloads := make([]int64, n), make([]int64, n), make([][]byte, n)
	replays, past := make([]int64, n), make([]bool, n)
	for i, e := range events {
		if err := e.check(); err != nil {
			return err
		}
		row := e.ID
		if e.Destination != "" { // A replay is a second row about the same event.
			var err error
			if row, err = uuid.NewV7(); err != nil {
				return err
			}
		}
		rows[i], ids[i], aggregates[i] = row.String(), e.ID.String(), e.AggregateID.String()
		destinations[i], scopes[i], stories[i] = e.Destination, orEmpty(e.Scope), orEmpty(e.Correlation)
		kinds[i], types[i], traces[i] = e.AggregateType, e.Type, e.trace(ctx)
		versions[i], shares[i], payloads[i] = e.AggregateVersion, int64(e.partition()), e.Payload
		replays[i], past[i] = int64(e.Replay), e.PastWindow
	}
	_, err := tx.Exec(ctx, appendEvents, pq.Array(rows), pq.Array(ids), pq.Array(destinations), pq.Array(scopes),
		pq.Array(stories), pq.Array(kinds), pq.Array(aggregates), pq.Array(versions), pq.Array(types),
		pq.Array(payloads), pq.Array(traces), pq.Array(shares), pq.Array(replays), pq.Array(past))
	return err
}

func orEmpty(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// Fold returns the INSERT that appends one event from within the caller's own
// data-modifying statement, one row for each row of from:
//
//	WITH changed AS (UPDATE orders SET …, version = version + 1 WHERE … RETURNING version)
//	` + Fold("changed", "changed.version") + `
//
// Its parameters are those of [Event.Args]. Use it where a round trip counts;
// where the update changes no row, no event is written.
func Fold(from, versionExpr string) string {
	return `INSERT INTO outbox_events (row_id, event_id, merchant_id, correlation_id,
  aggregate_type, aggregate_id, aggregate_version, type, payload, traceparent, partition_no)
SELECT @event::uuid, @event::uuid, @event_scope::uuid, @event_correlation::uuid, @event_aggregate_type::text, @event_aggregate::uuid,
  ` + versionExpr + `, @event_type::text, @event_payload::bytea, @event_trace::text, @event_partition::smallint
FROM ` + from
}

// Args are the event's parameters for [Fold]. The aggregate version is not among
// them, and a fold has no destination.
func (e Event) Args(ctx context.Context) once.Args {
	return once.Args{
		"event": e.ID, "event_scope": orNull(e.Scope), "event_correlation": orNull(e.Correlation),
		"event_aggregate_type": e.AggregateType, "event_aggregate": e.AggregateID, "event_type": e.Type,
		"event_payload": e.Payload, "event_trace": e.trace(ctx), "event_partition": e.partition(),
	}
}

func orNull(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id
}
