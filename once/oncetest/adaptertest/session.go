package adaptertest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once"
)

const tryLock = `SELECT pg_try_advisory_lock($1)`

func answer[T any](t *testing.T, s once.Session, query string, args ...any) (value T) {
	t.Helper()
	rows, err := s.Read(t.Context(), query, args...)
	found, err := once.One(rows, err, &value)
	require.NoError(t, err)
	require.True(t, found)
	return value
}

func session(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 2)
	first, err := db.Session(t.Context())
	require.NoError(t, err)
	second, err := db.Session(t.Context())
	require.NoError(t, err)
	defer func() { _ = second.Close() }()
	require.True(t, answer[bool](t, first, tryLock, 7))
	require.Equal(t, answer[int](t, first, `SELECT pg_backend_pid()`), answer[int](t, first, `SELECT pg_backend_pid()`))
	require.False(t, answer[bool](t, second, tryLock, 7))
	changed, err := first.Do(t.Context(), click, 1)
	require.NoError(t, err)
	require.EqualValues(t, 1, changed)
	require.Equal(t, 1, w.clicks(t), "it committed by itself")
	require.NoError(t, first.Close())
	soon(t, func() bool { return answer[bool](t, second, tryLock, 7) }, "its lock ended with it")
}

// What a program holds for as long as it runs must leave a small pool to its work.
func sessionBeside(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	for range 2 {
		held, err := db.Session(t.Context())
		require.NoError(t, err)
		defer func() { _ = held.Close() }()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, db.InTx(ctx, func(tx once.Tx) error { _, err := tx.Exec(ctx, click, 1); return err }))
	require.Equal(t, 1, w.clicks(t))
}

func lostSession(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 2)
	s, err := db.Session(t.Context())
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	w.exec(t, `SELECT pg_terminate_backend($1)`, answer[int](t, s, `SELECT pg_backend_pid()`))
	soon(t, func() bool { _, err := s.Do(t.Context(), `SELECT 1`); return err != nil }, "it is gone")
	for range 3 {
		_, err := s.Do(t.Context(), click, 1)
		require.Error(t, err)
		require.True(t, once.Unavailable(err), "%v", err)
	}
	require.Zero(t, w.clicks(t))
}

func settings(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 1)
	s, err := db.Session(t.Context())
	require.NoError(t, err)
	_, err = s.Do(t.Context(), `SELECT set_config('idle_session_timeout', '12345', false)`)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "a second time says nothing new")
	again, err := db.Session(t.Context())
	require.NoError(t, err, "its place in the pool is free")
	defer func() { _ = again.Close() }()
	require.Equal(t, "0", answer[string](t, again, `SELECT current_setting('idle_session_timeout')`))
}

func listen(t *testing.T, w world) {
	db := w.Open(t, w.dsn, 2)
	ctx, stop := context.WithCancel(t.Context())
	var notified, troubles atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		db.Listen(ctx, "Clicks_and more", func() { notified.Add(1) }, func(error) { troubles.Add(1) })
	}()
	soon(t, func() bool { return notified.Load() > 0 }, "it listens")
	gets := func() {
		before := notified.Load()
		w.exec(t, `SELECT pg_notify('Clicks_and more', '')`)
		soon(t, func() bool { return notified.Load() > before }, "a notification")
	}
	gets()

	before := notified.Load()
	w.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'`)
	soon(t, func() bool { return notified.Load() > before }, "it listens again, and says that it may have missed something")
	require.Positive(t, troubles.Load())
	gets()
	stop()
	<-over
}
