package calltest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/call"
)

func anAttemptThatNothingDisturbsIsOneEffectAndOneOfWhatFollows(t *testing.T, d *depot) {
	r, err := d.ready("one", time.Minute)
	require.NoError(t, err)
	require.Equal(t, t.Name()+":one:1", r.Key)
	a, err := d.runner(nil).Run(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, call.Done, a.Status)
	require.Equal(t, "pick-up-of-"+r.Key, a.Ref)
	require.Equal(t, "to Ada", string(a.Request))
	d.once("one")
	ended, err := d.runner(nil).Turn(t.Context(), call.Sweep{})
	require.NoError(t, err)
	require.Zero(t, ended)
}

// Each step of the first process times each step of the one that comes after it.
func aProcessMayDieAtAnyStepAndTheNextOneToo(t *testing.T, d *depot) {
	var all sync.WaitGroup
	for _, first := range []string{"", call.BeforeSend, call.AfterSend, call.BeforeComplete, call.AfterComplete} {
		for _, second := range []string{call.AfterTakeOver, call.BeforeSend, call.AfterSend, call.BeforeComplete, call.AfterComplete, call.AfterRecover} {
			all.Go(func() {
				parcel := first + "," + second
				r, err := d.ready(parcel, 20*time.Millisecond)
				if !assert.NoError(t, err) {
					return
				}
				if first != "" { // or it died after the commit, before anything
					assert.True(t, until(first, func(point func(string, call.Record) error) {
						_, _ = d.runner(func(c *config) { c.Point = point }).Run(t.Context(), r)
					}), first)
				}
				time.Sleep(30 * time.Millisecond) // the lease
				until(second, func(point func(string, call.Record) error) {
					_, err := d.runner(func(c *config) { c.Point = point }).Recover(t.Context(), r.ID)
					assert.NoError(t, err)
				})
			})
		}
	}
	all.Wait()
	last := d.runner(nil)
	for _, first := range []string{"", call.BeforeSend, call.AfterSend, call.BeforeComplete, call.AfterComplete} {
		for _, second := range []string{call.AfterTakeOver, call.BeforeSend, call.AfterSend, call.BeforeComplete, call.AfterComplete, call.AfterRecover} {
			parcel := first + "," + second
			d.sweep(last, call.ID{Subject: parcel, No: 1})
			d.once(parcel)
		}
	}
}

func aCallWithoutAnAnswerIsAskedAboutAndNeverTakenForNo(t *testing.T, d *depot) {
	asked := 0
	d.courier.answer = func(call.Record) error { return errNoAnswer }
	d.courier.silent = func(call.Record) error {
		if asked++; asked < 4 {
			return errNoAnswer
		}
		return nil
	}
	r, err := d.ready("lost", time.Minute)
	require.NoError(t, err)
	runner := d.runner(nil)
	a, err := runner.Run(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, call.InDoubt, a.Status)
	require.Zero(t, d.labels("lost"))

	_, err = d.ready("lost again", time.Minute)
	require.NoError(t, err, "another subject waits for nothing")
	a = d.sweep(runner, r.ID)
	require.Equal(t, call.Done, a.Status)
	_, sent := d.courier.came("lost")
	require.Equal(t, 1, sent, "it was asked about, not sent again")
	require.GreaterOrEqual(t, a.Asked, 3)
	d.once("lost")
}

// The first request is on its way, longer than its caller waits.
func aRepetitionThatWasNotSentSaysNothingOfTheFirstRequest(t *testing.T, d *depot) {
	d.courier.before = func(call.Record) error { return errNoAnswer }
	r, err := d.ready("slow", time.Minute)
	require.NoError(t, err)
	runner := d.runner(nil)
	_, err = runner.Run(t.Context(), r)
	require.NoError(t, err)
	d.courier.before = func(call.Record) error { return call.ErrNotSent }
	a, err := runner.Recover(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, call.InDoubt, a.Status)

	d.courier.before = nil
	_, err = d.courier.send(t.Context(), r) // it arrives
	require.NoError(t, err)
	d.sweep(runner, r.ID)
	d.once("slow")
}

func whatCertainlyDidNothingIsReleasedAndTheNextAttemptHasAKeyOfItsOwn(t *testing.T, d *depot) {
	runner := d.runner(nil)
	for i, why := range []error{call.ErrNotSent, call.ErrRefused} {
		parcel := fmt.Sprint("released ", i)
		d.courier.before = func(call.Record) error { return fmt.Errorf("the courier: %w", why) }
		r, err := d.ready(parcel, time.Minute)
		require.NoError(t, err)
		a, err := runner.Run(t.Context(), r)
		var ended *call.Error
		require.ErrorAs(t, err, &ended)
		require.ErrorIs(t, err, why)
		require.False(t, ended.Sent)
		require.Equal(t, call.Released, a.Status)
		require.Equal(t, i, d.troubles(call.TroubleWrong))

		d.courier.before = nil
		var next call.Record
		require.NoError(t, d.db.InTx(t.Context(), func(tx once.Tx) error {
			next, err = d.books.Begin(t.Context(), tx, call.Intent{Subject: parcel, Lease: time.Minute})
			return err
		}))
		require.Equal(t, t.Name()+":"+parcel+":2", next.Key)
		_, err = runner.Run(t.Context(), next)
		require.NoError(t, err)
		d.once(parcel)
	}
}

