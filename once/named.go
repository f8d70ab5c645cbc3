package once

import (
	"context"
	"maps"
	"regexp"
	"strconv"
	"strings"
)

// Args are the values of a statement's parameters, by their names.
type Args map[string]any

// With returns both together. It panics when a name stands in both, because the names
// stand in the program.
func (a Args) With(more Args) Args {
	both := maps.Clone(a)
	if both == nil {
		both = Args{}
	}
	for name, value := range more {
		if _, twice := both[name]; twice {
			panic("once: two values are given for the parameter @" + name)
		}
		both[name] = value
	}
	return both
}

// Statement is SQL whose parameters have names. A pattern's part of it and the caller's
// stand in one statement, and neither counts what the other has:
//
//	UPDATE parcels SET status = @status WHERE id = @parcel
//
// What stands in quotes, dollar quotes or a comment is no parameter, and neither is what
// belongs to an operator, as in @@name.
type Statement struct {
	text  string
	names []string
}

var parameters = regexp.MustCompile(`(?s)[eE]'(?:[^'\\]|\\.)*'|'[^']*'|"[^"]*"|--[^\n]*|/\*.*?\*/|\$\$.*?\$\$|@@+\w*|<@\w*|\$[0-9]+|@[a-z_][a-z0-9_]*`)

// Named reads a statement. It panics when a parameter has a number: a name would be given
// the same one.
func Named(text string) Statement {
	var s Statement
	places := map[string]string{}
	numbered := ""
	s.text = parameters.ReplaceAllStringFunc(text, func(part string) string {
		name, is := strings.CutPrefix(part, "@")
		if !is || strings.HasPrefix(name, "@") {
			if part[0] == '$' && part[1] != '$' {
				numbered = part
			}
			return part
		}
		if places[name] == "" {
			s.names = append(s.names, name)
			places[name] = "$" + strconv.Itoa(len(s.names))
		}
		return places[name]
	})
	if numbered != "" && len(s.names) > 0 {
		panic("once: the statement has the parameter " + numbered + " beside @" + s.names[0])
	}
	return s
}

// Text is the statement as drivers take it: the parameters are $1, $2 and so on, in the
// order in which their names appear.
func (s Statement) Text() string { return s.text }

// Values are the parameters in the order of [Statement.Text]. Names that the statement
// does not have are left out. It panics when one has no value, because the names of both
// stand in the program.
func (s Statement) Values(args Args) []any {
	values := make([]any, len(s.names))
	for i, name := range s.names {
		value, given := args[name]
		if !given {
			panic("once: the statement's parameter @" + name + " has no value")
		}
		values[i] = value
	}
	return values
}

// Exec runs the statement and returns how many rows it changed.
func (s Statement) Exec(ctx context.Context, tx Tx, args Args) (int64, error) {
	return tx.Exec(ctx, s.text, s.Values(args)...)
}

// Query runs the statement and returns its rows.
func (s Statement) Query(ctx context.Context, tx Tx, args Args) (Rows, error) {
	return tx.Query(ctx, s.text, s.Values(args)...)
}

// Read runs the statement, which only reads, outside of a transaction.
func (s Statement) Read(ctx context.Context, db DB, args Args) (Rows, error) {
	return db.Read(ctx, s.text, s.Values(args)...)
}
