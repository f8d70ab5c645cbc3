package saga

import (
	"context"
	"errors"
	"fmt"
	"time"

	"payonce/once"
)

// Step is one part of a story and its owner's part in it.
type Step struct {
	Name string
	// Do and Undo are the commands that are sent. An empty Undo says that the
	// step leaves nothing to take back.
	Do, Undo string
	// Pivot marks the step after which there is no way back: its effect cannot
	// be undone. A definition has one or none; a pivot has no Undo.
	Pivot bool
	// Deadline is how long one try may go unanswered. It must exceed the
	// participant's whole retry schedule: a command that is still on its way back
	// is not unanswered.
	Deadline time.Duration
	// Tries is how often a command is sent before patience ends: before
	// the pivot the saga then turns round, elsewhere an alert is raised and the
	// asking goes on. 0 means 3.
	Tries int
	// Condition is asked before the step's command is first sent; nil means that
	// the step is always due. See [Ready].
	Condition Condition

	look Look // see [Definition.WithLook]
}

// Ready is what a condition says of its step.
type Ready int

// What a condition can say.
const (
	Go   Ready = iota // the step is due
	Skip              // the step is not needed: the saga goes on without it
	Wait              // not decided yet: ask again after the definition's signal
)

// Condition says whether a step is due, in the transaction that moves the saga.
// What it reads must be locked until that transaction ends: a change with its
// signal then commits either before the reading or after the saga waits, so no
// signal is missed.
type Condition func(ctx context.Context, tx once.Tx, s Saga) (Ready, error)

// Definition is a story: its steps in order, and what happens at its end.
type Definition struct {
	Store Store
	Name  string
	// Start is the event that sets a saga in motion; its aggregate is the saga's
	// subject.
	Start string
	// Signal is the event after which the conditions of waiting sagas are asked
	// again: those of the event's correlation. A definition with a condition has
	// one.
	Signal string
	Steps  []Step
	// Ended runs once, in the transaction in which a saga ends well or is
	// compensated: the place for the subject's own state and its event.
	Ended func(ctx context.Context, tx once.Tx, s Saga) error
}

const defaultTries = 3

var errDefinition = errors.New("saga: a definition that cannot work")

// Check refuses a definition that cannot work. Wiring calls it once.
func (d Definition) Check() error {
	pivot := false
	names := map[string]bool{}
	if d.Name == "" || d.Start == "" || len(d.Steps) == 0 || d.Ended == nil {
		return fmt.Errorf("%w: %q needs a name, a start, steps and an end", errDefinition, d.Name)
	}
	for _, s := range d.Steps {
		switch {
		case s.Name == "" || s.Do == "" || s.Deadline <= 0 || names[s.Name]:
			return fmt.Errorf("%w: step %q needs a name of its own, a command and a deadline", errDefinition, s.Name)
		case s.Pivot && (pivot || s.Undo != ""):
			return fmt.Errorf("%w: step %q: there is one pivot, and no way back from it", errDefinition, s.Name)
		case pivot && s.Undo != "":
			return fmt.Errorf("%w: step %q comes after the pivot: it only goes forward", errDefinition, s.Name)
		case s.Condition != nil && d.Signal == "":
			return fmt.Errorf("%w: step %q waits, and no signal would wake it", errDefinition, s.Name)
		}
		pivot, names[s.Name] = pivot || s.Pivot, true
	}
	return nil
}

// Types are the events that an orchestrator of this definition reads: the start,
// the signal and every reply.
func (d Definition) Types() []string {
	types := []string{d.Start}
	if d.Signal != "" {
		types = append(types, d.Signal)
	}
	for _, s := range d.Steps {
		for _, command := range []string{s.Do, s.Undo} {
			if command != "" {
				types = append(types, command+done, command+failed)
			}
		}
	}
	return types
}

// pivot is the position of the pivot, behind the last step when there is none.
func (d Definition) pivot() int {
	for i, s := range d.Steps {
		if s.Pivot {
			return i
		}
	}
	return len(d.Steps)
}

func (d Definition) position(step string) int {
	for i, s := range d.Steps {
		if s.Name == step {
			return i
		}
	}
	return -1
}

func (s Step) tries() int {
	if s.Tries == 0 {
		return defaultTries
	}
	return s.Tries
}

// State says how far a saga is.
type State string

// States of a saga.
const (
	Running      State = "running"
	Waiting      State = "waiting" // for the condition of the step in hand; no command is under way
	Compensating State = "compensating"
	Stuck        State = "stuck" // it needs a person, an alert is open; replies still move it
	Completed    State = "completed"
	Compensated  State = "compensated"
)

// Final says that nothing will happen any more.
func (s State) Final() bool { return s == Completed || s == Compensated }

// Direction is which way a command goes.
type Direction string

// Directions.
const (
	Do   Direction = "do"
	Undo Direction = "undo"
)

// Status is what is known of one step in one direction.
type Status string

// Statuses of a step.
const (
	Pending  Status = "pending"
	Awaiting Status = "waiting" // its condition is not decided: nothing was sent, no undo is due
	Skipped  Status = "skipped"
	Started  Status = "started" // the command is recorded: from here on its undo is due
	Done     Status = "done"
	Failed   Status = "failed" // the participant refused, for good
)

// Saga is one story on its way.
type Saga struct {
	ID          string
	Scope       string
	Correlation string
	Definition  string
	Subject     string
	// Data is a JSON value that every command carries.
	Data        []byte
	State       State
	Direction   Direction
	Position    int // of the step in hand; -1 before the first
	Version     int64
	Sent        int64
	Alerted     bool
	Failure     *string // why it turned round
	Traceparent string
	// ResolvedBy is who decided how it ended, and why: of the decision that was
	// carried out. Decision is the newest one, which may be pending or refused.
	ResolvedBy  *string
	ResolvedWhy *string
	Decision    Decision
	CreatedAt   time.Time
	FinishedAt  *time.Time
	Tracks      []Track
}

// Track is a step in one direction as history knows it.
type Track struct {
	Step       string
	Direction  Direction
	Position   int
	Status     Status
	Attempts   int
	Late       int
	Error      *string
	DeadlineAt *time.Time
	StartedAt  *time.Time
	FinishedAt *time.Time

	changed bool
}

func (s *Saga) track(position int, d Direction) *Track {
	for i := range s.Tracks {
		if s.Tracks[i].Position == position && s.Tracks[i].Direction == d {
			return &s.Tracks[i]
		}
	}
	return nil
}

// Passed says that the pivot is done: whatever happens, it goes forward.
func (d Definition) Passed(s Saga) bool { return d.pivotIs(&s, Done) }

func (d Definition) pivotIs(s *Saga, status Status) bool {
	t := s.track(d.pivot(), Do)
	return t != nil && t.Status == status
}
