package oncepgx_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/oncetest/adaptertest"
	oncepgx "payonce/once/pgx"
)

func open(t testing.TB, dsn string, size int) *pgxpool.Pool {
	t.Helper()
	cfg, err := oncepgx.Configure(dsn)
	require.NoError(t, err)
	cfg.MaxConns = int32(size)
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// A DSN that is shared with reports may prefer a standby; nothing is decided from one.
func TestNoSessionGoesToAReplicaWhateverTheDSNAsksFor(t *testing.T) {
	t.Parallel()
	for _, attrs := range []string{"", "any", "read-write", "read-only", "standby", "prefer-standby"} {
		cfg, err := oncepgx.Configure("postgres://u@127.0.0.1/d?target_session_attrs=" + attrs)
		if attrs == "" {
			cfg, err = oncepgx.Configure("postgres://u@127.0.0.1/d")
		}
		require.NoError(t, err)
		require.Equal(t, reflect.ValueOf(pgconn.ValidateConnectTargetSessionAttrsPrimary).Pointer(), reflect.ValueOf(cfg.ConnConfig.ValidateConnect).Pointer(), attrs)
	}
}

func TestTheAdapterOfPgx(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Adapter{
		Open: func(t testing.TB, dsn string, size int) once.DB { return oncepgx.New(open(t, dsn, size)) },
		Begin: func(t testing.TB, dsn string) (once.Tx, func() error, func() error) {
			tx, err := open(t, dsn, 1).Begin(t.Context())
			require.NoError(t, err)
			return oncepgx.Tx(tx), func() error { return tx.Commit(context.WithoutCancel(t.Context())) }, func() error { return tx.Rollback(context.WithoutCancel(t.Context())) }
		},
	})
}
