package saga

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/once/inbox"
)

// Errors of a saga's store.
var (
	ErrNotFound = errors.New("saga: no such saga")
	// ErrSettled says that a person's decision came too late: somebody or
	// something was first.
	ErrSettled = errors.New("saga: not stuck, there is nothing to decide")
	// ErrNoWayBack says that a saga whose pivot is done cannot be declared undone,
	// nor one done whose pivot was never reached.
	ErrNoWayBack = errors.New("saga: the pivot says otherwise")
	errRivals    = errors.New("saga: other orchestrators were faster every time")
)

const (
	insertSQL = `
INSERT INTO sagas (id, merchant_id, correlation_id, definition, subject_id, data, state, direction, position, due_at, traceparent)
VALUES ($1, $2, $3, $4, $5, $6, 'running', 'do', -1, clock_timestamp() + $7::float8 * interval '1 second', $8)`

	insertStepSQL = `
INSERT INTO saga_steps (saga_id, step, direction, position, status) VALUES ($1, $2, 'do', $3, $4)`
)

// Open writes a saga in the caller's transaction, together with what it is
// about. The caller appends the start event in the same transaction; should that
// event never arrive, the timer begins the saga after the first step's deadline.
// Steps named in skip are left out.
func (d Definition) Open(ctx context.Context, tx postgres.Tx, s Saga, skip ...string) error {
	if !json.Valid(s.Data) {
		return errors.New("saga: the data of a saga is a JSON value")
	}
	if _, err := tx.Exec(ctx, insertSQL, s.ID, s.Scope, s.Correlation, d.Name, s.Subject, s.Data,
		d.Steps[0].Deadline.Seconds(), telemetry.Traceparent(ctx)); err != nil {
		return err
	}
	for i, step := range d.Steps {
		status := Pending
		if slices.Contains(skip, step.Name) {
			status = Skipped
		}
		if _, err := tx.Exec(ctx, insertStepSQL, s.ID, step.Name, i, status); err != nil {
			return err
		}
	}
	return nil
}

const sagaColumns = `SELECT g.id, g.merchant_id, g.correlation_id, g.definition, g.subject_id, g.data, g.state, g.direction, g.position, g.version,
       g.sent, g.alerted, g.failure, g.traceparent, g.resolved_by, g.resolved_why, g.created_at, g.finished_at,
       w.id AS "decision.id", coalesce(w.outcome, '') AS "decision.outcome", coalesce(w.state, '') AS "decision.state",
       coalesce(w.decided_by, '') AS "decision.decided_by", coalesce(w.reason, '') AS "decision.reason",
       coalesce(w.found, '') AS "decision.found", w.decided_at AS "decision.decided_at"
  FROM sagas g
  LEFT JOIN LATERAL (SELECT d.* FROM saga_decisions d WHERE d.saga_id = g.id ORDER BY d.id DESC LIMIT 1) w ON true`

const (
	byIDSQL      = sagaColumns + ` WHERE g.id = $1`
	bySubjectSQL = sagaColumns + ` WHERE g.definition = $1 AND g.subject_id = $2`
	tracksSQL    = `
SELECT step, direction, position, status, attempts, late, error, deadline_at, started_at, finished_at
  FROM saga_steps WHERE saga_id = $1
 ORDER BY direction, CASE direction WHEN 'do' THEN position ELSE -position END`
)

// Read returns a saga with its history: the way forward, then the way back, each
// in its order.
func Read(ctx context.Context, q postgres.Reader, id uuid.UUID) (Saga, error) {
	return read(ctx, q, byIDSQL, id)
}

func read(ctx context.Context, q postgres.Reader, query string, args ...any) (Saga, error) {
	var s Saga
	err := q.Get(ctx, &s, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return s, ErrNotFound
	}
	if err != nil {
		return s, err
	}
	return s, q.Select(ctx, &s.Tracks, tracksSQL, s.ID)
}

const newestSQL = sagaColumns + `
 WHERE ($1::uuid IS NULL OR g.merchant_id = $1) AND ($2::uuid IS NULL OR g.id < $2) ORDER BY g.id DESC LIMIT $3`

