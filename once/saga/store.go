package saga

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/inbox"
)

// Errors of a saga's store.
var (
	ErrNotFound = errors.New("saga: no such saga")
	// ErrSettled says that a person's decision came too late: another person's or
	// a reply was first.
	ErrSettled = errors.New("saga: not stuck, there is nothing to decide")
	// ErrNoWayBack says that a saga whose pivot is done cannot be declared undone,
	// nor one done whose pivot was never reached.
	ErrNoWayBack = errors.New("saga: the pivot says otherwise")
	errRivals    = errors.New("saga: other orchestrators were faster every time")
)

const (
	insertSQL = `
INSERT INTO {sagas} (id, <scope>, correlation_id, definition, subject_id, data, state, direction, position, due_at, traceparent)
VALUES (@saga, @whose, @correlation, @definition, @subject, @data, 'running', 'do', -1,
        clock_timestamp() + CAST(@due AS float8) * interval '1 second', @trace)`

	insertStepSQL = `
INSERT INTO {saga_steps} (saga_id, step, direction, position, status) VALUES (@saga, @step, 'do', @position, @status)`
)

// Open writes a saga in the caller's transaction, together with what it is
// about. The caller appends the start event in the same transaction; should that
// event never arrive, the timer begins the saga after the first step's deadline.
// Steps named in skip are left out.
func (d Definition) Open(ctx context.Context, tx once.Tx, s Saga, skip ...string) error {
	if !json.Valid(s.Data) {
		return errors.New("saga: the data of a saga is a JSON value")
	}
	if s.ID == "" || s.Scope == "" || s.Correlation == "" || s.Subject == "" {
		return errors.New("saga: a saga needs an id, a scope, a correlation and a subject; without tenants, one word is the scope of all")
	}
	if _, err := d.Store.in(insertSQL).Exec(ctx, tx, once.Args{
		"saga": s.ID, "whose": s.Scope, "correlation": s.Correlation, "definition": d.Name, "subject": s.Subject, "data": s.Data,
		"due": d.Steps[0].Deadline.Seconds(), "trace": d.Store.trace(ctx),
	}); err != nil {
		return err
	}
	for i, step := range d.Steps {
		if !envelope.Plain(s.ID + "/" + step.Name) {
			return errors.New("saga: id and step of a participation have 254 bytes together at most: " + step.Name)
		}
		status := Pending
		if slices.Contains(skip, step.Name) {
			status = Skipped
		}
		if _, err := d.Store.in(insertStepSQL).Exec(ctx, tx, once.Args{
			"saga": s.ID, "step": step.Name, "position": i, "status": string(status),
		}); err != nil {
			return err
		}
	}
	return nil
}

const sagaColumns = `SELECT g.id, g.<scope>, g.correlation_id, g.definition, g.subject_id, g.data, g.state, g.direction, g.position, g.version,
       g.sent, g.alerted, g.failure, g.traceparent, g.resolved_by, g.resolved_why, g.created_at, g.finished_at,
       w.id, coalesce(w.outcome, ''), coalesce(w.state, ''), coalesce(w.decided_by, ''), coalesce(w.reason, ''),
       coalesce(w.found, ''), w.decided_at
  FROM {sagas} g
  LEFT JOIN LATERAL (SELECT d.* FROM {saga_decisions} d WHERE d.saga_id = g.id ORDER BY d.id DESC LIMIT 1) w ON true`

// sagaAt are those columns, in their order.
func sagaAt(s *Saga) []any {
	w := &s.Decision
	return []any{&s.ID, &s.Scope, &s.Correlation, &s.Definition, &s.Subject, &s.Data, &s.State, &s.Direction, &s.Position, &s.Version,
		&s.Sent, &s.Alerted, &s.Failure, &s.Traceparent, &s.ResolvedBy, &s.ResolvedWhy, &s.CreatedAt, &s.FinishedAt,
		once.Optional(&w.ID), &w.Outcome, &w.State, &w.By, &w.Why, &w.Found, &w.DecidedAt}
}

const (
	byIDSQL      = sagaColumns + ` WHERE g.id = @saga`
	bySubjectSQL = sagaColumns + ` WHERE g.definition = @definition AND g.subject_id = @subject`
	tracksSQL    = `
SELECT step, direction, position, status, attempts, late, error, deadline_at, started_at, finished_at
  FROM {saga_steps} WHERE saga_id = @saga
 ORDER BY direction, CASE direction WHEN 'do' THEN position ELSE -position END`
)

