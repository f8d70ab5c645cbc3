package adaptertest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/oncetest/nettest"
)

func committed(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 2)
	require.NoError(t, db.InTx(t.Context(), clicked(t.Context(), 1)))
	require.Equal(t, 1, w.clicks(t))
	require.ErrorIs(t, db.InTx(t.Context(), func(tx once.Tx) error {
		require.NoError(t, clicked(t.Context(), 2)(tx))
		return errMine
	}), errMine)
	require.Equal(t, 1, w.clicks(t))
}

func panicked(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	require.PanicsWithValue(t, "boom", func() {
		_ = db.InTx(t.Context(), func(tx once.Tx) error {
			require.NoError(t, clicked(t.Context(), 1)(tx))
			panic("boom")
		})
	})
	require.Zero(t, w.clicks(t))
	require.NoError(t, db.InTx(t.Context(), clicked(t.Context(), 1)), "its connection is free again")
}

func fiveAttempts(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	runs := 0
	fails := func(until int) func(once.Tx) error {
		runs = 0
		return func(tx once.Tx) error {
			if runs++; runs >= until {
				return clicked(t.Context(), 1)(tx)
			}
			_, err := tx.Exec(t.Context(), `DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$`)
			return err
		}
	}
	require.NoError(t, db.InTx(t.Context(), fails(5)))
	require.Equal(t, 5, runs)
	err := db.InTx(t.Context(), fails(6))
	require.True(t, once.Retriable(err), "%v", err)
	require.Equal(t, 5, runs)
	require.Equal(t, 1, w.clicks(t))
}

func deadlocked(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 2)
	w.exec(t, `INSERT INTO clicks VALUES (1), (2)`)
	const touch = `UPDATE clicks SET n = n WHERE n = $1`
	met := make(chan struct{})
	var runs atomic.Int32
	cross := func(one, other int) error {
		return db.InTx(t.Context(), func(tx once.Tx) error {
			if _, err := tx.Exec(t.Context(), touch, one); err != nil {
				return err
			}
			if runs.Add(1) == 2 {
				close(met)
			}
			<-met
			_, err := tx.Exec(t.Context(), touch, other)
			return err
		})
	}
	problems := make(chan error, 2)
	go func() { problems <- cross(1, 2) }()
	go func() { problems <- cross(2, 1) }()
	require.NoError(t, <-problems)
	require.NoError(t, <-problems)
	require.Greater(t, runs.Load(), int32(2), "one of them ran again")
}

func ranOnce(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	runs := 0
	require.Error(t, db.InTx(t.Context(), func(tx once.Tx) error {
		runs++
		_, err := tx.Exec(t.Context(), `INSERT INTO nowhere VALUES (1)`)
		return err
	}))
	require.Equal(t, 1, runs)
}

func lostCommit(t *testing.T, w world) {
	proxy := nettest.NewProxy(t, w.dsn)
	db := w.Open(t, proxy.URL(), 1)
	require.NoError(t, db.InTx(t.Context(), clicked(t.Context(), 0)))
	for i, end := range []nettest.End{nettest.Close, nettest.Reset} {
		loss := proxy.Lose(nettest.Commit(click), end)
		runs := 0
		err := db.InTx(t.Context(), func(tx once.Tx) error {
			runs++
			return clicked(t.Context(), i+1)(tx)
		})
		require.True(t, loss.Happened(), end)
		require.ErrorIs(t, err, once.ErrCommitUnknown, end)
		require.Equal(t, 1, runs, end)
		require.Equal(t, i+2, w.clicks(t), "it was committed")
	}
	require.NoError(t, db.InTx(t.Context(), clicked(t.Context(), 3)), "and the pool goes on")
}

func refusedCommit(t *testing.T, w world) {
	w.exec(t, `CREATE TABLE late (n bigint CONSTRAINT late_once UNIQUE DEFERRABLE INITIALLY DEFERRED)`)
	db := w.Open(t, w.dsn, 1)
	err := db.InTx(t.Context(), func(tx once.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO late VALUES (1), (1)`)
		return err
	})
	require.NotErrorIs(t, err, once.ErrCommitUnknown)
	require.True(t, once.UniqueViolation(err), err)
	require.Equal(t, "late_once", db.Constraint(err))
}

func failedTransaction(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	err := db.InTx(t.Context(), func(tx once.Tx) error {
		require.NoError(t, clicked(t.Context(), 1)(tx))
		_, err := tx.Exec(t.Context(), `INSERT INTO nowhere VALUES (1)`)
		require.Error(t, err)
		return nil // which says "commit"
	})
	require.Error(t, err)
	require.NotErrorIs(t, err, once.ErrCommitUnknown)
	require.Zero(t, w.clicks(t))
	require.NoError(t, db.InTx(t.Context(), clicked(t.Context(), 1)), "its connection is free again")
}

func endedBefore(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.InTx(ctx, func(tx once.Tx) error {
		defer cancel()
		return clicked(t.Context(), 1)(tx)
	})
	require.Error(t, err)
	require.NotErrorIs(t, err, once.ErrCommitUnknown)
	require.Zero(t, w.clicks(t))
}

// ending is a context that ends while the commit is under way, when its driver can
// still be answered: so does the deadline of a commit that waits for a standby.
type ending struct {
	context.Context
	over atomic.Bool
}

func (e *ending) Err() error {
	if e.over.Load() {
		return context.DeadlineExceeded
	}
	return nil
}

func endedMeanwhile(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	ctx := &ending{Context: context.WithoutCancel(t.Context())}
	err := db.InTx(ctx, func(tx once.Tx) error {
		defer ctx.over.Store(true)
		return clicked(t.Context(), 1)(tx)
	})
	require.ErrorIs(t, err, once.ErrCommitUnknown)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "which would say that nothing was done")
	require.Equal(t, 1, w.clicks(t), "and the truth was: committed")
}

func poolOfOne(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 3 {
		require.NoError(t, db.InTx(ctx, func(tx once.Tx) error {
			var before int
			rows, err := tx.Query(ctx, `SELECT count(*) FROM clicks WHERE n >= $1`, 0)
			if _, err := once.One(rows, err, &before); err != nil {
				return err
			}
			require.Equal(t, i, before)
			return clicked(ctx, i)(tx)
		}))
		var n int
		rows, err := db.Read(ctx, `SELECT count(*) FROM clicks`)
		found, err := once.One(rows, err, &n)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, i+1, n)
		rows, err = db.Read(ctx, `SELECT n FROM clicks WHERE n = $1`, 99)
		found, err = once.One(rows, err, &n)
		require.NoError(t, err)
		require.False(t, found)
	}
}

func callers(t *testing.T, w world) {
	tx, _, rollback := w.Begin(t, w.dsn)
	changed, err := tx.Exec(t.Context(), `INSERT INTO clicks SELECT generate_series(1, 3)`)
	require.NoError(t, err)
	require.EqualValues(t, 3, changed)
	require.NoError(t, rollback())
	require.Zero(t, w.clicks(t))

	tx, commit, _ := w.Begin(t, w.dsn)
	require.NoError(t, clicked(t.Context(), 4)(tx))
	rows, err := tx.Query(t.Context(), `SELECT n FROM clicks WHERE n > $1 ORDER BY n`, 0)
	require.NoError(t, err)
	var n int64
	require.True(t, rows.Next())
	require.NoError(t, rows.Scan(&n))
	require.EqualValues(t, 4, n)
	require.False(t, rows.Next())
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	require.NoError(t, commit())
	require.Equal(t, 1, w.clicks(t))
}
