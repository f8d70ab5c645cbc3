package e2e

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/platform/postgres"
)

// twice is a driver that does what a lost reply makes database/sql do: it runs
// each guarded statement, throws the answer away and runs it again. Between the
// two runs it compares the whole database.
type twice struct {
	driver.Connector
	watch   *sql.DB
	guarded map[string]string // query → name

	mu       sync.Mutex
	ran      map[string]int
	differed map[string]string
}

func newTwice(t *testing.T, dsn string) *twice {
	t.Helper()
	watch, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = watch.Close() })
	w := &twice{watch: watch, guarded: map[string]string{}, ran: map[string]int{}, differed: map[string]string{}}
	for _, s := range postgres.GuardedStatements() {
		w.guarded[s.Text()] = s.Name()
	}
	return w
}

func (w *twice) wrap(c driver.Connector) driver.Connector {
	w.Connector = c
	return w
}

func (w *twice) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := w.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return twiceConn{c.(conn), w}, nil
}

// conn is what lib/pq's connection can do and the pool needs.
type conn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

type twiceConn struct {
	conn
	w *twice
}

func (c twiceConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.conn.PrepareContext(ctx, query)
	name, guarded := c.w.guarded[query]
	if err != nil || !guarded {
		return s, err
	}
	return twiceStmt{s.(stmt), c.w, name}, nil
}

type stmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type twiceStmt struct {
	stmt
	w    *twice
	name string
}

func (s twiceStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if _, err := s.stmt.ExecContext(ctx, args); err != nil {
		return nil, err
	}
	before := s.w.digest()
	res, err := s.stmt.ExecContext(ctx, args)
	s.w.compare(s.name, before)
	return res, err
}

func (s twiceStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := s.stmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	values := make([]driver.Value, len(rows.Columns()))
	for err = rows.Next(values); err == nil; err = rows.Next(values) {
	}
	if closed := rows.Close(); closed != nil {
		return nil, closed
	}
	if err.Error() != "EOF" {
		return nil, err
	}
	before := s.w.digest()
	again, err := s.stmt.QueryContext(ctx, args)
	s.w.compare(s.name, before)
	return again, err
}

// met says whether a statement was run twice and compared.
func (w *twice) met(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ran[name] > 0
}

func (w *twice) compare(name, before string) {
	after := w.digest()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ran[name]++
	if before != after {
		w.differed[name] = firstDifference(before, after)
	}
}

func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range as {
		if i >= len(bs) || as[i] != bs[i] {
			return as[i]
		}
	}
	return "one has more tables"
}

// clock are columns whose only meaning is "now".
var clock = regexp.MustCompile(`^(beat_at|sampled_at)$`)

// digest is one line for each table: its name and a hash of its rows.
func (w *twice) digest() string {
	columns := map[string][]string{}
	rows, err := w.watch.Query(`SELECT table_name, column_name FROM information_schema.columns
	  WHERE table_schema = 'public' AND table_name !~ '_[0-9]{8}$' ORDER BY table_name, ordinal_position`)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return err.Error()
		}
		if !clock.MatchString(column) {
			columns[table] = append(columns[table], column)
		}
	}
	if err := rows.Err(); err != nil {
		return err.Error()
	}
	var lines []string
	for table, of := range columns {
		var hash string
		err := w.watch.QueryRow(fmt.Sprintf(`SELECT md5(coalesce(string_agg(r::text, '|' ORDER BY r::text), '')) FROM (SELECT %s FROM %s) AS r`,
			strings.Join(of, ", "), table)).Scan(&hash)
		if err != nil {
			hash = err.Error()
		}
		lines = append(lines, table+" "+hash)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}