func trackAt(t *Track) []any {
	return []any{&t.Step, &t.Direction, &t.Position, &t.Status, &t.Attempts, &t.Late, &t.Error, &t.DeadlineAt, &t.StartedAt, &t.FinishedAt}
}

// Read returns a saga with its history: the way forward, then the way back, each
// in its order.
func (s Store) Read(ctx context.Context, db once.DB, id string) (Saga, error) {
	return read(ctx, s.from(db), byIDSQL, once.Args{"saga": id})
}

func read(ctx context.Context, from reader, text string, args once.Args) (Saga, error) {
	var s Saga
	rows, err := from(ctx, text, args)
	found, err := once.One(rows, err, sagaAt(&s)...)
	if err == nil && !found {
		err = ErrNotFound
	}
	if err == nil {
		err = s.history(ctx, from)
	}
	return s, err
}

func (s *Saga) history(ctx context.Context, from reader) (err error) {
	rows, err := from(ctx, tracksSQL, once.Args{"saga": s.ID})
	s.Tracks, err = once.All(rows, err, trackAt)
	return err
}

const newestSQL = sagaColumns + `
 WHERE (g.<scope> = @whose OR @whose IS NULL) AND (g.id < @before OR @before IS NULL) ORDER BY g.id DESC LIMIT @most`

// Newest lists sagas with their history, newest first, of one scope or, without
// one, of all; those that are older than before, or all when that is empty.
func (s Store) Newest(ctx context.Context, db once.DB, scope, before string, limit int) ([]Saga, error) {
	from := s.from(db)
	rows, err := from(ctx, newestSQL, once.Args{"whose": once.OrNull(scope), "before": once.OrNull(before), "most": limit})
	all, err := once.All(rows, err, sagaAt)
	for i := 0; i < len(all) && err == nil; i++ {
		err = all[i].history(ctx, from)
	}
	return all, err
}

const (
	// Guarded by the version that was read: of two orchestrators that read the
	// same saga one changes it, and the other one finds no row and reads again.
	updateSQL = `
UPDATE {sagas}
   SET state = @state, direction = @direction, position = @position, version = version + 1, sent = @sent, alerted = @alerted,
       failure = @failure, due_at = CASE WHEN CAST(@due AS float8) > 0 THEN clock_timestamp() + CAST(@due AS float8) * interval '1 second' END,
       finished_at = CASE WHEN @final THEN clock_timestamp() END, resolved_by = @by, resolved_why = @why
 WHERE id = @saga AND version = @version`

	// A late reply is a note in the margin: it moves no deadline.
	touchSQL = `UPDATE {sagas} SET version = version + 1 WHERE id = @saga AND version = @version`

	upsertStepSQL = `
INSERT INTO {saga_steps} AS t (saga_id, step, direction, position, status, attempts, late, error, deadline_at, started_at, finished_at)
VALUES (@saga, @step, @direction, @position, @status, @attempts, @late, @error,
        CASE WHEN CAST(@due AS float8) > 0 THEN clock_timestamp() + CAST(@due AS float8) * interval '1 second' END,
        CASE WHEN @status NOT IN ('waiting', 'skipped') THEN clock_timestamp() END, CASE WHEN @status IN ('done', 'failed') THEN clock_timestamp() END)
ON CONFLICT (saga_id, step, direction) DO UPDATE
   SET status = excluded.status, attempts = excluded.attempts, late = excluded.late, error = excluded.error,
       deadline_at = coalesce(excluded.deadline_at, t.deadline_at),
       started_at = coalesce(t.started_at, excluded.started_at),
       finished_at = CASE WHEN excluded.status = t.status THEN t.finished_at ELSE excluded.finished_at END`
)

// TroubleStuck is about a saga that no reply and no retry moves on; its subject is
// the saga's name.
var TroubleStuck = once.TroubleKind{
	Name:   "saga_stuck",
	Means:  "a saga needs a person: a step was refused where nothing may be undone, or its answer is overdue",
	Remedy: "read which step it is and why; retry it or decide: a decision that the outside contradicts is refused and says what was found",
	Ends:   "the saga, when it moves on or ends",
}

// Name is how a saga is called in troubles.
func (s Saga) Name() string {
	if id, err := uuid.Parse(s.ID); err == nil {
		return "saga_" + hex.EncodeToString(id[:])
	}
	return "saga_" + s.ID
}

// turns bounds how often a change is decided anew because a rival was faster.
const turns = 20

