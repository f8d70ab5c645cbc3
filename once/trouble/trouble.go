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
	var scope any
	if about.Scope != "" {
		scope = about.Scope
	}
	_, err = tx.Exec(ctx, t.Schema.In(raiseSQL), id.String(), scope, about.Kind.Name, about.Subject, string(facts))
	return err
}

const endSQL = `
UPDATE {troubles} SET ended_at = clock_timestamp() WHERE ended_at IS NULL AND subject = $1 AND kind = ANY ($2)`

// End implements [once.Troubles].
func (t Table) End(ctx context.Context, tx once.Tx, subject string, kinds ...once.TroubleKind) error {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	_, err := tx.Exec(ctx, t.Schema.In(endSQL), subject, once.Array(names))
	return err
}

// Open is what waits for a person.
type Open struct {
	ID, Scope, Kind, Subject string
	Facts                    []byte // JSON
}

const openSQL = `
SELECT id, coalesce(scope, ''), kind, subject, facts FROM {troubles} WHERE ended_at IS NULL ORDER BY id LIMIT $1`

// Open lists what is open, the oldest first.
func (t Table) Open(ctx context.Context, db once.DB, most int) ([]Open, error) {
	rows, err := db.Read(ctx, t.Schema.In(openSQL), most)
	return once.All(rows, err, func(o *Open) []any { return []any{&o.ID, &o.Scope, &o.Kind, &o.Subject, &o.Facts} })
}
