package once

import (
	"context"
	"database/sql"
	"errors"
)

// Tx is an open transaction. Its owner ends it: [DB.InTx], or the code that began it
// and gave it to [SQL] or to an adapter's function of that kind. A function that takes
// a Tx is therefore called inside a transaction or not at all; a pool and a connection
// have other methods and do not compile in its place.
type Tx interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// Query runs a statement and returns its rows. Its caller closes them before the
	// next statement.
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// Rows are what a query returned, one at a time. Close may be called more than once,
// and says what Err says.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// One reads the first row into dest and says whether there is one.
func One(rows Rows, err error, dest ...any) (found bool, _ error) {
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return false, rows.Err()
	}
	if err := rows.Scan(dest...); err != nil {
		return false, err
	}
	return true, rows.Close()
}

// All reads each row into a value; into says where its columns go.
func All[T any](rows Rows, err error, into func(*T) []any) (all []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var one T
		if err := rows.Scan(into(&one)...); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Close()
}

// databaseTx is what *sql.Tx and *sqlx.Tx have. Rollback keeps others out: *sql.DB,
// *sql.Conn and their sqlx twins run statements too, but each by itself.
type databaseTx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	Rollback() error
}

// SQL makes a Tx of a transaction of database/sql or sqlx that its caller began and
// will commit. When that COMMIT fails without the server's reason, the outcome is
// unknown: the caller looks what the database holds and does not run the work again.
func SQL(tx databaseTx) Tx { return callers{tx} }

type callers struct{ tx databaseTx }

func (c callers) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := c.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c callers) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return SQLRows(c.tx.QueryContext(ctx, query, args...))
}

// SQLRows makes Rows of what database/sql returned. Its rows close themselves when they
// break, and their Close then says nothing of it.
func SQLRows(rows *sql.Rows, err error) (Rows, error) {
	if err != nil {
		return nil, err
	}
	return sqlRows{rows}, nil
}

type sqlRows struct{ *sql.Rows }

func (r sqlRows) Close() error { return errors.Join(r.Rows.Close(), r.Err()) }
