package call

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"payonce/once"
)

// Recover finds out what became of an attempt and stores it. Anything may call it at any
// time: one caller at a time gets the attempt, the others get it as it stands. What it
// returns is the attempt afterwards; an open one is still in doubt, or in other hands.
func (r *Runner[A, O]) Recover(ctx context.Context, id ID) (A, error) {
	a, taken, err := r.TakeOver(ctx, id)
	switch {
	case err != nil:
		return a, unsent(err)
	case !taken:
		return r.cfg.Store.Read(ctx, id)
	}
	if err := r.point(AfterTakeOver, a); err != nil {
		return a, sent(err) // the lease ends by itself
	}
	o, err := r.ask(ctx, a)
	if err != nil {
		// Whatever the error: it may have been sent once before under this key, so even
		// "refused" and "not sent" prove nothing about that first time.
		err = r.later(ctx, a, err)
	} else if _, err = r.complete(ctx, a, o); err != nil && !errors.Is(err, ErrHeld) {
		// What is known and cannot be stored waits like what is not known, and a person
		// hears of it alike. Was it stored after all, later finds nothing to put off.
		err = errors.Join(err, r.later(ctx, a, err))
	}
	if err != nil && !errors.Is(err, ErrHeld) {
		return a, err
	}
	if err := r.point(AfterRecover, a); err != nil {
		return a, sent(err)
	}
	return r.cfg.Store.Read(ctx, id)
}

// TakeOver makes the caller the holder of an attempt that no one holds. It is carried
// through once it is on its way: an attempt that was taken over by a caller who does not
// know would wait for the whole lease.
func (r *Runner[A, O]) TakeOver(ctx context.Context, id ID) (a A, taken bool, err error) {
	if err := ctx.Err(); err != nil {
		return a, false, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Commit)
	defer cancel()
	holder := uuid.NewString()
	a, taken, err = r.cfg.Store.TakeOver(ctx, id, holder, r.cfg.Lease)
	if once.Unavailable(err) || errors.Is(err, once.ErrCommitUnknown) {
		a, taken, err = r.cfg.Store.TakeOver(ctx, id, holder, r.cfg.Lease) // its holder recognises itself
	}
	return a, taken, err
}

// ask resolves an attempt by asking, never by assuming.
func (r *Runner[A, O]) ask(ctx context.Context, a A) (o O, err error) {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Deadline)
	o, known, err := r.cfg.Outside.Ask(asking, a)
	cancel()
	switch {
	case err != nil, known:
		return o, err
	case r.cfg.Outside.Cancel == nil, a.Call().Age < r.cfg.GiveUp:
		// It does not know the key: the same key makes sending again safe.
		return r.send(ctx, a)
	}
	// Too old to surprise with an effect. The tombstone refuses a late arrival, or says
	// that it was done after all.
	cancelling, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Deadline)
	defer cancel()
	return r.cfg.Outside.Cancel(cancelling, a)
}

// later leaves the attempt to the schedule, and tells a person when that does not end it.
func (r *Runner[A, O]) later(ctx context.Context, a A, why error) error {
	overdue := r.overdue(ctx, a, why)
	_, parked := r.park(ctx, a)
	return errors.Join(overdue, parked)
}

func (r *Runner[A, O]) overdue(ctx context.Context, a A, why error) error {
	if a.Call().Age < r.cfg.Overdue {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Commit)
	defer cancel()
	return r.cfg.Store.Overdue(ctx, a, why)
}
