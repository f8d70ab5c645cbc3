// Package dbtest gives tests of the patterns a database over each adapter.
package dbtest

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"payonce/once"
	"payonce/once/oncetest"
	oncepgx "payonce/once/pgx"
	oncepq "payonce/once/pq"
	"payonce/once/schema"
)

// Over are the adapters by their names. Each gives an empty database that only this test
// uses, with the tables of payonce/once/schema under a name, or without when it is "".
var Over = map[string]func(t testing.TB, name once.Name) once.DB{"pq": Pq, "pgx": Pgx}

// Pq is a database over lib/pq.
func Pq(t testing.TB, name once.Name) once.DB {
	t.Helper()
	return OpenPq(t, Database(t, name))
}

// OpenPq is the database at dsn over lib/pq, as it is.
func OpenPq(t testing.TB, dsn string) once.DB {
	t.Helper()
	db, err := oncepq.Open(oncepq.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Pgx is a database over pgx.
func Pgx(t testing.TB, name once.Name) once.DB {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), Database(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return oncepgx.New(pool)
}

// Database is the address of a database with the tables under a name, or without when it
// is "".
func Database(t testing.TB, name once.Name) (dsn string) {
	t.Helper()
	if name == "" {
		return oncetest.Postgres(t)
	}
	return oncetest.PostgresWith(t, string(name)+" "+tables(t), func(dsn string) error {
		db, err := oncepq.Open(oncepq.Config{DSN: dsn})
		if err != nil {
			return err
		}
		_, err = schema.Apply(context.Background(), db, name)
		return errors.Join(err, db.Close())
	})
}

// tables is the text of all files of the schema: another text is another database.
func tables(t testing.TB) string {
	t.Helper()
	names, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := fs.ReadFile(schema.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// Exec runs a statement in a transaction of its own.
func Exec(t testing.TB, db once.DB, query string, args ...any) {
	t.Helper()
	if err := db.InTx(t.Context(), func(tx once.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// Int reads the one number that a query returns.
func Int(t testing.TB, db once.DB, query string, args ...any) (n int) {
	t.Helper()
	rows, err := db.Read(t.Context(), query, args...)
	if _, err := once.One(rows, err, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
