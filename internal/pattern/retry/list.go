package retry

import (
	"context"
	"time"

	"github.com/google/uuid"
)

const listLetters = `
SELECT ` + letterColumns + ` FROM dead_letters
WHERE ($1::boolean OR merchant_id = $2) AND ($3::text = '' OR state = $3::text) AND ($4::uuid IS NULL OR id < $4::uuid)
ORDER BY id DESC LIMIT $5`

// List reads letters, newest first: those in state, or all when it is empty,
// that are older than before.
func (d DeadLetters) List(ctx context.Context, w Whose, state State, before uuid.NullUUID, limit int) ([]Letter, error) {
	var letters []Letter
	err := d.DB.Select(ctx, &letters, listLetters, w.All, w.Scope, string(state), before, limit)
	return letters, err
}

const foreignOpen = `
SELECT count(*) FROM dead_letters
WHERE state = 'open' AND NOT $1::boolean AND merchant_id IS DISTINCT FROM $2`

// ForeignOpen counts the open letters that w does not see.
func (d DeadLetters) ForeignOpen(ctx context.Context, w Whose) (n int64, err error) {
	err = d.DB.Get(ctx, &n, foreignOpen, w.All, w.Scope)
	return n, err
}

const oneLetter = `
SELECT ` + letterColumns + ` FROM dead_letters WHERE id = $1 AND ($2::boolean OR merchant_id = $3)`

// Letter reads one; [ErrNoLetter] when there is none, or it is not w's.
func (d DeadLetters) Letter(ctx context.Context, w Whose, id uuid.UUID) (l Letter, err error) {
	err = d.DB.Get(ctx, &l, oneLetter, id, w.All, w.Scope)
	return l, noLetter(err)
}

// Decided is a decision of the past.
type Decided struct {
	Action   Action    `db:"action"`
	Who      string    `db:"who"`
	Why      string    `db:"why"`
	ReplayNo int       `db:"replay_no"`
	At       time.Time `db:"decided_at"`
}

const decisionsSQL = `
SELECT action, who, why, replay_no, decided_at FROM dead_letter_decisions WHERE letter_id = $1 ORDER BY id`

// Decisions lists what was decided about a letter, oldest first.
func (d DeadLetters) Decisions(ctx context.Context, letter uuid.UUID) ([]Decided, error) {
	var all []Decided
	err := d.DB.Select(ctx, &all, decisionsSQL, letter)
	return all, err
}
