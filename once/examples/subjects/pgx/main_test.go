package main

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"payonce/once/oncetest/killtest"
)

// asService makes this test binary the program.
const asService = "SUBJECT_AS_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestAServiceOnPgxHasEachEffectOnceWhereverItIsKilled(t *testing.T) {
	t.Parallel()
	var pool *pgxpool.Pool
	killtest.Run(t, killtest.Subject{
		Prepare: func(t testing.TB, at killtest.Services) {
			var err error
			pool, err = pgxpool.New(t.Context(), at.Postgres)
			require.NoError(t, err)
			t.Cleanup(pool.Close)
			_, err = pool.Exec(t.Context(), `CREATE TABLE seen (id text PRIMARY KEY); CREATE TABLE effects (id text NOT NULL, what text NOT NULL)`)
			require.NoError(t, err)
		},
		Start: killtest.Command(os.Args[0], nil, asService+"=yes"),
		Act:   killtest.Post("/"),
		Effects: func(ctx context.Context, _ killtest.Services, id string) (map[string]int, error) {
			var n int
			err := pool.QueryRow(ctx, `SELECT count(*) FROM effects WHERE id = $1`, id).Scan(&n)
			return map[string]int{"the order": n}, err
		},
	})
}
