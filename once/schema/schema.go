// Package schema has the tables of the patterns, as numbered files, and applies them.
//
// Each file is applied once, in the order of the numbers, in a transaction of its own
// together with a row in once_versions; there is no way down. What is applied works as
// it is. A change is a new file that says what it means for tables that are in use.
package schema

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"payonce/once"
)

// Files are the tables, for programs that have a migration tool of their own.
//
//go:embed *.sql
var Files embed.FS

const versions = `
CREATE TABLE IF NOT EXISTS once_versions (
  file        text        PRIMARY KEY,
  applied_at  timestamptz NOT NULL DEFAULT clock_timestamp()
)`

// Apply makes the schema of that name and brings its tables to the newest file. Several
// processes may do so at once and any number of times; applied counts what this call
// has added. db's role may make schemas.
func Apply(ctx context.Context, db once.DB, name once.Name) (applied int, err error) {
	if err := name.Check(); err != nil {
		return 0, err
	}
	files, err := fs.Glob(Files, "*.sql") // in the order of their numbers
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		text, err := fs.ReadFile(Files, file)
		if err != nil {
			return applied, err
		}
		var added int64
		err = db.InTx(ctx, func(tx once.Tx) error {
			added, err = apply(ctx, tx, name, file, string(text))
			return err
		})
		if err != nil {
			return applied, fmt.Errorf("once: %s: %w", file, err)
		}
		applied += int(added)
	}
	return applied, nil
}

// apply runs one file unless its row is there.
func apply(ctx context.Context, tx once.Tx, name once.Name, file, text string) (added int64, err error) {
	schema := `"` + string(name) + `"` // a name may be a word of SQL
	// Two who apply at once take turns, and the second one finds the first one's row. Its
	// turn comes when it comes, and tables take as long as they take: the session's limits,
	// which are made for requests, are not for that. A lock on tables in use is another
	// matter, behind which requests would queue up.
	for _, statement := range []string{
		`SET LOCAL statement_timeout = 0`,
		`SET LOCAL lock_timeout = 0`,
		`SELECT pg_advisory_xact_lock(hashtextextended('once_versions', 0))`,
		`SET LOCAL lock_timeout TO DEFAULT`,
		`CREATE SCHEMA IF NOT EXISTS ` + schema,
		`SET LOCAL search_path = ` + schema,
		versions,
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	added, err = tx.Exec(ctx, `INSERT INTO once_versions (file) VALUES ($1) ON CONFLICT DO NOTHING`, file)
	if err != nil || added == 0 {
		return 0, err
	}
	for _, statement := range statements(text) {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	return added, nil
}

// statements cuts a file where a line ends with a semicolon, but not inside the dollar
// quotes of a function: a driver takes one statement at a time when it prepares.
func statements(text string) (all []string) {
	var b strings.Builder
	quoted := false
	for line := range strings.Lines(text) {
		b.WriteString(line)
		if strings.Count(line, "$$")%2 == 1 {
			quoted = !quoted
		}
		code, _, _ := strings.Cut(line, "--")
		if !quoted && strings.HasSuffix(strings.TrimSpace(code), ";") {
			all = append(all, b.String())
			b.Reset()
		}
	}
	if strings.TrimSpace(b.String()) != "" {
		all = append(all, b.String())
	}
	return all
}
