package postgres

import (
	"context"
	"fmt"
	"sort"
	"sync"

	"payonce/once"
)

// Statement is a single write outside [InTx] that is idempotent by
// construction: running it a second time with the same arguments changes
// nothing and its caller can tell from what it reads. Make one with [Guarded].
type Statement struct {
	name string
	once.Statement
}

var registry = struct {
	sync.Mutex
	statements map[string]Statement
}{statements: map[string]Statement{}}

// Guarded registers a statement that may be run twice by the driver. The reason
// why the second run is harmless belongs into the SQL as a comment; the suite
// runs every registered statement twice and compares the database.
func Guarded(name, query string) Statement {
	registry.Lock()
	defer registry.Unlock()
	if _, twice := registry.statements[name]; twice {
		panic(fmt.Sprintf("postgres: two guarded statements are called %q", name))
	}
	s := Statement{name, once.Named(query)}
	registry.statements[name] = s
	return s
}

// GuardedStatements lists what is registered, by name, for the test that runs
// each of them twice.
func GuardedStatements() []Statement {
	registry.Lock()
	defer registry.Unlock()
	all := make([]Statement, 0, len(registry.statements))
	for _, s := range registry.statements {
		all = append(all, s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// Name is the name given to [Guarded].
func (s Statement) Name() string { return s.name }

// Exec runs the statement and returns how many rows it changed.
func (s Statement) Exec(ctx context.Context, db *DB, args ...any) (int64, error) {
	stmt, err := db.stmt(ctx, s.Text())
	if err != nil {
		return 0, err
	}
	res, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Get runs the statement and reads the one row it returns.
func (s Statement) Get(ctx context.Context, db *DB, dest any, args ...any) error {
	stmt, err := db.stmt(ctx, s.Text())
	if err != nil {
		return err
	}
	return stmt.GetContext(ctx, dest, args...)
}

// Select runs the statement and reads the rows it returns.
func (s Statement) Select(ctx context.Context, db *DB, dest any, args ...any) error {
	stmt, err := db.stmt(ctx, s.Text())
	if err != nil {
		return err
	}
	return stmt.SelectContext(ctx, dest, args...)
}
