package outbox

import (
	"regexp"
	"strings"
	"sync"

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

var (
	word = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	// statements holds what [Table.in] has read; texts are constants, so they are few.
	statements sync.Map
)

type ofTable struct {
	table Table
	text  string
}

func (t Table) in(text string) once.Statement {
	key := ofTable{t, text}
	if known, ok := statements.Load(key); ok {
		statement, _ := known.(once.Statement)
		return statement
	}
	statement := once.Named(t.written(text))
	statements.Store(key, statement)
	return statement
}

// written is the text with the names of this table.
func (t Table) written(text string) string {
	scope, id := t.Scope, t.ID
	if scope == "" {
		scope = "scope"
	}
	if id == "" {
		id = "text"
	}
	if !word.MatchString(scope) || !word.MatchString(id) {
		panic("outbox: " + scope + " or " + id + " is no name of a column or a type")
	}
	return t.Schema.In(strings.NewReplacer("<scope>", scope, "<id>", id).Replace(text))
}
