package call

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Sweep says how open attempts are looked after that no one came back for: a process died,
// a client never retried, the outside was away.
type Sweep struct {
	Every    time.Duration // 0 means 2 s
	Batch    int           // attempts a turn; 0 means 50
	Parallel int           // questions that are under way at once; 0 means 8
	// Hurry, when it gives, starts a turn now: there is something to ask. The interval is
	// the guarantee.
	Hurry <-chan struct{}
	// Turned is called after each turn with how many attempts it ended, and what went
	// wrong; nil for none.
	Turned func(ctx context.Context, ended int, err error)
}

// Sweep recovers what is due until ctx ends; what it has taken over by then it sees
// through, so that no lease is left behind. A turn that fails is followed by the next.
func (r *Runner[A, O]) Sweep(ctx context.Context, s Sweep) error {
	if s.Every == 0 {
		s.Every = 2 * time.Second
	}
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		ended, err := r.Turn(ctx, s)
		if err != nil && ctx.Err() == nil {
			r.cfg.Log.Warn("call: the sweep has left attempts open", "error", err)
		} else if ended > 0 {
			r.cfg.Log.Info("recovered unfinished attempts", "count", ended)
		}
		if s.Turned != nil {
			s.Turned(ctx, ended, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.Hurry:
		}
	}
}

// Turn recovers what is due and returns how many attempts it ended.
func (r *Runner[A, O]) Turn(ctx context.Context, s Sweep) (ended int, err error) {
	if s.Batch == 0 {
		s.Batch = 50
	}
	if s.Parallel == 0 {
		s.Parallel = 8
	}
	due, err := r.cfg.Store.Due(ctx, s.Batch)
	if err != nil {
		return 0, err
	}
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
		slot = make(chan struct{}, s.Parallel)
	)
	for _, id := range due {
		slot <- struct{}{}
		if ctx.Err() != nil {
			break // asked to end: what was taken over is seen through, no more is taken
		}
		wg.Go(func() {
			defer func() { <-slot }()
			a, err := r.one(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && !errors.Is(err, ErrHeld) {
				errs = append(errs, err)
			} else if err == nil && !a.Call().Status.Open() {
				ended++
			}
		})
	}
	wg.Wait()
	return ended, errors.Join(errs...)
}

// one recovers one attempt. A panic is that attempt's failure: its lease ends by itself,
// and the others do not wait for it.
func (r *Runner[A, O]) one(ctx context.Context, id ID) (a A, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("call: a panic at attempt %d of %s: %v\n%s", id.No, id.Subject, p, debug.Stack())
		}
	}()
	if a, err = r.Recover(ctx, id); err != nil {
		err = fmt.Errorf("attempt %d of %s: %w", id.No, id.Subject, err)
	}
	return a, err
}
