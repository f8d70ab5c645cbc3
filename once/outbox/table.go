package outbox

import (
	"cmp"

	"payonce/once"
)

// Table is where the events are. The zero value is the table of payonce/once/schema,
// looked for on the session's search_path.
type Table struct {
	Schema once.Schema
	// Scope is the column that says whose an event is; "" means scope.
	Scope string
	// ID is the SQL type of the columns that hold ids; "" means text.
	ID string
}

func (t Table) in(text string) once.Statement { return once.Written(t.Schema, text, t.names()...) }

func (t Table) written(text string) string { return once.Text(t.Schema, text, t.names()...) }

func (t Table) names() []string {
	return []string{"<scope>", cmp.Or(t.Scope, "scope"), "<id>", cmp.Or(t.ID, "text")}
}
