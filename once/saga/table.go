package saga

import (
	"cmp"
	"context"

	"payonce/once"
	"payonce/once/outbox"
	"payonce/once/trouble"
)

// Table is where sagas, their steps, what participants remember and what people decided
// are. The zero value are the tables of payonce/once/schema, looked for on the session's
// search_path.
type Table struct {
	Schema once.Schema
	// Scope is the column that says whose a saga is; "" means scope.
	Scope string
}

// Store is what an orchestrator and its participants have in common: their tables, and what
// the program does with what goes out of them.
type Store struct {
	Table Table
	// Outbox is where commands and replies are appended.
	Outbox outbox.Table
	// Troubles is where it is raised that a saga needs a person; nil means the table of
	// package payonce/once/trouble, in the schema of Table.
	Troubles once.Troubles
	// ID reads the id of a saga that a message names, as [envelope.Format] does; nil takes
	// any text.
	ID func(id string) (string, error)
	// Trace is the trace that a saga continues which is opened now, and Context gives a
	// context the trace of a message; nil means none.
	Trace   func(ctx context.Context) string
	Context func(ctx context.Context, traceparent string) context.Context
	// Point stops at each step that is named, for tests, with the saga's correlation and
	// scope. The steps are before_step and before_undo, in the transaction, whose error is
	// the step's; and after_step_commit, after_undo_commit and after_pivot, behind it,
	// where an error is dropped.
	Point func(step string, ids ...string) error
}

func (s Store) in(text string) once.Statement {
	return once.Written(s.Table.Schema, text, "<scope>", cmp.Or(s.Table.Scope, "scope"))
}

func (s Store) troubles() once.Troubles {
	if s.Troubles == nil {
		return trouble.Table{Schema: s.Table.Schema}
	}
	return s.Troubles
}

func (s Store) trace(ctx context.Context) string {
	if s.Trace == nil {
		return ""
	}
	return s.Trace(ctx)
}

// send appends events; one that continues no trace continues the context's.
func (s Store) send(ctx context.Context, tx once.Tx, events ...outbox.Event) error {
	for i := range events {
		if events[i].Traceparent == "" {
			events[i].Traceparent = s.trace(ctx)
		}
	}
	return s.Outbox.Append(ctx, tx, events...)
}

func (s Store) traced(ctx context.Context, traceparent string) context.Context {
	if s.Context == nil {
		return ctx
	}
	return s.Context(ctx, traceparent)
}

func (s Store) at(step string, ids ...string) error {
	if s.Point == nil {
		return nil
	}
	return s.Point(step, ids...)
}

// reader runs a statement that reads, in a transaction or outside of one.
type reader func(ctx context.Context, text string, args once.Args) (once.Rows, error)

func (s Store) from(db once.DB) reader {
	return func(ctx context.Context, text string, args once.Args) (once.Rows, error) {
		return s.in(text).Read(ctx, db, args)
	}
}

func (s Store) within(tx once.Tx) reader {
	return func(ctx context.Context, text string, args once.Args) (once.Rows, error) {
		return s.in(text).Query(ctx, tx, args)
	}
}
