package outbox

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/envelope"
	"payonce/once/rabbit"
)

// row is an unpublished event as the relay reads it.
type row struct {
	RowID            uuid.UUID      `db:"row_id"`
	EventID          uuid.UUID      `db:"event_id"`
	Destination      sql.NullString `db:"destination"`
	Scope            uuid.NullUUID  `db:"merchant_id"`
	Correlation      uuid.NullUUID  `db:"correlation_id"`
	AggregateID      uuid.UUID      `db:"aggregate_id"`
	AggregateVersion int64          `db:"aggregate_version"`
	Type             string         `db:"type"`
	Payload          []byte         `db:"payload"`
	Traceparent      string         `db:"traceparent"`
	Partition        int            `db:"partition_no"`
	Seq              int64          `db:"seq"`
	Replay           int            `db:"replay_no"`
	PastWindow       bool           `db:"past_window"`
	CreatedAt        time.Time      `db:"created_at"`
}

func (r row) isReplay() bool { return r.Destination.Valid }

// lane is what the event waits in line with: its aggregate's events, or nothing,
// when it is a replay.
func (r row) lane() uuid.UUID {
	if r.isReplay() {
		return r.RowID
	}
	return r.AggregateID
}

// route is where the event goes: everybody bound for its type, or one queue.
func (r row) route() (exchange, key string) {
	if r.isReplay() {
		return "", r.Destination.String
	}
	return Exchange, r.Type
}

func (r row) message(source string) rabbit.Message {
	exchange, key := r.route()
	at := r.CreatedAt
	if r.isReplay() {
		at = bornAt(r.EventID, at)
	}
	return patterns.Format.Message(envelope.Envelope{
		EventID: r.EventID.String(), Type: r.Type, Source: source, AggregateID: r.AggregateID.String(), AggregateVersion: r.AggregateVersion,
		Scope: patterns.Text(r.Scope.UUID), Correlation: patterns.Text(r.Correlation.UUID), Time: at, Traceparent: r.Traceparent, Attempt: 1,
		Payload: r.Payload, Replay: r.Replay, PastWindow: r.PastWindow,
	}, exchange, key)
}

// bornAt is an event's own time, which its UUIDv7 carries: a replay's row is
// younger than its event.
func bornAt(event uuid.UUID, otherwise time.Time) time.Time {
	if event.Version() != 7 {
		return otherwise
	}
	return time.Unix(event.Time().UnixTime())
}

// Each partition asked for is one short walk along the index, in the order
// given; the LIMIT stops the walk, so a page holds what one relay can use and
// nothing of what others own, however much that is. Order matters within an
// aggregate only, and an aggregate lies in one partition.
//
// A partition's position is a hint that spares the dead index entries of what
// was published before, which an old open transaction keeps alive (6 to 24 ms
// each time). It is only a hint: a sequence is not commit order, and a relay that
// pages by it loses what commits late (347 of 1,881 events). So the same query
// runs with 0 often enough.
const fetchRows = `
SELECT e.row_id, e.event_id, e.destination, e.merchant_id, e.correlation_id, e.aggregate_id, e.aggregate_version,
  e.type, e.payload, e.traceparent, e.partition_no, e.seq, e.created_at, e.replay_no, e.past_window
FROM unnest($1::smallint[], $2::bigint[]) AS asked (partition_no, after)
CROSS JOIN LATERAL (
  SELECT row_id, event_id, destination, merchant_id, correlation_id, aggregate_id, aggregate_version,
    type, payload, traceparent, partition_no, seq, created_at, replay_no, past_window
  FROM outbox_events
  WHERE published_at IS NULL AND partition_no = asked.partition_no AND seq > asked.after
    -- Read before, not marked yet. A subquery is hashed; an array that comes as a
    -- parameter is searched from its beginning for every row (23 ms, now 2).
    AND seq NOT IN (SELECT unnest($4::bigint[]))
    AND CASE WHEN destination IS NULL THEN aggregate_id ELSE row_id END <> ALL ($5::uuid[]) -- held back
  ORDER BY seq
  LIMIT $3
) AS e
LIMIT $3`

// request is one page to be read.
type request struct {
	partitions []int
	after      []int64 // a position for each of them
	limit      int
	seqs       []int64     // left out
	aggregates []uuid.UUID // left out
}

func fetch(ctx context.Context, db *postgres.DB, q request) ([]row, error) {
	asked := make([]int64, len(q.partitions))
	for i, p := range q.partitions {
		asked[i] = int64(p)
	}
	held := make([]string, len(q.aggregates))
	for i, id := range q.aggregates {
		held[i] = id.String()
	}
	var rows []row
	err := db.Select(ctx, &rows, fetchRows, pq.Array(asked), pq.Array(q.after), q.limit, pq.Array(q.seqs), pq.Array(held))
	return rows, err
}

// A second run finds the rows published and changes nothing. The range says
// nothing new, but lets the planner leave out the other days' partitions, which
// it cannot do for an array. What is marked together has one time, so that times
// never say that a later event of an aggregate left before an earlier one.
var markRows = postgres.Guarded("outbox.mark", `
UPDATE outbox_events SET published_at = statement_timestamp()
WHERE row_id = ANY ($1::uuid[]) AND row_id BETWEEN $2::uuid AND $3::uuid
  AND published_at IS NULL -- the guard`)

func mark(ctx context.Context, db *postgres.DB, rows []row) (int64, error) {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.RowID.String()
	}
	return markRows.Exec(ctx, db, pq.Array(ids), slices.Min(ids), slices.Max(ids))
}
