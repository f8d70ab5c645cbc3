package delivery

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
)

// AlertNotApplied is about a consumer, which is its subject.
var AlertNotApplied = alert.Kind{
	Name:   "event_not_applied",
	Means:  "events that the broker has confirmed were not applied by a consumer in time",
	Remedy: "does the consumer run? If the broker lost them: `POST /v1/ops/events/resend` with the consumer and the times of the facts",
	Ends:   "the watch, when the last of them is applied, or the consumer is merely behind with them",
}

// NotApplied is the condition under which event e of the outbox has not reached
// consumer b, and nothing that is younger than grace (an expression, in seconds)
// explains it.
func NotApplied(grace string) string {
	return `NOT EXISTS (SELECT FROM consumer_inbox i WHERE i.consumer = b.consumer AND i.event_id = e.event_id)
   -- A person had it applied by its business key, past the inbox's memory.
   AND NOT e.past_window
   AND NOT EXISTS (SELECT FROM outbox_events r WHERE r.aggregate_id = e.aggregate_id AND r.event_id = e.event_id
     AND r.destination = b.consumer AND r.past_window AND r.published_at IS NOT NULL)
   -- Open, given up by a person who said why, or sent again a moment ago.
   AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.consumer = b.consumer AND d.event_id = e.event_id::text
     AND (d.state = 'open' OR d.closed_at > clock_timestamp() - ` + grace + ` * interval '1 second'
          OR d.state = 'discarded' AND EXISTS (SELECT FROM dead_letter_decisions w WHERE w.letter_id = d.id AND w.action = 'discard')))`
}

// Bindings lists who owes an inbox row for what, as rows of (consumer, type). The
// lossy journal owes none.
func Bindings() string {
	var rows []string
	for _, c := range event.Consumers {
		for _, kind := range c.Types {
			if !c.Lossy {
				rows = append(rows, "('"+c.Name+"', '"+kind+"')")
			}
		}
	}
	return strings.Join(rows, ", ")
}

// Watch looks whether published events were applied.
type Watch struct {
	DB *postgres.DB
	// Patience is how long an event may take from its publication.
	Patience time.Duration
	Every    time.Duration
	Log      *slog.Logger
}

const (
	page    = 5_000
	pages   = 20     // in one run
	mostOut = 10_000 // rows kept aside because they were not published
)

