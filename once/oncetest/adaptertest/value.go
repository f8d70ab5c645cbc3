package adaptertest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once"
)

func states(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 2)
	require.NoError(t, db.InTx(t.Context(), clicked(t.Context(), 1)))
	err := db.InTx(t.Context(), clicked(t.Context(), 1))
	require.Equal(t, "23505", once.SQLState(err))
	require.True(t, once.UniqueViolation(err))
	require.Equal(t, "clicks_n_once", db.Constraint(err))
	require.False(t, once.Unavailable(err))

	require.Empty(t, db.Constraint(errMine))
	require.Empty(t, db.Constraint(db.InTx(t.Context(), func(tx once.Tx) error {
		_, err := tx.Exec(t.Context(), `SELECT 1 / 0`)
		return err
	})))

	require.True(t, once.Canceled(db.InTx(t.Context(), func(tx once.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL statement_timeout = 20`); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `SELECT pg_sleep(10)`)
		return err
	})))

	require.NoError(t, db.InTx(t.Context(), func(holder once.Tx) error {
		if _, err := holder.Exec(t.Context(), `SELECT n FROM clicks WHERE n = 1 FOR UPDATE`); err != nil {
			return err
		}
		require.True(t, once.LockTimeout(db.InTx(t.Context(), func(tx once.Tx) error {
			if _, err := tx.Exec(t.Context(), `SET LOCAL lock_timeout = 20`); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), `SELECT n FROM clicks WHERE n = 1 FOR UPDATE`)
			return err
		})))
		return nil
	}))

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = w.Open(t, "postgres://u@127.0.0.1:1/d?sslmode=disable", 1).Read(ctx, `SELECT 1`)
	require.True(t, once.Unavailable(err), "%v", err)
}

// A caller that reads to the end and returns what Close says has read everything, or has
// an error.
func brokenOff(t *testing.T, w world) {
	const breaks = `SELECT 1 / (3 - x) FROM generate_series(1, 5) AS x`
	read := func(rows once.Rows, err error) (n int, _ error) {
		require.NoError(t, err)
		for rows.Next() {
			n++
		}
		return n, rows.Close()
	}
	db := w.Open(t, w.dsn, 1)
	n, err := read(db.Read(t.Context(), breaks))
	require.Equal(t, 2, n)
	require.Equal(t, "22012", once.SQLState(err))
	require.Error(t, db.InTx(t.Context(), func(tx once.Tx) error { _, err := read(tx.Query(t.Context(), breaks)); return err }))
	tx, _, rollback := w.Begin(t, w.dsn)
	_, err = read(tx.Query(t.Context(), breaks))
	require.Equal(t, "22012", once.SQLState(err))
	require.NoError(t, rollback())
	s, err := db.Session(t.Context())
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	_, err = read(s.Read(t.Context(), breaks))
	require.Equal(t, "22012", once.SQLState(err))
}

func ids(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	const id = "0198c2f0-5e6b-7cc3-8f01-9d2b40a31c55"
	for _, kind := range []string{"uuid", "text"} {
		w.exec(t, `CREATE TABLE of_`+kind+` (id `+kind+` PRIMARY KEY, other `+kind+`)`)
		require.NoError(t, db.InTx(t.Context(), func(tx once.Tx) error {
			changed, err := tx.Exec(t.Context(), `INSERT INTO of_`+kind+` (id, other) VALUES ($1, $2)`, id, nil)
			require.EqualValues(t, 1, changed)
			return err
		}), kind)
		var got string
		rows, err := db.Read(t.Context(), `SELECT id FROM of_`+kind+` WHERE id = $1 AND other IS NULL`, id)
		found, err := once.One(rows, err, &got)
		require.NoError(t, err, kind)
		require.True(t, found, kind)
		require.Equal(t, id, got, kind)
		rows, err = db.Read(t.Context(), `SELECT id FROM of_`+kind+` WHERE id = ANY ($1)`, once.Array([]string{id}))
		found, err = once.One(rows, err, &got)
		require.NoError(t, err, kind)
		require.True(t, found, kind)
	}
}

func arrays(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	texts := []string{"", "plain", `a "quoted" one`, `back\slash`, "with, comma", "{braces}", "NULL", "line\nbreak", "ü – 票"}
	round(t, db, `SELECT x FROM unnest($1::text[]) WITH ORDINALITY AS u (x, i) ORDER BY i`, once.Array(texts), texts)
	round(t, db, `SELECT x FROM unnest($1::bigint[]) WITH ORDINALITY AS u (x, i) ORDER BY i`, once.Array([]int64{-1, 0, 1 << 62}), []int64{-1, 0, 1 << 62})
	round(t, db, `SELECT x FROM unnest($1::int[]) WITH ORDINALITY AS u (x, i) ORDER BY i`, once.Array([]int{7, -7}), []int{7, -7})
	round(t, db, `SELECT x FROM unnest($1::bool[]) WITH ORDINALITY AS u (x, i) ORDER BY i`, once.Array([]bool{true, false}), []bool{true, false})
	bytes := [][]byte{{}, {0, 1, 255}, []byte(`"\`)}
	round(t, db, `SELECT x FROM unnest($1::bytea[]) WITH ORDINALITY AS u (x, i) ORDER BY i`, once.Array(bytes), bytes)
	round(t, db, `SELECT x FROM unnest($1::text[]) AS u (x)`, once.Array([]string(nil)), []string(nil))
}

// round sends an array and reads its elements.
func round[T any](t *testing.T, db once.DB, query, array string, want []T) {
	t.Helper()
	rows, err := db.Read(t.Context(), query, array)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	var got []T
	for rows.Next() {
		var one T
		require.NoError(t, rows.Scan(&one))
		got = append(got, one)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, want, got)
}
