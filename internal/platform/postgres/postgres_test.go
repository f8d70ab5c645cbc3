package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/migrations"
)

const (
	insertMerchant = `INSERT INTO merchants (id, api_key_hash) VALUES ($1, $2)`
	countMerchants = `SELECT count(*) FROM merchants`
)

func merchants(t *testing.T, db *postgres.DB) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, countMerchants))
	return n
}

func insert(ctx context.Context, tx postgres.Tx) error {
	id := uuid.New()
	_, err := tx.Exec(ctx, insertMerchant, id, id[:])
	return err
}

func TestAPoolOfOneIsEnough(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: devtest.DSN(t), PoolSize: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 3 {
		require.NoError(t, postgres.InTx(ctx, db, func(tx postgres.Tx) error {
			var n int
			if err := tx.Get(ctx, &n, countMerchants); err != nil {
				return err
			}
			return insert(ctx, tx)
		}))
	}
	require.Equal(t, 3, merchants(t, db))
}

func TestAReadRefusesAStatementThatWrites(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	for _, query := range []string{
		`INSERT INTO merchants (id, api_key_hash) VALUES (gen_random_uuid(), '') RETURNING 1`,
		`WITH d AS (DELETE FROM merchants RETURNING 1) SELECT count(*) FROM d`,
		"UPDATE merchants SET created_at = now() RETURNING 1",
		"SELECT 1 FROM merchants FOR UPDATE",
		"SELECT pg_notify('a', 'b')",
	} {
		var n int
		require.ErrorIs(t, db.Get(t.Context(), &n, query), postgres.ErrWriteOutsideTx, query)
	}
	var n int
	require.NoError(t, db.Get(t.Context(), &n, "SELECT 1 -- does not UPDATE anything, whatever DELETE FROM says"))
}

func TestTwoProcessesMigrateAtOnceAndAgain(t *testing.T) {
	t.Parallel()
	dsn := devtest.EmptyDSN(t)
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := postgres.Migrate(context.Background(), postgres.Config{DSN: dsn}, migrations.Files)
			errs <- err
		}()
	}
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	n, err := postgres.Migrate(t.Context(), postgres.Config{DSN: dsn}, migrations.Files)
	require.NoError(t, err)
	require.Zero(t, n)
	current, newest, err := postgres.SchemaVersion(t.Context(), postgres.Config{DSN: dsn}, migrations.Files)
	require.NoError(t, err)
	require.Equal(t, newest, current)
}
