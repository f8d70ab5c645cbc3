package nettest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAReadIsNoWriteHoweverManyParenthesesItHas(t *testing.T) {
	t.Parallel()
	for _, reads := range []string{
		`SELECT id FROM outbox WHERE NOT published LIMIT 1`,
		`SELECT count(*) FILTER (WHERE n = 1), coalesce(bool_or(a), false) FROM pg_locks WHERE pid = pg_backend_pid()`,
		`SELECT e.id FROM unnest(CAST($1 AS smallint[])) AS asked (no, after) CROSS JOIN LATERAL (SELECT id FROM x WHERE seq NOT IN (SELECT 1)) AS e`,
		`SELECT EXISTS (SELECT FROM seen WHERE id = $1)`,
	} {
		require.False(t, mayWrite(reads), reads)
	}
	for _, writes := range []string{
		`WITH p AS (UPDATE a SET b = 1 RETURNING 1) SELECT count(*) FROM p`, `SELECT pg_notify('x', '')`, `SELECT nextval('s')`, `select our_own($1)`,
	} {
		require.True(t, mayWrite(writes), writes)
	}
}
