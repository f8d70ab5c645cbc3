package saga

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
)

// Decision is what a person said about how a stuck saga ended.
type Decision struct {
	ID      uuid.NullUUID `db:"id"` // null when no person decided
	Outcome State         `db:"outcome"`
	State   DecisionState `db:"state"`
	By      string        `db:"decided_by"`
	Why     string        `db:"reason"`
	// Found is what was seen outside: why it was refused, or why it is pending.
	Found     string     `db:"found"`
	DecidedAt *time.Time `db:"decided_at"`
}

// DecisionState says how far a decision is.
type DecisionState string

// States of a decision.
const (
	// DecisionPending waits for the outside to be asked. The saga takes no reply and
	// its participant acts no more.
	DecisionPending DecisionState = "pending"
	// DecisionAccepted was carried out, or is by the steps that follow.
	DecisionAccepted DecisionState = "accepted"
	// DecisionRefused left the saga as stuck as before: the outside said otherwise.
	DecisionRefused DecisionState = "refused"
)

// Pending says that the outside has to be asked before it counts.
func (d Decision) Pending() bool { return d.State == DecisionPending }

// Errors of a decision.
var (
	// ErrDeciding says that an earlier decision is pending.
	ErrDeciding = errors.New("saga: a decision about it is pending")
	// errNoLook says that a decision waits for a [Look] that this process was not
	// given.
	errNoLook = errors.New("saga: a decision is pending about a step that has no Look here")
	// errOvertaken says that the saga moved while it was decided about.
	errOvertaken = errors.New("saga: it moved meanwhile")
)

// Look asks the outside world whether the step in hand of s ended as a person
// says, by the key of the step's call. Nil means that it did. [Contradict] means
// that it did not. Every other error means that it cannot be known now: the
// decision stays pending and Look is asked again. It must not take a part of a
// list for the whole.
type Look func(ctx context.Context, s Saga, as State) error

// Contradiction is what was found outside against a decision.
type Contradiction struct{ Found string }

// Error implements error.
func (c *Contradiction) Error() string {
	return "saga: the decision is not what was found: " + c.Found
}

// Contradict refuses a decision. What was found is for a person to read.
func Contradict(found string) error { return &Contradiction{Found: found} }

// WithLook is d with a step whose effect is outside and can be looked at there.
// Decisions about the other steps are taken at a person's word.
func (d Definition) WithLook(step string, look Look) Definition {
	steps := append([]Step{}, d.Steps...)
	for i := range steps {
		if steps[i].Name == step {
			steps[i].look = look
		}
	}
	d.Steps = steps
	return d
}

// Resolve decides in a person's name how a stuck saga ended. After nil, or an
// error that is a [Contradiction], the decision is kept with who and why. What
// comes back says how far it is:
//
//   - accepted: the step in hand is over, for good, and what follows from it is
//     under way as ordinary steps, or the saga has ended;
//   - pending: the outside could not be asked yet. [Decisions] goes on;
//   - refused, with a Contradiction: nothing has changed.
//
// From the moment of the decision until it is refused no reply moves the saga,
// and each command of the step, late, repeated or replayed, is answered from
// memory. The second one to decide, also of two at once, gets ErrSettled or
// ErrDeciding.
func (d Definition) Resolve(ctx context.Context, db *postgres.DB, id uuid.UUID, as State, who, why string) (s Saga, err error) {
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if s, err = d.decidable(ctx, tx, id, as); err != nil {
			return err
		}
		s.Decision = Decision{Outcome: as, State: DecisionPending, By: who, Why: why}
		if err := d.hold(ctx, tx, &s); err != nil {
			return err
		}
		if d.Steps[s.Position].look == nil {
			s, err = d.accept(ctx, tx, s)
		}
		return err
	})
	if err == nil && s.Decision.Pending() {
		return d.look(ctx, db, s)
	}
	return s, err
}

// decidable reads a saga about which a person may decide so.
func (d Definition) decidable(ctx context.Context, tx postgres.Tx, id uuid.UUID, as State) (Saga, error) {
	s, err := Read(ctx, tx, id)
	switch {
	case err != nil:
		return s, err
	case s.Decision.Pending():
		return s, ErrDeciding
	case s.State != Stuck:
		return s, ErrSettled
	case as == Compensated && d.Passed(s), as == Completed && s.Direction == Undo, !as.Final():
		return s, ErrNoWayBack
	}
	return s, nil
}

const (
	holdSQL = `UPDATE sagas SET version = version + 1, due_at = NULL WHERE id = $1 AND version = $2`

	// Copies of the step's command take turns with this by the row's lock: one that
	// was here before has written until when it may be asking, one that comes later
	// does nothing.
	closeSQL = `
INSERT INTO saga_participations AS p (saga_id, step, merchant_id, decided) VALUES ($1, $2, $3, true)
ON CONFLICT (saga_id, step) DO UPDATE SET decided = true
RETURNING p.asking_until`

	insertDecisionSQL = `
INSERT INTO saga_decisions (id, saga_id, merchant_id, step, outcome, decided_by, reason, found, look_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, greatest(clock_timestamp(), $9::timestamptz))
RETURNING decided_at`
)

// stillAsking is what a pending decision says before it has asked.
const stillAsking = "a call that was begun earlier may still be under way"