// advance reads a saga, decides and writes, all in tx. It returns what was
// decided, and s as it is now.
func (d Definition) advance(ctx context.Context, tx once.Tx, in input, text string, args once.Args) (Saga, move, error) {
	for range turns {
		s, err := read(ctx, d.Store.within(tx), text, args)
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
func (d Definition) react(ctx context.Context, tx once.Tx, s *Saga, in input) (move, error) {
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

// write makes a decision durable: state, history, command and trouble, or nothing
// when the version has moved on.
func (d Definition) write(ctx context.Context, tx once.Tx, s *Saga, before State, m move) (won bool, err error) {
	if m.send != nil {
		s.Sent++
		if err := d.Store.at(pointBefore(m.send.Direction), s.Correlation, s.Scope); err != nil {
			return false, err
		}
	}
	s.Alerted = m.alert != "" || s.Alerted && !m.eased && !s.State.Final()
	var n int64
	if m == (move{}) && before == s.State {
		n, err = d.Store.in(touchSQL).Exec(ctx, tx, once.Args{"saga": s.ID, "version": s.Version})
	} else {
		n, err = d.Store.in(updateSQL).Exec(ctx, tx, once.Args{
			"saga": s.ID, "version": s.Version, "state": string(s.State), "direction": string(s.Direction), "position": s.Position,
			"sent": s.Sent, "alerted": s.Alerted, "failure": s.Failure, "due": d.due(m), "final": s.State.Final(),
			"by": s.ResolvedBy, "why": s.ResolvedWhy,
		})
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

// patience is how long a command may go unanswered. Where it is asked without end it
// is asked less and less often: behind a queue that is slow, copies of what waits
// there already would only make it slower.
func (d Definition) patience(t *Track) time.Duration {
	wait := d.Steps[t.Position].Deadline
	if t.Direction == Do && t.Position < d.pivot() {
		return wait
	}
	return wait << min(max(t.Attempts-1, 0), mostPatience)
}

func (d Definition) writeTracks(ctx context.Context, tx once.Tx, s *Saga, m move) error {
	for i := range s.Tracks {
		t := &s.Tracks[i]
		if !t.changed {
			continue
		}
		deadline := 0.0
		if t == m.send || t == m.wait {
			deadline = d.due(m)
		}
		if _, err := d.Store.in(upsertStepSQL).Exec(ctx, tx, once.Args{
			"saga": s.ID, "step": t.Step, "direction": string(t.Direction), "position": t.Position, "status": string(t.Status),
			"attempts": t.Attempts, "late": t.Late, "error": t.Error, "due": deadline,
		}); err != nil {
			return err
		}
	}
	return nil
}

// follow writes what a decision brings about: the command, the trouble, the end.
func (d Definition) follow(ctx context.Context, tx once.Tx, s *Saga, m move) error {
	if m.eased || m.ended {
		if err := d.Store.troubles().End(ctx, tx, s.Name(), TroubleStuck); err != nil {
			return err
		}
	}
	if m.alert != "" {
		if err := d.raise(ctx, tx, s, d.facts(s, m.alert)); err != nil {
			return err
		}
	}
	if m.send != nil {
		e, err := d.command(s, m.send, m.again)
		if err != nil {
			return err
		}
		return d.Store.send(ctx, tx, e)
	}
	if m.ended {
		return d.Ended(ctx, tx, *s)
	}
	return nil
}

func (d Definition) raise(ctx context.Context, tx once.Tx, s *Saga, facts map[string]any) error {
	return d.Store.troubles().Raise(ctx, tx, once.Trouble{Kind: TroubleStuck, Scope: s.Scope, Subject: s.Name(), Facts: facts})
}

func pointBefore(d Direction) string {
	if d == Undo {
		return "before_undo"
	}
	return "before_step"
}

// inputOf reads what a message says to which saga, and by what that is found.
func (d Definition) inputOf(m inbox.Message) (in input, text string, args once.Args, err error) {
	switch m.Type {
	case d.Start:
		return input{kind: begun}, bySubjectSQL, once.Args{"definition": d.Name, "subject": m.AggregateID}, nil
	case d.Signal:
		return input{kind: signalled}, "", nil, nil
	}
	r, ok, err := d.Store.readReply(m)
	if err == nil && d.position(r.Step) < 0 {
		err = fmt.Errorf("%s has no step %q", d.Name, r.Step)
	}
	return input{kind: replied, step: r.Step, direction: r.Direction, ok: ok, reason: r.Reason}, byIDSQL, once.Args{"saga": r.Saga}, err
}
