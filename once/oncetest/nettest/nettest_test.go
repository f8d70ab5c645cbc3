package nettest_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/oncetest"
	"payonce/once/oncetest/nettest"
	oncepq "payonce/once/pq"
)

var ends = []nettest.End{nettest.Close, nettest.Reset}

func behindProxy(t *testing.T) (*nettest.Proxy, *oncepq.DB, func(query string) int) {
	t.Helper()
	dsn := oncetest.Postgres(t)
	proxy := nettest.NewProxy(t, dsn)
	open := func(dsn string) *oncepq.DB {
		db, err := oncepq.Open(oncepq.Config{DSN: dsn, PoolSize: 2})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	straight, behind := open(dsn), open(proxy.URL())
	exec(t, straight, `CREATE TABLE clicks (n integer)`)
	return proxy, behind, func(query string) (n int) {
		rows, err := straight.Read(t.Context(), query)
		_, err = once.One(rows, err, &n)
		require.NoError(t, err)
		return n
	}
}

func exec(t *testing.T, db *oncepq.DB, query string, args ...any) {
	t.Helper()
	require.NoError(t, insert(t.Context(), db, query, args...))
}

func insert(ctx context.Context, db *oncepq.DB, query string, args ...any) error {
	return db.InTx(ctx, func(tx once.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}

const click = `INSERT INTO clicks (n) VALUES ($1)`

func TestALostReplyOfCommitIsUnknownAndTheRowIsThereOnce(t *testing.T) {
	t.Parallel()
	for _, end := range ends {
		t.Run(string(end), func(t *testing.T) {
			t.Parallel()
			proxy, db, count := behindProxy(t)
			exec(t, db, click, 1)
			loss := proxy.Lose(nettest.Commit(click), end)
			require.ErrorIs(t, insert(t.Context(), db, click, 2), once.ErrCommitUnknown)
			require.True(t, loss.Happened())
			require.Equal(t, 1, count(`SELECT count(*) FROM clicks WHERE n = 2`), "it was committed")
			exec(t, db, click, 3)
			require.Equal(t, 3, count(`SELECT count(*) FROM clicks`), "and the proxy carries on")
		})
	}
}

// TestDatabaseSQLRunsAStatementAgainWhoseReplyWasLost is the trap for which a
// single statement must be idempotent by construction: two rows and no error.
func TestDatabaseSQLRunsAStatementAgainWhoseReplyWasLost(t *testing.T) {
	t.Parallel()
	for _, end := range ends {
		t.Run(string(end), func(t *testing.T) {
			t.Parallel()
			proxy, _, count := behindProxy(t)
			pool, err := sql.Open("postgres", proxy.URL())
			require.NoError(t, err)
			defer func() { _ = pool.Close() }()
			statement, err := pool.PrepareContext(t.Context(), click)
			require.NoError(t, err)
			defer func() { _ = statement.Close() }()
			loss := proxy.Lose(nettest.Commit(click), end)
			_, err = statement.ExecContext(t.Context(), 7)
			require.True(t, loss.Happened())
			rows := count(`SELECT count(*) FROM clicks`)
			if end == nettest.Close {
				require.NoError(t, err)
				require.Equal(t, 2, rows, "an end of file is a bad connection: run again, without an error")
				return
			}
			require.Error(t, err, "a reset is an error")
			require.Equal(t, 1, rows)
		})
	}
}

func TestWhatPostgresRefusesIsNotLost(t *testing.T) {
	t.Parallel()
	proxy, db, count := behindProxy(t)
	loss := proxy.Lose(nettest.Commit("INSERT INTO"), nettest.Reset)
	require.Error(t, insert(t.Context(), db, `INSERT INTO nowhere (n) VALUES ($1)`, 1))
	require.False(t, loss.Happened())
	require.ErrorIs(t, insert(t.Context(), db, click, 1), once.ErrCommitUnknown)
	require.True(t, loss.Happened())
	require.Equal(t, 1, count(`SELECT count(*) FROM clicks`))
}

// TestGoSendsAPostAgainThatCarriesAKey is the trap for which a provider's key
// must be deterministic: one Do, two requests at the server.
func TestGoSendsAPostAgainThatCarriesAKey(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, served.Add(1))
	}))
	defer server.Close()
	proxy := nettest.NewProxy(t, server.URL)
	client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	post := func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, proxy.URL()+path, strings.NewReader("{}"))
		require.NoError(t, err)
		req.Header.Set("Idempotency-Key", "K")
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	require.Equal(t, "1", post("/a"), "the connection is in use from here on")
	loss := proxy.Lose(nettest.Answer("POST /charge "), nettest.Close)
	require.Equal(t, "3", post("/charge"), "the second answer is all that the caller sees")
	require.True(t, loss.Happened())
}