// hold makes a decision durable: from its commit on nothing but the decision
// moves the saga, and the participant of the step in hand acts no more.
func (d Definition) hold(ctx context.Context, tx postgres.Tx, s *Saga) error {
	n, err := tx.Exec(ctx, holdSQL, s.ID, s.Version)
	if err == nil && n != 1 {
		err = ErrSettled // A reply was faster, or another person.
	}
	if err != nil {
		return err
	}
	s.Version++
	step := d.Steps[s.Position].Name
	var asking *time.Time
	if err := tx.Get(ctx, &asking, closeSQL, s.ID, step, s.Scope); err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	w := &s.Decision
	w.ID, w.Found = uuid.NullUUID{UUID: id, Valid: true}, stillAsking
	var at time.Time
	err = tx.Get(ctx, &at, insertDecisionSQL, id, s.ID, s.Scope, step, w.Outcome, w.By, w.Why, w.Found, asking)
	w.DecidedAt = &at
	return err
}

const (
	mayLookSQL = `SELECT look_at <= clock_timestamp() FROM saga_decisions WHERE id = $1`

	// Another one that looked may have closed it.
	closeDecisionSQL = `
UPDATE saga_decisions SET state = $2, found = $3, closed_at = clock_timestamp() WHERE id = $1 AND state = 'pending'`
)

// look asks the outside about a pending decision, in no transaction, and ends it
// by what was found. While the outside may not or cannot be asked it stays as it
// is, and says why.
func (d Definition) look(ctx context.Context, db *postgres.DB, s Saga) (Saga, error) {
	var now bool
	if err := db.Get(ctx, &now, mayLookSQL, s.Decision.ID); err != nil || !now {
		return s, err
	}
	ask := d.Steps[s.Position].look
	if ask == nil {
		return s, errNoLook
	}
	var no *Contradiction
	err := ask(ctx, s, s.Decision.Outcome)
	if err != nil && !errors.As(err, &no) {
		s.Decision.Found = "it cannot be asked: " + err.Error()
		return s, putOff(ctx, db, s.Decision)
	}
	pending := s // An attempt that is rolled back must not change what the next one begins with.
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		s = pending
		if no != nil {
			return d.refuse(ctx, tx, &s, no.Found)
		}
		var err error
		s, err = d.accept(ctx, tx, s)
		return err
	})
	if errors.Is(err, errOvertaken) {
		return Read(ctx, db, pending.ID) // Another one looked too, and was faster.
	}
	if err == nil && no != nil {
		err = no
	}
	return s, err
}

// accept carries a pending decision out: the step in hand is over, and what
// follows leaves as ordinary commands.
func (d Definition) accept(ctx context.Context, tx postgres.Tx, s Saga) (Saga, error) {
	if n, err := tx.Exec(ctx, closeDecisionSQL, s.Decision.ID, DecisionAccepted, ""); err != nil || n != 1 {
		return s, orOvertaken(err)
	}
	w := s.Decision
	w.State, w.Found = DecisionAccepted, ""
	s, _, err := d.advance(ctx, tx, input{kind: decided, decision: w}, byIDSQL, s.ID)
	return s, err
}

const (
	reopenSQL = `UPDATE saga_participations SET decided = false WHERE saga_id = $1 AND step = $2`

	releaseSQL = `
UPDATE sagas SET version = version + 1, due_at = CASE WHEN $2::float8 > 0 THEN clock_timestamp() + $2::float8 * interval '1 second' END
 WHERE id = $1`
)

// refuse leaves the saga as it was before the decision, with what was found in
// its alert. It asks again where it asked before: the participant acts again.
func (d Definition) refuse(ctx context.Context, tx postgres.Tx, s *Saga, found string) error {
	w := &s.Decision
	if n, err := tx.Exec(ctx, closeDecisionSQL, w.ID, DecisionRefused, found); err != nil || n != 1 {
		return orOvertaken(err)
	}
	w.State, w.Found = DecisionRefused, found
	t := s.track(s.Position, s.Direction)
	wait := 0.0
	if t.Status == Started {
		wait = d.patience(t).Seconds()
	}
	if _, err := tx.Exec(ctx, releaseSQL, s.ID, wait); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, reopenSQL, s.ID, t.Step); err != nil {
		return err
	}
	if _, err := alert.Resolve(ctx, tx, s.Name(), AlertStuck); err != nil {
		return err
	}
	facts := d.facts(s, "a decision was refused: "+found)
	facts["decision"], facts["decided_by"], facts["decided_because"] = w.Outcome, w.By, w.Why
	return AlertStuck.Raise(ctx, tx, s.Scope, s.Name(), facts)
}

func orOvertaken(err error) error {
	if err == nil {
		err = errOvertaken
	}
	return err
}

// facts are what an alert says of where a saga is.
func (d Definition) facts(s *Saga, reason string) map[string]any {
	t := s.track(s.Position, s.Direction)
	return map[string]any{"definition": d.Name, "step": t.Step, "direction": t.Direction, "reason": reason, "subject": s.Subject}
}

// lookAgain is how long an outside that cannot be asked is left alone.
const lookAgain = 5 * time.Second

const putOffSQL = `
UPDATE saga_decisions SET found = $2, look_at = clock_timestamp() + $3::float8 * interval '1 second'
 WHERE id = $1 AND state = 'pending'`

// putOff has a pending decision looked at later.
func putOff(ctx context.Context, db *postgres.DB, w Decision) error {
	return postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, putOffSQL, w.ID, w.Found, lookAgain.Seconds())
		return err
	})
}
