// Package adaptertest judges an adapter of payonce/once: a driver of Postgres in the
// form that the patterns need.
//
// It works on a real server and through a proxy that loses replies. An adapter that
// passes keeps what [once.DB] says: what is committed after nil, after an error and
// after a lost COMMIT, which failures are tried again, that a session is one connection
// and never another, and that a listener hears again after its connection broke.
package adaptertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	_ "github.com/lib/pq" // the suite's own way to the server, whatever the adapter's is
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/oncetest"
)

// Adapter is what is judged.
type Adapter struct {
	// Open makes a pool of at most size connections, which ends with the test.
	Open func(t testing.TB, dsn string, size int) once.DB
	// Begin begins a transaction in the driver's own way, as code does that has one
	// already.
	Begin func(t testing.TB, dsn string) (tx once.Tx, commit, rollback func() error)
}

// Run judges the adapter.
func Run(t *testing.T, a Adapter) {
	t.Helper()
	database, schemas := oncetest.Postgres(t), 0
	for name, test := range map[string]func(*testing.T, world){
		"after nil everything is committed and after an error nothing":     committed,
		"a panic rolls back and goes on":                                   panicked,
		"two transactions that deadlock both commit":                       deadlocked,
		"a serialization failure is run again, five times at most":         fiveAttempts,
		"what cannot be retried runs once":                                 ranOnce,
		"a lost reply to COMMIT is unknown and not run again":              lostCommit,
		"a COMMIT that the server refuses is no unknown one":               refusedCommit,
		"a transaction of which a statement failed does not commit":        failedTransaction,
		"a context that ended before the COMMIT leaves nothing":            endedBefore,
		"a commit whose wait was cut short is unknown":                     endedMeanwhile,
		"a pool of one is enough":                                          poolOfOne,
		"the caller's transaction commits and rolls back by its caller":    callers,
		"an error of the server keeps its state and its constraint's name": states,
		"ids are strings whatever their type":                              ids,
		"an array is one parameter":                                        arrays,
		"rows that break off say so when they are closed":                  brokenOff,
		"a session is one connection and its locks end with it":            session,
		"a session leaves a pool of one to transactions":                   sessionBeside,
		"a session that is lost is not replaced":                           lostSession,
		"what a session has set does not go back to the pool":              settings,
		"a listener hears, and hears again after its connection broke":     listen,
	} {
		schemas++
		schema := fmt.Sprintf("test_%d", schemas)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, a, database, schema))
		})
	}
}

// world is one test's schema, looked at past the adapter.
type world struct {
	Adapter
	dsn   string
	plain *sql.DB
}

func newWorld(t *testing.T, a Adapter, database, schema string) world {
	u, err := url.Parse(database)
	require.NoError(t, err)
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	w := world{Adapter: a, dsn: u.String()}
	w.plain, err = sql.Open("postgres", w.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.plain.Close() })
	w.exec(t, `CREATE SCHEMA `+schema)
	w.exec(t, `CREATE TABLE clicks (n bigint CONSTRAINT clicks_n_once UNIQUE)`)
	return w
}

const click = `INSERT INTO clicks (n) VALUES ($1)`

func (w world) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := w.plain.ExecContext(t.Context(), query, args...)
	require.NoError(t, err)
}

func (w world) clicks(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, w.plain.QueryRowContext(t.Context(), `SELECT count(*) FROM clicks`).Scan(&n))
	return n
}

// soon waits for what another connection is about to see.
func soon(t *testing.T, is func() bool, what string) {
	t.Helper()
	require.Eventually(t, is, 20*time.Second, 5*time.Millisecond, what)
}

func clicked(ctx context.Context, n int) func(once.Tx) error {
	return func(tx once.Tx) error {
		_, err := tx.Exec(ctx, click, n)
		return err
	}
}

var errMine = errors.New("mine")
