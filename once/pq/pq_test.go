package oncepq_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/oncetest/adaptertest"
	oncepq "payonce/once/pq"
)

func TestTheAdapterOfLibPq(t *testing.T) {
	t.Parallel()
	judge(t, func(t testing.TB, dsn string, size int) once.DB {
		db, err := oncepq.Open(oncepq.Config{DSN: dsn, PoolSize: size})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return db
	})
}

func TestTheAdapterOverAPoolThatExists(t *testing.T) {
	t.Parallel()
	judge(t, func(t testing.TB, dsn string, size int) once.DB {
		pool, err := sql.Open("postgres", dsn)
		require.NoError(t, err)
		t.Cleanup(func() { _ = pool.Close() })
		pool.SetMaxOpenConns(size)
		return oncepq.New(pool, dsn)
	})
}

func judge(t *testing.T, open func(t testing.TB, dsn string, size int) once.DB) {
	t.Helper()
	adaptertest.Run(t, adaptertest.Adapter{
		Open: open,
		Begin: func(t testing.TB, dsn string) (once.Tx, func() error, func() error) {
			pool, err := sql.Open("postgres", dsn)
			require.NoError(t, err)
			t.Cleanup(func() { _ = pool.Close() })
			tx, err := pool.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			return once.SQL(tx), tx.Commit, tx.Rollback
		},
	})
}