// Twenty want the same effect; each that is refused rolls back what it changed.
func twentyWhoBeginAtOnceAreOneAttemptAndTheOthersAreTaken(t *testing.T, d *depot) {
	begun := make(chan error, 20)
	for i := range cap(begun) {
		go func() {
			begun <- d.db.InTx(context.Background(), func(tx once.Tx) error {
				if _, err := tx.Exec(t.Context(), `INSERT INTO parcels VALUES ($1)`, fmt.Sprint("of twin ", i)); err != nil {
					return err
				}
				_, err := d.books.Begin(context.Background(), tx, call.Intent{Subject: "wanted"})
				return err
			})
		}()
	}
	taken := 0
	for range cap(begun) {
		if err := <-begun; err != nil {
			require.ErrorIs(t, err, call.ErrAttempted)
			taken++
		}
	}
	require.Equal(t, 19, taken)
	require.Equal(t, 1, d.count(`SELECT count(*) FROM parcels WHERE id LIKE 'of twin%'`))
	d.sweep(d.runner(nil), call.ID{Subject: "wanted", No: 1})
	d.once("wanted")
	err := d.db.InTx(t.Context(), func(tx once.Tx) error {
		_, err := d.books.Begin(t.Context(), tx, call.Intent{Subject: "wanted"})
		return err
	})
	require.ErrorIs(t, err, call.ErrAttempted, "it is done")
}

func aSleeperThatWakesAfterItsLeaseGetsWhatIsStored(t *testing.T, d *depot) {
	r, err := d.ready("slept", 20*time.Millisecond)
	require.NoError(t, err)
	other := d.runner(nil)
	a, err := d.runner(beforeComplete(func() { d.sweep(other, r.ID) })).Run(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, call.Done, a.Status)
	require.Greater(t, a.Fence, r.Fence)
	d.once("slept")

	// In other hands, and without an end yet.
	r, err = d.ready("slept in hands", 20*time.Millisecond)
	require.NoError(t, err)
	_, err = d.runner(beforeComplete(func() {
		require.Eventually(t, func() bool {
			_, taken, err := other.TakeOver(t.Context(), r.ID)
			return err == nil && taken
		}, 5*time.Second, 5*time.Millisecond)
	})).Run(t.Context(), r)
	require.ErrorIs(t, err, call.ErrHeld)
	require.Zero(t, d.labels("slept in hands"))
	d.sweep(other, r.ID)
	d.once("slept in hands")

	// One whose request was not sent knows nothing of what the other has done.
	r, err = d.ready("slept unsent", 20*time.Millisecond)
	require.NoError(t, err)
	_, err = d.runner(func(c *config) {
		send := c.Outside.Send
		c.Outside.Send = func(context.Context, call.Record) (call.Outcome, error) {
			c.Outside.Send = send
			d.sweep(other, r.ID)
			return call.Outcome{}, call.ErrNotSent
		}
	}).Run(t.Context(), r)
	require.ErrorIs(t, err, call.ErrHeld)
	d.once("slept unsent")
}

func anAnswerThatContradictsTheStoredOneIsTroubleAndNoNewAttemptBegins(t *testing.T, d *depot) {
	r, err := d.ready("torn", 20*time.Millisecond)
	require.NoError(t, err)
	other := d.runner(func(c *config) {
		c.Outside.Ask = func(context.Context, call.Record) (call.Outcome, bool, error) {
			return call.Outcome{Status: call.Refused, Reason: "says one"}, true, nil
		}
	})
	a, err := d.runner(beforeComplete(func() { d.sweep(other, r.ID) })).Run(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, call.Refused, a.Status, "the stored outcome stays")
	require.Zero(t, d.labels("torn"))
	require.Equal(t, 1, d.troubles(call.TroubleContradiction))
	err = d.db.InTx(t.Context(), func(tx once.Tx) error {
		_, err := d.books.Begin(t.Context(), tx, call.Intent{Subject: "torn"})
		return err
	})
	require.ErrorIs(t, err, call.ErrAttempted)
}

func anUnknownKeyIsSentAgainWhileItIsYoungAndBuriedAfterwards(t *testing.T, d *depot) {
	young, err := d.ready("young", 0)
	require.NoError(t, err)
	require.Equal(t, call.Done, d.sweep(d.runner(nil), young.ID).Status)
	d.once("young")

	old, err := d.ready("old", 0)
	require.NoError(t, err)
	a := d.sweep(d.runner(func(c *config) { c.GiveUp = time.Nanosecond }), old.ID)
	require.Equal(t, call.Abandoned, a.Status)
	pickedUp, sent := d.courier.came("old")
	require.Zero(t, pickedUp+sent)
	_, err = d.courier.send(t.Context(), old)
	require.NoError(t, err)
	pickedUp, _ = d.courier.came("old")
	require.Zero(t, pickedUp, "what arrives late is refused")

	// Without a tombstone the same key is sent at any age.
	kept, err := d.ready("kept", 0)
	require.NoError(t, err)
	a = d.sweep(d.runner(func(c *config) { c.GiveUp, c.Outside.Cancel = time.Nanosecond, nil }), kept.ID)
	require.Equal(t, call.Done, a.Status)
}

func aDoubtThatLastsIsTroubleUntilItEnds(t *testing.T, d *depot) {
	d.courier.answer = func(call.Record) error { return errNoAnswer }
	d.courier.silent = func(call.Record) error { return errNoAnswer }
	r, err := d.ready("dark", time.Minute)
	require.NoError(t, err)
	runner := d.runner(func(c *config) { c.Overdue = time.Nanosecond })
	_, err = runner.Run(t.Context(), r)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := runner.Turn(t.Context(), call.Sweep{})
		return err == nil && d.troubles(call.TroubleInDoubt) == 1
	}, 20*time.Second, 10*time.Millisecond)
	d.courier.mu.Lock()
	d.courier.silent = nil
	d.courier.mu.Unlock()
	d.sweep(runner, r.ID)
	d.once("dark")
	require.Zero(t, d.troubles(call.TroubleInDoubt))
}
