package checkout

import (
	"context"
	"errors"
	"time"

	"payonce/once"
	"payonce/once/call"
)

// Sweeper finishes attempts that nobody came back for: a process died, a client
// never retried, the provider was away. It is one of Recover's callers and has
// no logic of its own.
type Sweeper struct {
	Service *Service
	Every   time.Duration // 0 means 2 s
	Batch   int           // 0 means 50
	// Parallel bounds the questions that are under way at once; 0 means 8.
	Parallel int
	// Hurry, when it gives, starts a sweep now: somebody knows that there is
	// something to ask. The interval is the guarantee.
	Hurry <-chan struct{}
}

// Run sweeps until ctx ends; what it has taken over by then it sees through, so
// that no lease is left behind. A sweep that fails is repeated at the next turn.
func (w Sweeper) Run(ctx context.Context) error {
	away := false
	return w.Service.calls.Sweep(ctx, w.turns(func(ctx context.Context, ended int, err error) {
		err = errors.Join(err, w.Service.counted(ctx, ended))
		if away && err == nil {
			w.Service.Hurry(ctx) // the database is back
		}
		away = once.Unavailable(err)
	}))
}

// RunOnce recovers what is due and returns how many attempts it finished.
func (w Sweeper) RunOnce(ctx context.Context) (finished int, err error) {
	finished, err = w.Service.calls.Turn(ctx, w.turns(nil))
	return finished, errors.Join(err, w.Service.counted(ctx, finished))
}

func (w Sweeper) turns(turned func(ctx context.Context, ended int, err error)) call.Sweep {
	return call.Sweep{Every: w.Every, Batch: w.Batch, Parallel: w.Parallel, Hurry: w.Hurry, Turned: turned}
}
