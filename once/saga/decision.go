package saga

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"payonce/once"
)

// Decision is what a person said about how a stuck saga ended.
type Decision struct {
	ID      string // "" when no person decided
	Outcome State
	State   DecisionState
	By      string
	Why     string
	// Found is what was seen outside: why it was refused, or why it is pending.
	Found     string
	DecidedAt *time.Time
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
func (d Definition) Resolve(ctx context.Context, db once.DB, id string, as State, who, why string) (s Saga, err error) {
	err = db.InTx(ctx, func(tx once.Tx) error {
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
func (d Definition) decidable(ctx context.Context, tx once.Tx, id string, as State) (Saga, error) {
	s, err := read(ctx, d.Store.within(tx), byIDSQL, once.Args{"saga": id})
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
	holdSQL = `UPDATE {sagas} SET version = version + 1, due_at = NULL WHERE id = @saga AND version = @version`

	// Copies of the step's command take turns with this by the row's lock: one that
	// was here before has written until when it may be asking, one that comes later
	// does nothing.
	closeSQL = `
INSERT INTO {saga_participations} AS p (saga_id, step, <scope>, decided) VALUES (@saga, @step, @whose, true)
ON CONFLICT (saga_id, step) DO UPDATE SET decided = true
RETURNING p.asking_until`

	insertDecisionSQL = `
INSERT INTO {saga_decisions} (id, saga_id, <scope>, step, outcome, decided_by, reason, found, look_at)
VALUES (@id, @saga, @whose, @step, @outcome, @by, @why, @found, greatest(clock_timestamp(), CAST(@until AS timestamptz)))
RETURNING decided_at`
)

// stillAsking is what a pending decision says before it has asked.
const stillAsking = "a call that was begun earlier may still be under way"

// hold makes a decision durable: from its commit on nothing but the decision
// moves the saga, and the participant of the step in hand acts no more.
func (d Definition) hold(ctx context.Context, tx once.Tx, s *Saga) error {
	n, err := d.Store.in(holdSQL).Exec(ctx, tx, once.Args{"saga": s.ID, "version": s.Version})
	if err == nil && n != 1 {
		err = ErrSettled // A reply was faster, or another person.
	}
	if err != nil {
		return err
	}
	s.Version++
	step := d.Steps[s.Position].Name
	asking, err := d.Store.close(ctx, tx, s.ID, step, s.Scope)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	w := &s.Decision
	w.ID, w.Found = id.String(), stillAsking
	var at time.Time
	rows, err := d.Store.in(insertDecisionSQL).Query(ctx, tx, once.Args{
		"id": w.ID, "saga": s.ID, "whose": once.OrNull(s.Scope), "step": step, "outcome": string(w.Outcome), "by": w.By, "why": w.Why,
		"found": w.Found, "until": asking,
	})
	_, err = once.One(rows, err, &at)
	w.DecidedAt = &at
	return err
}

// close has the participant of a step act no more, and says until when a call of it may be
// under way.
func (s Store) close(ctx context.Context, tx once.Tx, saga, step, scope string) (asking *time.Time, err error) {
	rows, err := s.in(closeSQL).Query(ctx, tx, once.Args{"saga": saga, "step": step, "whose": once.OrNull(scope)})
	_, err = once.One(rows, err, &asking)
	return asking, err
}

// Decided makes a participant remember that a person decided about its step, for the suite
// that judges participants.
func (s Store) Decided(ctx context.Context, tx once.Tx, saga, step, scope string) error {
	_, err := s.close(ctx, tx, saga, step, scope)
	return err
}

const (
	mayLookSQL = `SELECT look_at <= clock_timestamp() FROM {saga_decisions} WHERE id = @decision`

	// Another one that looked may have closed it.
	closeDecisionSQL = `
UPDATE {saga_decisions} SET state = @state, found = @found, closed_at = clock_timestamp() WHERE id = @decision AND state = 'pending'`
)

// look asks the outside about a pending decision, in no transaction, and ends it
// by what was found. While the outside may not or cannot be asked it stays as it
// is, and says why.
func (d Definition) look(ctx context.Context, db once.DB, s Saga) (Saga, error) {
	var now bool
	rows, err := d.Store.in(mayLookSQL).Read(ctx, db, once.Args{"decision": s.Decision.ID})
	if _, err := once.One(rows, err, &now); err != nil || !now {
		return s, err
	}
	ask := d.Steps[s.Position].look
	if ask == nil {
		return s, errNoLook
	}
	var no *Contradiction
	err = ask(ctx, s, s.Decision.Outcome)
	if err != nil && !errors.As(err, &no) {
		s.Decision.Found = "it cannot be asked: " + err.Error()
		return s, d.Store.putOff(ctx, db, s.Decision)
	}
	pending := s // An attempt that is rolled back must not change what the next one begins with.
	err = db.InTx(ctx, func(tx once.Tx) error {
		s = pending
		if no != nil {
			return d.refuse(ctx, tx, &s, no.Found)
		}
		var err error
		s, err = d.accept(ctx, tx, s)
		return err
	})
	if errors.Is(err, errOvertaken) {
		return d.Store.Read(ctx, db, pending.ID) // Another one looked too, and was faster.
	}
	if err == nil && no != nil {
		err = no
	}
	return s, err
}

// accept carries a pending decision out: the step in hand is over, and what
// follows leaves as ordinary commands.
func (d Definition) accept(ctx context.Context, tx once.Tx, s Saga) (Saga, error) {
	if n, err := d.closeDecision(ctx, tx, s.Decision.ID, DecisionAccepted, ""); err != nil || n != 1 {
		return s, orOvertaken(err)
	}
	w := s.Decision
	w.State, w.Found = DecisionAccepted, ""
	s, _, err := d.advance(ctx, tx, input{kind: decided, decision: w}, byIDSQL, once.Args{"saga": s.ID})
	return s, err
}

const (
	reopenSQL = `UPDATE {saga_participations} SET decided = false WHERE saga_id = @saga AND step = @step`

	releaseSQL = `
UPDATE {sagas}
   SET version = version + 1, due_at = CASE WHEN CAST(@due AS float8) > 0 THEN clock_timestamp() + CAST(@due AS float8) * interval '1 second' END
 WHERE id = @saga`
)

// refuse leaves the saga as it was before the decision, with what was found in
// its trouble. It asks again where it asked before: the participant acts again.
func (d Definition) refuse(ctx context.Context, tx once.Tx, s *Saga, found string) error {
	w := &s.Decision
	if n, err := d.closeDecision(ctx, tx, w.ID, DecisionRefused, found); err != nil || n != 1 {
		return orOvertaken(err)
	}
	w.State, w.Found = DecisionRefused, found
	t := s.track(s.Position, s.Direction)
	wait := 0.0
	if t.Status == Started {
		wait = d.patience(t).Seconds()
	}
	if _, err := d.Store.in(releaseSQL).Exec(ctx, tx, once.Args{"saga": s.ID, "due": wait}); err != nil {
		return err
	}
	if _, err := d.Store.in(reopenSQL).Exec(ctx, tx, once.Args{"saga": s.ID, "step": t.Step}); err != nil {
		return err
	}
	if err := d.Store.troubles().End(ctx, tx, s.Name(), TroubleStuck); err != nil {
		return err
	}
	facts := d.facts(s, "a decision was refused: "+found)
	facts["decision"], facts["decided_by"], facts["decided_because"] = w.Outcome, w.By, w.Why
	return d.raise(ctx, tx, s, facts)
}

func (d Definition) closeDecision(ctx context.Context, tx once.Tx, decision string, as DecisionState, found string) (int64, error) {
	return d.Store.in(closeDecisionSQL).Exec(ctx, tx, once.Args{"decision": decision, "state": string(as), "found": found})
}

func orOvertaken(err error) error {
	if err == nil {
		err = errOvertaken
	}
	return err
}

// facts are what a trouble says of where a saga is.
func (d Definition) facts(s *Saga, reason string) map[string]any {
	t := s.track(s.Position, s.Direction)
	return map[string]any{"definition": d.Name, "step": t.Step, "direction": t.Direction, "reason": reason, "subject": s.Subject}
}

// lookAgain is how long an outside that cannot be asked is left alone.
const lookAgain = 5 * time.Second

const putOffSQL = `
UPDATE {saga_decisions} SET found = @found, look_at = clock_timestamp() + CAST(@wait AS float8) * interval '1 second'
 WHERE id = @decision AND state = 'pending'`

// putOff has a pending decision looked at later.
func (s Store) putOff(ctx context.Context, db once.DB, w Decision) error {
	return db.InTx(ctx, func(tx once.Tx) error {
		_, err := s.in(putOffSQL).Exec(ctx, tx, once.Args{"decision": w.ID, "found": w.Found, "wait": lookAgain.Seconds()})
		return err
	})
}
