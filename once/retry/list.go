package retry

import (
	"context"
	"time"

	"payonce/once"
)

const listLetters = `
SELECT ` + letterColumns + ` FROM {dead_letters}
WHERE (@all OR <scope> = @whose) AND (@state = '' OR state = @state) AND (id < @before OR @before IS NULL)
ORDER BY id DESC LIMIT @most`

// List reads letters, newest first: those in state, or all when it is empty,
// that are older than before, or all when that is empty.
func (d DeadLetters) List(ctx context.Context, w Whose, state State, before string, limit int) ([]Letter, error) {
	return letters(d.Format)(d.Table.in(listLetters).Read(ctx, d.DB, w.args().With(once.Args{
		"state": string(state), "before": once.OrNull(before), "most": limit,
	})))
}

const foreignOpen = `
SELECT count(*) FROM {dead_letters}
WHERE state = 'open' AND NOT @all AND (<scope> = @whose) IS NOT TRUE`

// ForeignOpen counts the open letters that w does not see.
func (d DeadLetters) ForeignOpen(ctx context.Context, w Whose) (n int64, err error) {
	rows, err := d.Table.in(foreignOpen).Read(ctx, d.DB, w.args())
	_, err = once.One(rows, err, &n)
	return n, err
}

const oneLetter = `
SELECT ` + letterColumns + ` FROM {dead_letters} WHERE id = @letter AND (@all OR <scope> = @whose)`

// Letter reads one; [ErrNoLetter] when there is none, or it is not w's.
func (d DeadLetters) Letter(ctx context.Context, w Whose, id string) (Letter, error) {
	return one(letters(d.Format)(d.Table.in(oneLetter).Read(ctx, d.DB, w.args().With(once.Args{"letter": id}))))
}

// Decided is a decision of the past.
type Decided struct {
	Action   Action
	Who      string
	Why      string
	ReplayNo int
	At       time.Time
}

const decisionsSQL = `
SELECT action, who, why, replay_no, decided_at FROM {dead_letter_decisions} WHERE letter_id = @letter ORDER BY id`

// Decisions lists what was decided about a letter, oldest first.
func (d DeadLetters) Decisions(ctx context.Context, letter string) ([]Decided, error) {
	rows, err := d.Table.in(decisionsSQL).Read(ctx, d.DB, once.Args{"letter": letter})
	return once.All(rows, err, func(of *Decided) []any { return []any{&of.Action, &of.Who, &of.Why, &of.ReplayNo, &of.At} })
}
