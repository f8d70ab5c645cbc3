package retry

import (
	"cmp"

	"payonce/once"
	"payonce/once/envelope"
)

// Table is where the letters are, and the decisions about them. The zero value are the
// tables of payonce/once/schema, looked for on the session's search_path.
type Table struct {
	Schema once.Schema
	// Scope is the column that says whose a letter is; "" means scope.
	Scope string
}

func (t Table) in(text string) once.Statement {
	return once.Written(t.Schema, text, "<scope>", cmp.Or(t.Scope, "scope"))
}

// Of letters that are read; [letterAt] takes them in this order.
const letterColumns = `id, <scope>, consumer, event_id, replay_no, type, class, reason, attempts, headers, payload,
  state, first_failed_at, last_failed_at, closed_at, clock_timestamp() AS now`

func letterAt(l *Letter) []any {
	return []any{&l.ID, once.Optional(&l.Scope), &l.Consumer, &l.EventID, &l.ReplayNo, &l.Type, &l.Class, &l.Reason, &l.Attempts, &l.RawHeaders,
		&l.Payload, &l.State, &l.FirstFailed, &l.LastFailed, &l.ClosedAt, &l.Now}
}

// letters reads what a statement returned.
func letters(format envelope.Format) func(once.Rows, error) ([]Letter, error) {
	return func(rows once.Rows, err error) ([]Letter, error) {
		all, err := once.All(rows, err, letterAt)
		for i := range all {
			all[i].format = format
		}
		return all, err
	}
}

// one is the letter that was asked for.
func one(all []Letter, err error) (Letter, error) {
	switch {
	case err != nil:
		return Letter{}, err
	case len(all) == 0:
		return Letter{}, ErrNoLetter
	}
	return all[0], nil
}
