package oncepq

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"

	"payonce/once"
)

// DB is a pool of connections.
type DB struct {
	pool      *sql.DB
	dsn       string
	connector func() (driver.Connector, error) // of a session

	mu           sync.RWMutex
	prepared     map[string]*sql.Stmt
	unpreparable map[string]bool
}

var _ once.DB = (*DB)(nil)

// New is the adapter over a pool of lib/pq that exists. The DSN is for what needs a
// connection of its own: LISTEN and sessions.
func New(pool *sql.DB, dsn string) *DB {
	return over(pool, dsn, func() (driver.Connector, error) { return Connector(Config{DSN: dsn}) })
}

func over(pool *sql.DB, dsn string, connector func() (driver.Connector, error)) *DB {
	return &DB{pool: pool, dsn: dsn, connector: connector, prepared: map[string]*sql.Stmt{}, unpreparable: map[string]bool{}}
}

// Pool is what the adapter was made over.
func (db *DB) Pool() *sql.DB { return db.pool }

// Close ends every connection.
func (db *DB) Close() error { return db.pool.Close() }

// InTx implements [once.DB]. Inside fn nothing else of the pool is used: with a pool of
// one that waits for itself without end.
func (db *DB) InTx(ctx context.Context, fn func(tx once.Tx) error) error {
	return db.Transact(ctx, func(tx *Tx) error { return fn(tx) })
}

// Transact is InTx with this adapter's own [Tx], for code that needs the driver's.
func (db *DB) Transact(ctx context.Context, fn func(tx *Tx) error) error {
	return once.Attempts(ctx, func() error {
		unprepared, err := db.transaction(ctx, fn)
		if err == nil {
			db.prepare(ctx, unprepared)
		}
		return err
	})
}

// prepareFor bounds what a transaction that is over may still wait for.
const prepareFor = time.Second

// prepare is for the next transaction; it takes a connection, so no transaction may be
// open. What cannot be prepared by itself (two statements, or a table that only the
// transaction has seen) is not tried again.
func (db *DB) prepare(ctx context.Context, queries []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), prepareFor)
	defer cancel()
	for _, query := range queries {
		if _, err := db.Prepared(ctx, query); err != nil && once.SQLState(err) != "" {
			db.mu.Lock()
			db.unpreparable[query] = true
			db.mu.Unlock()
		}
	}
}

func (db *DB) transaction(ctx context.Context, fn func(tx *Tx) error) (unprepared []string, err error) {
	raw, err := db.pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	tx := &Tx{raw: raw, db: db}
	// Deferred, so that a panic in fn rolls back too. After a commit it is a
	// no-op that answers ErrTxDone.
	defer func() { _ = raw.Rollback() }()
	if err := fn(tx); err != nil {
		return tx.unprepared, err
	}
	err = raw.Commit()
	// database/sql looks at the context and at its own state before it sends anything,
	// and lib/pq commits no transaction of which a statement has failed.
	unsent := errors.Is(err, sql.ErrTxDone) || errors.Is(err, pq.ErrInFailedTransaction) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	return tx.unprepared, once.Committed(ctx, err, unsent)
}

// Prepared returns the prepared form of a statement; database/sql prepares it once
// on each connection that runs it. Queries are constants, so the set is small. It is
// never called inside a transaction.
func (db *DB) Prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := db.known(query); s != nil {
		return s, nil
	}
	s, err := db.pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	db.mu.Lock()
	twin := db.prepared[query]
	if twin == nil {
		db.prepared[query] = s
	}
	db.mu.Unlock()
	if twin != nil {
		_ = s.Close() // outside the lock: it waits for the connection, and statements there for the lock
		return twin, nil
	}
	return s, nil
}

func (db *DB) known(query string) *sql.Stmt {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.prepared[query]
}

func (db *DB) worthPreparing(query string) bool {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return !db.unpreparable[query]
}

// Read implements [once.DB].
func (db *DB) Read(ctx context.Context, query string, args ...any) (once.Rows, error) {
	s, err := db.Prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return once.SQLRows(s.QueryContext(ctx, args...)) //nolint:rowserrcheck // its caller's
}

// Constraint implements [once.DB].
func (db *DB) Constraint(err error) string { return Constraint(err) }

// Constraint is the name of the constraint by which the server refused a write, or "".
func Constraint(err error) string {
	var server *pq.Error
	if errors.As(err, &server) && strings.HasPrefix(string(server.Code), "23") {
		return server.Constraint
	}
	return ""
}

// Tx is a transaction of this adapter.
type Tx struct {
	raw        *sql.Tx
	db         *DB
	unprepared []string
}

// Raw is the driver's transaction. Its owner is [DB.Transact], which ends it.
func (t *Tx) Raw() *sql.Tx { return t.raw }

// Prepared is the statement, prepared, on the transaction's connection, or nil when the
// pool has not prepared it yet: then it is prepared after the transaction.
func (t *Tx) Prepared(ctx context.Context, query string) *sql.Stmt {
	if s := t.db.known(query); s != nil {
		return t.raw.StmtContext(ctx, s)
	}
	if t.db.worthPreparing(query) {
		t.unprepared = append(t.unprepared, query)
	}
	return nil
}

// Exec implements [once.Tx].
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	var result sql.Result
	var err error
	if s := t.Prepared(ctx, query); s != nil {
		result, err = s.ExecContext(ctx, args...)
	} else {
		result, err = t.raw.ExecContext(ctx, query, args...)
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Query implements [once.Tx].
func (t *Tx) Query(ctx context.Context, query string, args ...any) (once.Rows, error) {
	if s := t.Prepared(ctx, query); s != nil {
		return once.SQLRows(s.QueryContext(ctx, args...)) //nolint:rowserrcheck // its caller's
	}
	return once.SQLRows(t.raw.QueryContext(ctx, query, args...)) //nolint:rowserrcheck // its caller's
}

// Session implements [once.DB]. Its connection is none of the pool's: one that is held for
// good would starve a small pool, and one that was idle there may be dead without a sign.
func (db *DB) Session(ctx context.Context) (once.Session, error) {
	connector, err := db.connector()
	if err != nil {
		return nil, err
	}
	own := sql.OpenDB(connector)
	conn, err := own.Conn(ctx)
	if err != nil {
		_ = own.Close()
		return nil, err
	}
	return &session{own, conn}, nil
}

type session struct {
	own  *sql.DB // holds this connection alone
	conn *sql.Conn
}

func (s *session) Do(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := s.conn.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (s *session) Read(ctx context.Context, query string, args ...any) (once.Rows, error) {
	return once.SQLRows(s.conn.QueryContext(ctx, query, args...)) //nolint:rowserrcheck // its caller's
}

// Close closes the connection with what holds it.
func (s *session) Close() error {
	_ = s.conn.Close() // a second time it is closed already
	return s.own.Close()
}
