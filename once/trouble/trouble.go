// Package trouble is the table of what a person has to look at, for programs that have no
// alerts of their own. See [payonce/once.Troubles].
package trouble

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"payonce/once"
)

// Table is the table of payonce/once/schema.
type Table struct{ Schema once.Schema }

var _ once.Troubles = Table{}

const raiseSQL = `
INSERT INTO {troubles} (id, scope, kind, subject, facts) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, subject) WHERE ended_at IS NULL DO NOTHING`

// Raise implements [once.Troubles].
func (t Table) Raise(ctx context.Context, tx once.Tx, about once.Trouble) error {
	facts, err := json.Marshal(about.Facts)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7() // so that a list by id is a list by time
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, t.Schema.In(raiseSQL), id.String(), once.OrNull(about.Scope), about.Kind.Name, about.Subject, string(facts))
	return err
}

const endSQL = `
UPDATE {troubles} SET ended_at = clock_timestamp() WHERE ended_at IS NULL AND subject = $1 AND kind = ANY ($2)`

// End implements [once.Troubles].
func (t Table) End(ctx context.Context, tx once.Tx, subject string, kinds ...once.TroubleKind) error {
	_, err := tx.Exec(ctx, t.Schema.In(endSQL), subject, names(kinds))
	return err
}

const openSQL = `SELECT subject FROM {troubles} WHERE ended_at IS NULL AND kind = ANY ($1) ORDER BY subject`

// Open implements [once.Troubles].
func (t Table) Open(ctx context.Context, tx once.Tx, kinds ...once.TroubleKind) ([]string, error) {
	rows, err := tx.Query(ctx, t.Schema.In(openSQL), names(kinds))
	return once.All(rows, err, func(subject *string) []any { return []any{subject} })
}

func names(kinds []once.TroubleKind) string {
	list := make([]string, len(kinds))
	for i, k := range kinds {
		list[i] = k.Name
	}
	return once.Array(list)
}

// Row is a trouble that waits for a person.
type Row struct {
	ID, Scope, Kind, Subject string
	Facts                    []byte // JSON
}

const listSQL = `SELECT id, scope, kind, subject, facts FROM {troubles} WHERE ended_at IS NULL ORDER BY id LIMIT $1`

// List reads what is open, the oldest first.
func (t Table) List(ctx context.Context, db once.DB, most int) ([]Row, error) {
	rows, err := db.Read(ctx, t.Schema.In(listSQL), most)
	return once.All(rows, err, func(r *Row) []any { return []any{&r.ID, once.Optional(&r.Scope), &r.Kind, &r.Subject, &r.Facts} })
}