// Run watches until ctx ends.
func (w Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for {
		if err := w.RunOnce(ctx); err != nil && ctx.Err() == nil {
			w.Log.Warn("published events were not looked at", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// RunOnce looks at what is due, all of it in one transaction, or at nothing when
// another process has the turn.
func (w Watch) RunOnce(ctx context.Context) error {
	return postgres.InTx(ctx, w.DB, func(tx postgres.Tx) error {
		l := look{tx: tx, patience: w.Patience.Seconds()}
		switch err := l.begin(ctx); {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		return l.rest(ctx)
	})
}

// look is one run.
type look struct {
	tx       postgres.Tx
	patience float64
	position uuid.UUID
	waiting  []string
}

func (l *look) rest(ctx context.Context) error {
	for _, step := range []func(context.Context) error{l.again, l.onward, l.settle, l.alert} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	_, err := l.tx.Exec(ctx, `UPDATE delivery_watch SET position = $1, waiting = $2::uuid[]`, l.position, pq.Array(l.waiting))
	return err
}

// Compiling a plan over every day's partitions takes seconds and saves nothing.
const noCompilerSQL = `SET LOCAL jit = off`

func (l *look) begin(ctx context.Context) error {
	if _, err := l.tx.Exec(ctx, noCompilerSQL); err != nil {
		return err
	}
	var at struct {
		Position uuid.UUID      `db:"position"`
		Waiting  pq.StringArray `db:"waiting"`
	}
	err := l.tx.Get(ctx, &at, `SELECT position, waiting::text[] AS waiting FROM delivery_watch FOR UPDATE SKIP LOCKED`)
	l.position, l.waiting = at.Position, at.Waiting
	return err
}

// seen is a row of the outbox; one that is due was published long enough ago.
type seen struct {
	ID  uuid.UUID `db:"row_id"`
	Due bool      `db:"due"`
}

const againSQL = `
SELECT row_id, coalesce(published_at < clock_timestamp() - $1::float8 * interval '1 second', false) AS due
  FROM outbox_events WHERE row_id = ANY ($2::uuid[])`

// again looks at what was not published when the watch passed. A row that is gone
// was taken back, or its day was dropped.
func (l *look) again(ctx context.Context) error {
	if len(l.waiting) == 0 {
		return nil
	}
	var rows []seen
	if err := l.tx.Select(ctx, &rows, againSQL, l.patience, pq.Array(l.waiting)); err != nil {
		return err
	}
	l.waiting = []string{} // never NULL in SQL
	return l.judge(ctx, rows)
}

const onwardSQL = `
SELECT row_id, coalesce(published_at < clock_timestamp() - $1::float8 * interval '1 second', false) AS due
  FROM outbox_events
 WHERE row_id > $2 AND row_id < uuid_v7_floor(clock_timestamp() - $1::float8 * interval '1 second')
 ORDER BY row_id LIMIT $3`

// onward goes through what has become old enough since. With too much kept aside
// the relay publishes nothing, which has an alert of its own.
func (l *look) onward(ctx context.Context) error {
	for n := 0; n < pages && len(l.waiting) < mostOut; n++ {
		var rows []seen
		if err := l.tx.Select(ctx, &rows, onwardSQL, l.patience, l.position, page); err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		l.position = rows[len(rows)-1].ID
		if err := l.judge(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

var missedSQL = `
INSERT INTO missed_events (consumer, row_id, event_id, published_at)
SELECT b.consumer, e.row_id, e.event_id, e.published_at
  FROM outbox_events e
  JOIN (VALUES ` + Bindings() + `) AS b (consumer, type) ON b.type = e.type AND b.consumer = coalesce(e.destination, b.consumer)
 WHERE e.row_id = ANY ($2::uuid[])
   AND ` + NotApplied("$1::float8") + `
ON CONFLICT DO NOTHING`

// judge writes down what was missed of the rows that are due, and keeps the others
// aside.
func (l *look) judge(ctx context.Context, rows []seen) error {
	var due []string
	for _, r := range rows {
		if r.Due {
			due = append(due, r.ID.String())
		} else {
			l.waiting = append(l.waiting, r.ID.String())
		}
	}
	if len(due) == 0 {
		return nil
	}
	_, err := l.tx.Exec(ctx, missedSQL, l.patience, pq.Array(due))
	return err
}

// What is still missed is found for all of them at once: asked one by one, each may
// have a whole day's table read for it.
var settledSQL = `
WITH b AS MATERIALIZED (
  SELECT consumer, row_id FROM missed_events ORDER BY row_id LIMIT $2
), still AS MATERIALIZED (
  SELECT b.consumer, b.row_id FROM b JOIN outbox_events e ON e.row_id = b.row_id
   WHERE ` + NotApplied("$1::float8") + `
)
DELETE FROM missed_events m
 USING b
 WHERE m.consumer = b.consumer AND m.row_id = b.row_id
   AND NOT EXISTS (SELECT FROM still s WHERE s.consumer = b.consumer AND s.row_id = b.row_id)`

// settle forgets what was applied meanwhile.
func (l *look) settle(ctx context.Context) error {
	_, err := l.tx.Exec(ctx, settledSQL, l.patience, page)
	return err
}

// A consumer is behind while it applies events and all of them left before the missed
// one: that is still to come. When it has applied what left a patience later, or has
// stopped, the event was lost or the consumer hangs. What it has in hand no queue
// shows, hence the half minute when the queue is empty, or was not looked at.
const summarySQL = `
WITH pace AS MATERIALIZED (
  SELECT c.consumer, max(i.processed_at) AS applied, coalesce(max(e.published_at), '-infinity') AS reached,
         CASE WHEN EXISTS (SELECT FROM queue_samples q WHERE q.queue = c.consumer AND q.ready > 0
                              AND q.sampled_at > clock_timestamp() - interval '30 seconds')
              THEN $1::float8 ELSE least($1::float8, 30) END AS pause
    FROM (SELECT DISTINCT consumer FROM missed_events) AS c,
         LATERAL (SELECT event_id, processed_at FROM consumer_inbox
                   WHERE consumer = c.consumer ORDER BY event_id DESC LIMIT 100) AS i
    LEFT JOIN outbox_events e ON e.row_id = i.event_id
   GROUP BY c.consumer
)
SELECT m.consumer, count(*) AS events, min(m.row_id::text) AS first, max(m.row_id::text) AS last
  FROM missed_events m LEFT JOIN pace p ON p.consumer = m.consumer
 WHERE (p.applied > clock_timestamp() - p.pause * interval '1 second'
        AND p.reached <= m.published_at + $1::float8 * interval '1 second') IS NOT TRUE
 GROUP BY m.consumer ORDER BY m.consumer`

// alert keeps one alert for each consumer that missed events and is not merely
// behind, and ends the others.
func (l *look) alert(ctx context.Context) error {
	var all []struct {
		Consumer string    `db:"consumer"`
		Events   int64     `db:"events"`
		First    uuid.UUID `db:"first"`
		Last     uuid.UUID `db:"last"`
	}
	if err := l.tx.Select(ctx, &all, summarySQL, l.patience); err != nil {
		return err
	}
	missed := make([]string, 0, len(all))
	for _, c := range all {
		missed = append(missed, c.Consumer)
		facts := map[string]any{
			"consumer": c.Consumer, "events": c.Events,
			"from": born(c.First).Format(time.RFC3339), "until": born(c.Last).Add(time.Second).Format(time.RFC3339),
		}
		if err := AlertNotApplied.Keep(ctx, l.tx, uuid.Nil, c.Consumer, facts); err != nil {
			return err
		}
	}
	return AlertNotApplied.ResolveWhere(ctx, l.tx, `subject <> ALL ($2::text[])`, pq.Array(missed))
}

// born is when a row came into being, which its UUIDv7 says, in whole seconds.
func born(row uuid.UUID) time.Time {
	return time.Unix(row.Time().UnixTime()).UTC().Truncate(time.Second)
}
