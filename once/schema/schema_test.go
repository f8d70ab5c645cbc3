package schema_test

import (
	"context"
	"io/fs"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	oncepgx "payonce/once/pgx"
	oncepq "payonce/once/pq"
	"payonce/once/schema"
)

func adapters(t *testing.T, dsn string) map[string]once.DB {
	t.Helper()
	overPq, err := oncepq.Open(oncepq.Config{DSN: dsn})
	require.NoError(t, err)
	t.Cleanup(func() { _ = overPq.Close() })
	pool, err := pgxpool.New(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return map[string]once.DB{"pq": overPq, "pgx": oncepgx.New(pool)}
}

func TestTwoProcessesApplyAtOnceAndAgainAndEachFileIsAppliedOnce(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(schema.Files, "*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	type outcome struct {
		applied int
		err     error
	}
	outcomes := make(chan outcome, 4)
	for _, db := range adapters(t, oncetest.Postgres(t)) {
		for range 2 {
			go func() {
				applied, err := schema.Apply(context.Background(), db, "billing")
				outcomes <- outcome{applied, err}
			}()
		}
	}
	applied := 0
	for range cap(outcomes) {
		o := <-outcomes
		require.NoError(t, o.err)
		applied += o.applied
	}
	require.Equal(t, len(files), applied)
}

// The limits of a session are for requests; one who applies waits for its turn.
func TestOneWhoAppliesWaitsForAnotherLongerThanASessionWaitsForALock(t *testing.T) {
	t.Parallel()
	dsn := oncetest.Postgres(t)
	first := dbtest.OpenPq(t, dsn)
	hasty, err := oncepq.Open(oncepq.Config{DSN: dsn, LockTimeout: 20 * time.Millisecond, StatementTimeout: 100 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { _ = hasty.Close() })
	var applied int
	outcome := make(chan error, 1)
	require.NoError(t, first.InTx(t.Context(), func(tx once.Tx) error {
		if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('once_versions', 0))`); err != nil {
			return err
		}
		go func() {
			var err error
			applied, err = schema.Apply(context.Background(), hasty, "billing")
			outcome <- err
		}()
		time.Sleep(300 * time.Millisecond)
		return nil
	}))
	require.NoError(t, <-outcome)
	require.Positive(t, applied)
}

func TestTwoNamesHaveTablesOfTheirOwnInOneDatabase(t *testing.T) {
	t.Parallel()
	for driver, db := range adapters(t, oncetest.Postgres(t)) {
		for _, name := range []once.Name{once.Name("billing_" + driver), once.Name("loyalty_" + driver), map[string]once.Name{"pq": "order", "pgx": "user"}[driver]} {
			applied, err := schema.Apply(t.Context(), db, name)
			require.NoError(t, err)
			require.Positive(t, applied)
			var n int
			rows, err := db.Read(t.Context(), once.Schema(name).In(`SELECT count(*) FROM {webhook_receipts}`))
			_, err = once.One(rows, err, &n)
			require.NoError(t, err)
		}
	}
}

func TestANameThatCouldNotBePartOfAnotherIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []once.Name{"", "Billing", "1st", "a-b", `a"b`, "a.b", "abcdefghijklmnopqrstuvwxyz_123456", "pg_mine"} {
		_, err := schema.Apply(t.Context(), nil, name)
		require.ErrorContains(t, err, "a-z", "%q", name)
	}
}

func TestTheDaysOfANameAreMadeAheadByAnyNumberOfProcessesAtOnceAndOfNoOtherName(t *testing.T) {
	t.Parallel()
	db := dbtest.Pq(t, "order") // a word of SQL
	_, err := schema.Apply(t.Context(), db, "billing")
	require.NoError(t, err)
	days := func(name string) int {
		return dbtest.Int(t, db, `SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass($1)`, name)
	}
	before := days(`"order".consumer_inbox`)
	made := make(chan int, 4)
	for range cap(made) {
		go func() {
			var n int
			assert.NoError(t, db.InTx(t.Context(), func(tx once.Tx) error {
				rows, err := tx.Query(t.Context(), once.Schema("order").In(
					`SELECT {ensure_days}('{consumer_inbox}', (now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date + 40)`))
				_, err = once.One(rows, err, &n)
				return err
			}))
			made <- n
		}()
	}
	all := 0
	for range cap(made) {
		all += <-made
	}
	require.Equal(t, 9, all, "from the 32nd day on")
	require.Equal(t, before+9, days(`"order".consumer_inbox`))
	require.Equal(t, before, days(`billing.consumer_inbox`))
}
