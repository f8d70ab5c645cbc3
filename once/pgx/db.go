package oncepgx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"payonce/once"
)

// Configure parses a DSN into the configuration of a pool whose sessions carry
// timeouts (locks 2 s, statements and idle transactions 5 s, unless the DSN has its
// own) and go to the primary only.
func Configure(dsn string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The parser's error may quote the DSN, and so the password.
		return nil, errors.New("the Postgres DSN cannot be parsed; expected postgres://user:password@host:port/database")
	}
	for name, limit := range map[string]string{"lock_timeout": "2000", "statement_timeout": "5000", "idle_in_transaction_session_timeout": "5000"} {
		if _, given := cfg.ConnConfig.RuntimeParams[name]; !given {
			cfg.ConnConfig.RuntimeParams[name] = limit
		}
	}
	// Also where the DSN asks for a standby: nothing is decided from a replica.
	cfg.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	return cfg, nil
}

// DB is a pool of connections.
type DB struct{ pool *pgxpool.Pool }

var _ once.DB = (*DB)(nil)

// New is the adapter over a pool. Its owner closes the pool.
func New(pool *pgxpool.Pool) *DB { return &DB{pool} }

// InTx implements [once.DB].
func (db *DB) InTx(ctx context.Context, fn func(tx once.Tx) error) error {
	return once.Attempts(ctx, func() error { return db.transaction(ctx, fn) })
}

func (db *DB) transaction(ctx context.Context, fn func(tx once.Tx) error) error {
	tx, err := db.pool.Begin(ctx)
	if err != nil {
		return err
	}
	// Deferred, so that a panic in fn rolls back too. After a commit it is a no-op.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := fn(Tx(tx)); err != nil {
		return err
	}
	// What can be known before is asked before. Afterwards pgx says of a lost reply too
	// that it was safe to retry ("conn closed").
	select {
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	if tx.Conn().IsClosed() {
		return said(pgconn.ErrConnClosed)
	}
	err = tx.Commit(ctx)
	unsent := errors.Is(err, pgx.ErrTxClosed) || errors.Is(err, pgx.ErrTxCommitRollback)
	return once.Committed(ctx, err, unsent)
}

// said gives an error of pgx's own, of a connection that broke, the form that
// [once.Unavailable] knows.
func said(err error) error {
	if errors.Is(err, pgconn.ErrConnClosed) {
		return fmt.Errorf("%w: %w", net.ErrClosed, err)
	}
	return err
}

// Read implements [once.DB].
func (db *DB) Read(ctx context.Context, query string, args ...any) (once.Rows, error) {
	return wrapped(db.pool.Query(ctx, query, args...))
}

// Constraint implements [once.DB].
func (db *DB) Constraint(err error) string {
	var server *pgconn.PgError
	if errors.As(err, &server) && strings.HasPrefix(server.Code, "23") {
		return server.ConstraintName
	}
	return ""
}

// Tx makes a once.Tx of a transaction that its caller began and will commit. When that
// COMMIT fails without the server's reason, the outcome is unknown: the caller looks
// what the database holds and does not run the work again.
func Tx(tx pgx.Tx) once.Tx { return transaction{tx} }

type transaction struct{ tx pgx.Tx }

func (t transaction) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, query, args...)
	return tag.RowsAffected(), said(err)
}

func (t transaction) Query(ctx context.Context, query string, args ...any) (once.Rows, error) {
	return wrapped(t.tx.Query(ctx, query, args...))
}

// rows give Close the error that pgx keeps.
type rows struct{ pgx.Rows }

func wrapped(r pgx.Rows, err error) (once.Rows, error) {
	if err != nil {
		return nil, said(err)
	}
	return rows{r}, nil
}

func (r rows) Err() error { return said(r.Rows.Err()) }

func (r rows) Close() error {
	r.Rows.Close()
	return r.Err()
}

// Session implements [once.DB].
func (db *DB) Session(ctx context.Context) (once.Session, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return session{conn.Hijack()}, nil
}

type session struct{ conn *pgx.Conn }

func (s session) Do(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := s.conn.Exec(ctx, query, args...)
	return tag.RowsAffected(), said(err)
}

func (s session) Read(ctx context.Context, query string, args ...any) (once.Rows, error) {
	return wrapped(s.conn.Query(ctx, query, args...))
}

// Close says goodbye, and waits for nothing that does not answer.
func (s session) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return s.conn.Close(ctx)
}
