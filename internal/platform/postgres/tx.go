package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jmoiron/sqlx"
)

// Tx is an open transaction. It is sealed: only [InTx] makes one and only
// [InTx] ends it, so "callable only inside a transaction" is a type.
type Tx interface {
	Reader
	// Exec runs a statement and returns how many rows it changed. A state
	// change looks at that number.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	sealed()
}

// ErrCommitUnknown says that the connection broke while the COMMIT was on its
// way: the transaction may or may not be durable. Treat it as in doubt and
// read; never run the work again blindly.
var ErrCommitUnknown = errors.New("postgres: the answer to COMMIT was lost, the outcome is unknown")

const txAttempts = 5

// InTx runs fn inside one transaction and commits it.
//
// After nil everything fn wrote is durable. After an error nothing is, except
// that [ErrCommitUnknown] leaves the question open. A panic rolls back and goes
// on. Serialization failures and deadlocks are retried up to five times, so fn
// MAY RUN MORE THAN ONCE: it must not touch anything outside tx, and it must
// set its results anew on each run. Never call the network inside fn, and never
// use the pool inside fn: with a pool of one that waits for itself for ever.
func InTx(ctx context.Context, db *DB, fn func(tx Tx) error) error {
	var err error
	for try := range txAttempts {
		if try > 0 {
			if waitErr := pause(ctx, try); waitErr != nil {
				return err
			}
		}
		var used []string
		used, err = db.once(ctx, fn)
		db.prepareLater(ctx, used)
		if err == nil || !Retriable(err) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d attempts: %w", txAttempts, err)
}

func pause(ctx context.Context, try int) error {
	d := time.Duration(try) * time.Duration(1+rand.IntN(8)) * time.Millisecond
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (db *DB) once(ctx context.Context, fn func(tx Tx) error) (unprepared []string, err error) {
	raw, err := db.pool.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	t := &tx{raw: raw, db: db}
	// Deferred, so that a panic in fn rolls back too. After a commit it is a
	// no-op that answers ErrTxDone.
	defer func() { _ = raw.Rollback() }()

	if err := fn(t); err != nil {
		return t.unprepared, err
	}
	if err := raw.Commit(); err != nil {
		return t.unprepared, commitError(err)
	}
	// A context that ends while the commit waits for a standby cancels the wait, and the
	// server answers as if it was over: then this server alone has the commit.
	if ended := ctx.Err(); ended != nil {
		return t.unprepared, fmt.Errorf("%w: its wait was cut short: %s", ErrCommitUnknown, ended.Error())
	}
	return t.unprepared, nil
}

// commitError tells "the server refused" from "the answer was lost". The server
// names a reason (a deferred constraint, a serialization failure): rolled back
// for certain. A context that ended before COMMIT was sent: rolled back too.
func commitError(err error) error {
	switch {
	case serverError(err) != nil && !Unavailable(err):
		return err
	case errors.Is(err, sql.ErrTxDone), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
}

// prepareLater prepares, outside the transaction, what it ran unprepared.
// Preparing inside would take a second connection from the pool.
func (db *DB) prepareLater(ctx context.Context, queries []string) {
	for _, q := range queries {
		if _, err := db.stmt(context.WithoutCancel(ctx), q); err != nil {
			return
		}
	}
}

type tx struct {
	raw        *sqlx.Tx
	db         *DB
	unprepared []string
}

func (t *tx) sealed() {}

func (t *tx) stmt(ctx context.Context, query string) *sqlx.Stmt {
	if s := t.db.known(query); s != nil {
		return t.raw.StmtxContext(ctx, s)
	}
	t.unprepared = append(t.unprepared, query)
	return nil
}

func (t *tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	var (
		res sql.Result
		err error
	)
	if s := t.stmt(ctx, query); s != nil {
		res, err = s.ExecContext(ctx, args...)
	} else {
		res, err = t.raw.ExecContext(ctx, query, args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) Get(ctx context.Context, dest any, query string, args ...any) error {
	if s := t.stmt(ctx, query); s != nil {
		return s.GetContext(ctx, dest, args...)
	}
	return t.raw.GetContext(ctx, dest, query, args...)
}

func (t *tx) Select(ctx context.Context, dest any, query string, args ...any) error {
	if s := t.stmt(ctx, query); s != nil {
		return s.SelectContext(ctx, dest, args...)
	}
	return t.raw.SelectContext(ctx, dest, query, args...)
}