// Newest lists sagas with their history, newest first, of one scope or, without
// one, of all.
func Newest(ctx context.Context, q postgres.Reader, scope, before uuid.NullUUID, limit int) ([]Saga, error) {
	var all []Saga
	if err := q.Select(ctx, &all, newestSQL, scope, before, limit); err != nil {
		return nil, err
	}
	for i := range all {
		if err := q.Select(ctx, &all[i].Tracks, tracksSQL, all[i].ID); err != nil {
			return nil, err
		}
	}
	return all, nil
}

const (
	// Guarded by the version that was read: of two orchestrators that read the
	// same saga one changes it, and the other one finds no row and reads again.
	updateSQL = `
UPDATE sagas
   SET state = $3, direction = $4, position = $5, version = version + 1, sent = $6, alerted = $7, failure = $8,
       due_at = CASE WHEN $9::float8 > 0 THEN clock_timestamp() + $9::float8 * interval '1 second' END,
       finished_at = CASE WHEN $10::boolean THEN clock_timestamp() END, resolved_by = $11, resolved_why = $12
 WHERE id = $1 AND version = $2`

	// A late reply is a note in the margin: it moves no deadline.
	touchSQL = `UPDATE sagas SET version = version + 1 WHERE id = $1 AND version = $2`

	upsertStepSQL = `
INSERT INTO saga_steps AS t (saga_id, step, direction, position, status, attempts, late, error, deadline_at, started_at, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
        CASE WHEN $9::float8 > 0 THEN clock_timestamp() + $9::float8 * interval '1 second' END,
        CASE WHEN $5 NOT IN ('waiting', 'skipped') THEN clock_timestamp() END, CASE WHEN $5 IN ('done', 'failed') THEN clock_timestamp() END)
ON CONFLICT (saga_id, step, direction) DO UPDATE
   SET status = excluded.status, attempts = excluded.attempts, late = excluded.late, error = excluded.error,
       deadline_at = coalesce(excluded.deadline_at, t.deadline_at),
       started_at = coalesce(t.started_at, excluded.started_at),
       finished_at = CASE WHEN excluded.status = t.status THEN t.finished_at ELSE excluded.finished_at END`
)

// AlertStuck is about a saga that no reply and no retry moves on; its subject is
// the saga's name.
var AlertStuck = alert.Kind{
	Name:   "saga_stuck",
	Means:  "a saga needs a person: a step was refused where nothing may be undone, or its answer is overdue",
	Remedy: "`GET /v1/ops/sagas` says which step and why; retry it or decide: a decision that the outside contradicts is refused and says what was found",
	Ends:   "the saga, when it moves on or ends",
}

// Name is how a saga is called in alerts.
func (s Saga) Name() string { return "saga_" + hex.EncodeToString(s.ID[:]) }

// turns bounds how often a change is decided anew because a rival was faster.
const turns = 20

// advance reads a saga, decides and writes, all in tx. It returns what was
// decided, and s as it is now.
func (d Definition) advance(ctx context.Context, tx postgres.Tx, in input, query string, args ...any) (Saga, move, error) {
	for range turns {
		s, err := read(ctx, tx, query, args...)
		if err != nil {
			return s, move{}, err
		}
		before := s.State
		m, err := d.react(ctx, tx, &s, in)
		if err != nil {
			return s, m, err
		}
		won, err := d.write(ctx, tx, &s, before, m)
		if err != nil || won {
			return s, m, err
		}
	}
	return Saga{}, move{}, errRivals
}

// react is next, with the condition of each step that the saga comes to.
func (d Definition) react(ctx context.Context, tx postgres.Tx, s *Saga, in input) (move, error) {
	m := d.next(s, in)
	eased := m.eased
	for m.ask != nil {
		ready, err := d.Steps[m.ask.Position].Condition(ctx, tx, *s)
		if err != nil {
			return m, err
		}
		m = d.next(s, input{kind: judged, ready: ready})
	}
	m.eased = m.eased || eased
	return m, nil
}

