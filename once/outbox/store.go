package outbox

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/message"
)

// row is an unpublished event as the relay reads it.
type row struct {
	RowID            string
	EventID          string
	Destination      string // "" for an event that goes to each queue bound
	Scope            string
	Correlation      string
	AggregateID      string
	AggregateVersion int64
	Type             string
	Payload          []byte
	Traceparent      string
	Partition        int
	Seq              int64
	Replay           int
	PastWindow       bool
	CreatedAt        time.Time
}

// rowAt are the columns of fetchRows, in their order.
func rowAt(r *row) []any {
	return []any{&r.RowID, &r.EventID, once.Optional(&r.Destination), once.Optional(&r.Scope), once.Optional(&r.Correlation), &r.AggregateID,
		&r.AggregateVersion, &r.Type, &r.Payload, &r.Traceparent, &r.Partition, &r.Seq, &r.CreatedAt, &r.Replay, &r.PastWindow}
}

func (r row) isReplay() bool { return r.Destination != "" }

// lane is what the event waits in line with: its aggregate's events, or nothing,
// when it is a replay.
func (r row) lane() string {
	if r.isReplay() {
		return r.RowID
	}
	return r.AggregateID
}

// route is where the event goes: each queue bound for its type, or one.
func (r row) route(events string) (exchange, key string) {
	if r.isReplay() {
		return "", r.Destination
	}
	return events, r.Type
}

func (r row) message(cfg *Config) message.Message {
	exchange, key := r.route(cfg.Names.Exchange)
	at := r.CreatedAt
	if r.isReplay() {
		at = bornAt(r.EventID, at)
	}
	return cfg.Format.Message(envelope.Envelope{
		EventID: r.EventID, Type: r.Type, Source: cfg.Source, AggregateID: r.AggregateID, AggregateVersion: r.AggregateVersion,
		Scope: r.Scope, Correlation: r.Correlation, Time: at, Traceparent: r.Traceparent, Attempt: 1, Payload: r.Payload,
		Replay: r.Replay, PastWindow: r.PastWindow,
	}, exchange, key)
}

// event is what those who watch see of it.
func (r row) event() Event {
	return Event{
		ID: r.EventID, Destination: r.Destination, Replay: r.Replay, PastWindow: r.PastWindow, Scope: r.Scope, Correlation: r.Correlation,
		AggregateID: r.AggregateID, AggregateVersion: r.AggregateVersion, Type: r.Type, Payload: r.Payload, Traceparent: r.Traceparent,
	}
}

// bornAt is an event's own time, which a UUIDv7 carries: a replay's row is
// younger than its event.
func bornAt(event string, otherwise time.Time) time.Time {
	id, err := uuid.Parse(event)
	if err != nil || id.Version() != 7 {
		return otherwise
	}
	return time.Unix(id.Time().UnixTime())
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
SELECT e.row_id, e.event_id, e.destination, e.<scope>, e.correlation_id, e.aggregate_id, e.aggregate_version,
  e.type, e.payload, e.traceparent, e.partition_no, e.seq, e.created_at, e.replay_no, e.past_window
FROM unnest(CAST(@partitions AS smallint[]), CAST(@after AS bigint[])) AS asked (partition_no, after)
CROSS JOIN LATERAL (
  SELECT row_id, event_id, destination, <scope>, correlation_id, aggregate_id, aggregate_version,
    type, payload, traceparent, partition_no, seq, created_at, replay_no, past_window
  FROM {outbox_events}
  WHERE published_at IS NULL AND partition_no = asked.partition_no AND seq > asked.after
    AND row_id BETWEEN @first AND @last -- of which days: sixteen walks through each of a month's are 2 ms
    -- Read before, not marked yet. A subquery is hashed; an array that comes as a
    -- parameter is searched from its beginning for every row (23 ms, now 2).
    AND seq NOT IN (SELECT unnest(CAST(@seqs AS bigint[])))
    AND CASE WHEN destination IS NULL THEN aggregate_id ELSE CAST(row_id AS <id>) END <> ALL (CAST(@held AS <id>[])) -- held back
  ORDER BY seq
  LIMIT @most
) AS e
LIMIT @most`

// request is one page to be read.
type request struct {
	partitions []int
	after      []int64 // a position for each of them
	recent     bool    // only events that were written lately
	limit      int
	seqs       []int64  // left out
	aggregates []string // left out
}

// lately is how old an event may be that is read behind a hint, by the clocks of its writer
// and of the relay. What is older, or from the future, the scan from the start finds.
const lately = time.Hour

// rows is the range of row_id that a request is about. A UUIDv7 begins with its time.
func (q request) rows(now time.Time) (first, last string) {
	var low, high uuid.UUID
	for i := range high {
		high[i] = 0xff
	}
	if q.recent {
		binary.BigEndian.PutUint64(low[:8], uint64(now.Add(-lately).UnixMilli())<<16)
		binary.BigEndian.PutUint64(high[:8], uint64(now.Add(lately).UnixMilli())<<16|0xffff)
	}
	return low.String(), high.String()
}

func (q request) args(now time.Time) once.Args {
	first, last := q.rows(now)
	return once.Args{
		"partitions": once.Array(q.partitions), "after": once.Array(q.after), "first": first, "last": last, "most": q.limit,
		"seqs": once.Array(q.seqs), "held": once.Array(q.aggregates),
	}
}

func (t Table) fetch(ctx context.Context, db once.DB, q request) ([]row, error) {
	// The clock says only which days are looked at; a scan looks at all.
	rows, err := t.in(fetchRows).Read(ctx, db, q.args(time.Now())) //nolint:forbidigo // see above
	return once.All(rows, err, rowAt)
}

// The range says nothing new, but lets the planner leave out the other days' partitions,
// which it cannot do for an array. What is marked together has one time, so that times
// never say that a later event of an aggregate left before an earlier one. Marked a second
// time, rows stay as they are.
const markRows = `
UPDATE {outbox_events} SET published_at = statement_timestamp()
WHERE row_id = ANY (CAST(@rows AS uuid[])) AND row_id BETWEEN @first AND @last
  AND published_at IS NULL`

func (t Table) mark(ctx context.Context, db once.DB, rows []row) (marked int64, err error) {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.RowID
	}
	err = db.InTx(ctx, func(tx once.Tx) error {
		marked, err = t.in(markRows).Exec(ctx, tx, once.Args{"rows": once.Array(ids), "first": slices.Min(ids), "last": slices.Max(ids)})
		return err
	})
	return marked, err
}
