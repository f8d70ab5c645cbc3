package call

import (
	"context"
	"errors"
	"fmt"
	"time"

	"payonce/once"
)

// Run carries out an attempt that this process holds: steps 2 and 3. After nil the attempt
// is as it is stored: it has its outcome, or is in doubt and will be asked about. An
// [Error] says whether the effect may be there; [ErrHeld], that another holder took the
// attempt over meanwhile and will say.
func (r *Runner[A, O]) Run(ctx context.Context, a A) (A, error) {
	o, err := r.send(ctx, a)
	switch {
	case errors.Is(err, ErrNotSent), errors.Is(err, ErrRefused):
		return r.release(ctx, a, err)
	case err != nil:
		return r.park(ctx, a)
	}
	return r.complete(ctx, a, o)
}

// send is the call. Its caller's patience is not its own.
func (r *Runner[A, O]) send(ctx context.Context, a A) (o O, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Deadline)
	defer cancel()
	if err := r.point(BeforeSend, a); err != nil {
		return o, fmt.Errorf("stopped before the call: %s", err.Error()) // unknown, as to others
	}
	o, err = r.cfg.Outside.Send(ctx, a)
	if stopped := r.point(AfterSend, a); stopped != nil {
		return o, fmt.Errorf("stopped after the call: %s", stopped.Error())
	}
	return o, err
}

// complete stores an outcome and returns the attempt as it is stored, by this holder or another.
func (r *Runner[A, O]) complete(ctx context.Context, a A, o O) (A, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Commit)
	defer cancel()
	if err := r.point(BeforeComplete, a); err != nil {
		return a, sent(err)
	}
	var (
		after   A
		changed bool
	)
	err := insist(ctx, func() (err error) {
		after, changed, err = r.cfg.Store.Complete(ctx, a, o)
		return err
	})
	if err != nil {
		return a, sent(err)
	}
	if err := r.point(AfterComplete, a); err != nil {
		return a, sent(err)
	}
	if !changed {
		return r.settled(ctx, a, o)
	}
	r.landed(ctx, after)
	return after, nil
}

// settled finds out what it means that completing changed nothing: the same outcome is
// stored, by a twin or by the first run of this transaction whose reply was lost; or
// another holder has the attempt; or the stored outcome contradicts this one.
func (r *Runner[A, O]) settled(ctx context.Context, a A, o O) (A, error) {
	now, err := r.cfg.Store.Read(ctx, a.Call().ID)
	switch {
	case err != nil:
		return a, sent(err)
	case now.Call().Status.Open():
		return now, ErrHeld
	case r.cfg.Store.Same(now, o):
		return now, nil
	}
	if err := r.cfg.Store.Contradict(ctx, now, o); err != nil {
		return now, sent(err)
	}
	return now, nil
}

// park leaves the attempt to the schedule: what became of it is known to no one here.
func (r *Runner[A, O]) park(ctx context.Context, a A) (A, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Commit)
	defer cancel()
	after := a
	err := insist(ctx, func() (err error) {
		after, err = r.cfg.Store.Park(ctx, a, r.AskIn(a))
		return err
	})
	if err != nil {
		return a, sent(err)
	}
	r.landed(ctx, after)
	return after, nil
}

// release ends an attempt that did nothing, and returns why as an [Error].
func (r *Runner[A, O]) release(ctx context.Context, a A, why error) (A, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Commit)
	defer cancel()
	var (
		after   = a
		changed bool
	)
	err := insist(ctx, func() (err error) {
		after, changed, err = r.cfg.Store.Release(ctx, a, why)
		return err
	})
	r.landed(ctx, a)
	switch {
	case err != nil:
		return a, sent(err)
	case changed:
		return after, unsent(why)
	}
	return r.notReleased(ctx, a, why)
}

// notReleased finds out why there was nothing to release: the first run of the
// transaction, whose reply was lost, has done it; or another holder has taken the attempt
// over while this one slept, and may have had it done.
func (r *Runner[A, O]) notReleased(ctx context.Context, a A, why error) (A, error) {
	now, err := r.cfg.Store.Read(ctx, a.Call().ID)
	switch {
	case err != nil:
		return a, sent(err)
	case now.Call().Status == Released && now.Call().Fence == a.Call().Fence:
		return now, unsent(why)
	}
	return now, ErrHeld
}

// insist repeats a transaction while the database is away, as long as there is time: the
// effect is there, so giving up early helps no one.
func insist(ctx context.Context, transaction func() error) error {
	pause := once.Pause{First: 50 * time.Millisecond, Most: time.Second}
	for {
		err := transaction()
		again := once.Unavailable(err) || once.LockTimeout(err) || once.Retriable(err) || errors.Is(err, once.ErrCommitUnknown)
		if err == nil || !again || !pause.Wait(ctx) {
			return err
		}
	}
}
