package calltest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/call"
)

// What follows from the outcome fails once: neither it nor the outcome is stored.
func anOutcomeAndWhatFollowsFromItAreOneTransaction(t *testing.T, d *depot) {
	ended, failed := d.books.Ended, 0
	d.books.Ended = func(ctx context.Context, tx once.Tx, r call.Record, o call.Outcome) error {
		if err := ended(ctx, tx, r, o); err != nil {
			return err
		}
		if failed++; failed == 1 {
			return errors.New("the printer is on fire")
		}
		return nil
	}
	r, err := d.ready("fire", 20*time.Millisecond)
	require.NoError(t, err)
	runner := d.runner(nil)
	_, err = runner.Run(t.Context(), r)
	var unknown *call.Error
	require.ErrorAs(t, err, &unknown)
	require.True(t, unknown.Sent)
	require.Zero(t, d.labels("fire"))
	d.sweep(runner, r.ID)
	d.once("fire")
}

// losing loses the answers of commits, each of which is durable.
type losing struct {
	once.DB
	mu   sync.Mutex
	left int
}

func (l *losing) InTx(ctx context.Context, fn func(tx once.Tx) error) error {
	err := l.DB.InTx(ctx, fn)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.left > 0 {
		l.left--
		return once.ErrCommitUnknown
	}
	return err
}

func afterALostCommitTheStepIsDoneOnce(t *testing.T, d *depot) {
	lossy := &losing{DB: d.db}
	d.books.DB = lossy
	lose := func(n int) { lossy.mu.Lock(); lossy.left = n; lossy.mu.Unlock() }
	runner := d.runner(nil)

	r, err := d.ready("completed", time.Minute)
	require.NoError(t, err)
	lose(1)
	a, err := runner.Run(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, call.Done, a.Status)
	d.once("completed")

	r, err = d.ready("released", time.Minute)
	require.NoError(t, err)
	d.courier.before = func(call.Record) error { return call.ErrNotSent }
	lose(1)
	a, err = runner.Run(t.Context(), r)
	require.ErrorIs(t, err, call.ErrNotSent)
	require.Equal(t, call.Released, a.Status)
	d.courier.before = nil

	r, err = d.ready("taken over", 0)
	require.NoError(t, err)
	lose(1)
	a, err = d.runner(beforeComplete(func() { lose(1) })).Recover(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, call.Done, a.Status)
	require.EqualValues(t, 2, a.Fence, "one holder more")
	d.once("taken over")
}

func aSweepGoesOnBesideAnAttemptThatPanics(t *testing.T, d *depot) {
	for _, parcel := range []string{"bad", "good", "better"} {
		_, err := d.ready(parcel, 0)
		require.NoError(t, err)
	}
	runner := d.runner(func(c *config) {
		ask := c.Outside.Ask
		c.Outside.Ask = func(ctx context.Context, r call.Record) (call.Outcome, bool, error) {
			if r.Subject == "bad" {
				panic("a bug")
			}
			return ask(ctx, r)
		}
	})
	ended, err := runner.Turn(t.Context(), call.Sweep{Parallel: 1})
	require.ErrorContains(t, err, "a bug")
	require.Equal(t, 2, ended)
	d.once("good")
	d.once("better")
	d.sweep(d.runner(nil), call.ID{Subject: "bad", No: 1})
	d.once("bad")
}

func theLoopTurnsAtOnceWhenItIsHurriedAndEndsWithItsContext(t *testing.T, d *depot) {
	ctx, stop := context.WithCancel(t.Context())
	hurry, turned, over := make(chan struct{}), make(chan int, 100), make(chan error)
	go func() {
		over <- d.runner(nil).Sweep(ctx, call.Sweep{Every: time.Hour, Hurry: hurry, Turned: func(_ context.Context, ended int, _ error) { turned <- ended }})
	}()
	require.Zero(t, <-turned)
	_, err := d.ready("late", 0)
	require.NoError(t, err)
	hurry <- struct{}{}
	require.Equal(t, 1, <-turned)
	stop()
	require.NoError(t, <-over)
	d.once("late")
}
