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

// With returns both together.
func (a Args) With(more Args) Args {
	both := make(Args, len(a)+len(more))
	maps.Copy(both, a)
	maps.Copy(both, more)
	return both
}

// Statement is SQL whose parameters have names. A pattern's part of it and the caller's
// stand in one statement, and neither counts what the other has:
//
//	UPDATE parcels SET status = @status WHERE id = @parcel
//
// What stands in quotes or in a comment is no parameter.
type Statement struct {
	text  string
	names []string
}

var parameters = regexp.MustCompile(`'[^']*'|"[^"]*"|--[^\n]*|@[a-z_][a-z0-9_]*`)

// Named reads a statement.
func Named(text string) Statement {
	var s Statement
	places := map[string]string{}
	s.text = parameters.ReplaceAllStringFunc(text, func(part string) string {
		name, is := strings.CutPrefix(part, "@")
		if !is {
			return part
		}
		if places[name] == "" {
			s.names = append(s.names, name)
			places[name] = "$" + strconv.Itoa(len(s.names))
		}
		return places[name]
	})
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
