package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/jmoiron/sqlx"
	"github.com/jmoiron/sqlx/reflectx"

	"payonce/once"
	oncepq "payonce/once/pq"
)

// Config says which database, and how much of it this process may use.
type Config = oncepq.Config

// DB is a pool of connections that can read and can open transactions.
type DB struct{ pool *oncepq.DB }

// Reader is what a query needs; both [DB] and [Tx] are one.
type Reader interface {
	// Get reads one row into dest; sql.ErrNoRows when there is none.
	Get(ctx context.Context, dest any, query string, args ...any) error
	// Select reads all rows into the slice dest points at.
	Select(ctx context.Context, dest any, query string, args ...any) error
}

// Open makes the pool. It does not connect: a process may start before its
// database, and readiness is asked with [DB.Ping].
func Open(_ context.Context, cfg Config) (*DB, error) {
	pool, err := oncepq.Open(cfg)
	if err != nil {
		return nil, err
	}
	return &DB{pool}, nil
}

// Once is the pool as patterns take it.
func (db *DB) Once() once.DB { return db.pool }

// Of is the pool that a pattern was given as [DB.Once]. It panics for another adapter's.
func Of(pattern once.DB) *DB {
	pool, is := pattern.(*oncepq.DB)
	if !is {
		panic("postgres: the database is not one of this package")
	}
	return &DB{pool}
}

// Close ends every connection.
func (db *DB) Close() error { return db.pool.Close() }

// Ping asks the database for a sign of life.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Pool().PingContext(ctx) }

// Stats tells how the pool is used.
func (db *DB) Stats() sql.DBStats { return db.pool.Pool().Stats() }

// Get implements [Reader]. The statement must only read.
func (db *DB) Get(ctx context.Context, dest any, query string, args ...any) error {
	if err := mustOnlyRead(query); err != nil {
		return err
	}
	stmt, err := db.stmt(ctx, query)
	if err != nil {
		return err
	}
	return stmt.GetContext(ctx, dest, args...)
}

// Select implements [Reader]. The statement must only read.
func (db *DB) Select(ctx context.Context, dest any, query string, args ...any) error {
	if err := mustOnlyRead(query); err != nil {
		return err
	}
	stmt, err := db.stmt(ctx, query)
	if err != nil {
		return err
	}
	return stmt.SelectContext(ctx, dest, args...)
}

// columns finds the field of a column by its tag.
var columns = reflectx.NewMapperFunc("db", sqlx.NameMapper)

func prepared(s *sql.Stmt) *sqlx.Stmt { return &sqlx.Stmt{Stmt: s, Mapper: columns} }

// stmt returns the prepared form of a statement.
func (db *DB) stmt(ctx context.Context, query string) (*sqlx.Stmt, error) {
	s, err := db.pool.Prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return prepared(s), nil
}

var (
	writes   = regexp.MustCompile(`(?i)\b(insert\s+into|update\s+\w|delete\s+from|truncate|for\s+(no\s+key\s+)?update|for\s+(key\s+)?share|create\s|alter\s|drop\s|pg_notify)`)
	comments = regexp.MustCompile(`--[^\n]*`)
	readOnly sync.Map // query → error or nil
)

// ErrWriteOutsideTx says that a statement that writes was sent where a read
// was expected.
var ErrWriteOutsideTx = errors.New("a statement that writes needs a transaction (postgres.InTx) or postgres.Guarded")

func mustOnlyRead(query string) error {
	if v, seen := readOnly.Load(query); seen {
		verdict, _ := v.(error) // nil for a statement that only reads
		return verdict
	}
	var verdict error
	if writes.MatchString(comments.ReplaceAllString(query, "")) {
		verdict = fmt.Errorf("%w: %.60q", ErrWriteOutsideTx, query)
		readOnly.Store(query, verdict)
		return verdict
	}
	readOnly.Store(query, nil)
	return nil
}