// write makes a decision durable: state, history, command and alert, or nothing
// when the version has moved on.
func (d Definition) write(ctx context.Context, tx postgres.Tx, s *Saga, before State, m move) (won bool, err error) {
	if m.send != nil {
		s.Sent++
		if err := fault.Point(pointBefore(m.send.Direction), s.Correlation, s.Scope); err != nil {
			return false, err
		}
	}
	s.Alerted = m.alert != "" || s.Alerted && !m.eased && !s.State.Final()
	var n int64
	if m == (move{}) && before == s.State {
		n, err = tx.Exec(ctx, touchSQL, s.ID, s.Version)
	} else {
		n, err = tx.Exec(ctx, updateSQL, s.ID, s.Version, s.State, s.Direction, s.Position, s.Sent, s.Alerted, s.Failure,
			d.due(m), s.State.Final(), s.ResolvedBy, s.ResolvedWhy)
	}
	if err != nil || n != 1 {
		return false, err
	}
	s.Version++
	if err := d.writeTracks(ctx, tx, s, m); err != nil {
		return true, err
	}
	return true, d.follow(ctx, tx, s, m)
}

// due is the number of seconds after which the timer looks, 0 for never.
func (d Definition) due(m move) float64 {
	switch {
	case m.send != nil:
		return d.patience(m.send).Seconds()
	case m.wait != nil:
		return d.Steps[m.wait.Position].Deadline.Seconds()
	}
	return 0
}

// mostPatience bounds how much longer than at first a step is waited for, as a
// power of two.
const mostPatience = 2

// patience is how long a command may go unanswered. Where it is asked for ever it
// is asked less and less often: behind a queue that is slow, copies of what waits
// there already would only make it slower.
func (d Definition) patience(t *Track) time.Duration {
	wait := d.Steps[t.Position].Deadline
	if t.Direction == Do && t.Position < d.pivot() {
		return wait
	}
	return wait << min(max(t.Attempts-1, 0), mostPatience)
}

func (d Definition) writeTracks(ctx context.Context, tx postgres.Tx, s *Saga, m move) error {
	for i := range s.Tracks {
		t := &s.Tracks[i]
		if !t.changed {
			continue
		}
		deadline := 0.0
		if t == m.send || t == m.wait {
			deadline = d.due(m)
		}
		if _, err := tx.Exec(ctx, upsertStepSQL, s.ID, t.Step, t.Direction, t.Position, t.Status, t.Attempts, t.Late, t.Error, deadline); err != nil {
			return err
		}
	}
	return nil
}

// follow writes what a decision brings about: the command, the alert, the end.
func (d Definition) follow(ctx context.Context, tx postgres.Tx, s *Saga, m move) error {
	if m.eased || m.ended {
		if _, err := alert.Resolve(ctx, tx, s.Name(), AlertStuck); err != nil {
			return err
		}
	}
	if m.alert != "" {
		if err := AlertStuck.Raise(ctx, tx, s.Scope, s.Name(), d.facts(s, m.alert)); err != nil {
			return err
		}
	}
	if m.send != nil {
		e, err := d.command(s, m.send, m.again)
		if err != nil {
			return err
		}
		return patterns.Append(ctx, tx, e)
	}
	if m.ended {
		return d.Ended(ctx, tx, *s)
	}
	return nil
}

func pointBefore(d Direction) string {
	if d == Undo {
		return "saga.before_undo"
	}
	return "saga.before_step"
}

// inputOf reads what a message says to which saga.
func (d Definition) inputOf(m inbox.Message) (in input, query string, args []any, err error) {
	switch m.Type {
	case d.Start:
		return input{kind: begun}, bySubjectSQL, []any{d.Name, m.AggregateID}, nil
	case d.Signal:
		return input{kind: signalled}, "", []any{patterns.ID(m.Correlation)}, nil
	}
	r, ok, err := readReply(m)
	if err == nil && d.position(r.Step) < 0 {
		err = fmt.Errorf("%s has no step %q", d.Name, r.Step)
	}
	return input{kind: replied, step: r.Step, direction: r.Direction, ok: ok, reason: r.Reason}, byIDSQL, []any{r.Saga}, err
}
