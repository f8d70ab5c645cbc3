package checkout

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/telemetry"
	"payonce/once"
	"payonce/once/idempotency"
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
	Log   *slog.Logger
}

const unfinishedSQL = `
SELECT payment_id, attempt_no
  FROM payment_attempts
 WHERE status IN ('sending', 'in_doubt')
   AND next_ask_at <= clock_timestamp()
   AND (lease_until IS NULL OR lease_until <= clock_timestamp())
 ORDER BY next_ask_at
 LIMIT $1`

// Run sweeps until ctx ends; what it has taken over by then it sees through, so
// that no lease is left behind. A sweep that fails is repeated at the next turn.
func (w Sweeper) Run(ctx context.Context) error {
	if w.Every == 0 {
		w.Every = 2 * time.Second
	}
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	away := false
	for {
		n, err := w.RunOnce(ctx)
		if err != nil && ctx.Err() == nil {
			w.Log.Warn("sweep", "error", err)
		} else if n > 0 {
			w.Log.Info("recovered unfinished attempts", "count", n)
		}
		if away && err == nil {
			w.Service.Hurry(ctx) // the database is back
		}
		away = once.Unavailable(err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-w.Hurry:
		}
	}
}

// RunOnce recovers what is due and returns how many attempts it finished.
func (w Sweeper) RunOnce(ctx context.Context) (finished int, err error) {
	if w.Batch == 0 {
		w.Batch = 50
	}
	if w.Parallel == 0 {
		w.Parallel = 8
	}
	var due []struct {
		Payment uuid.UUID `db:"payment_id"`
		No      int       `db:"attempt_no"`
	}
	if err := w.Service.DB.Select(ctx, &due, unfinishedSQL, w.Batch); err != nil {
		return 0, err
	}
	defer func() {
		w.Service.doubts.recovered.Add(int64(finished))
		err = errors.Join(err, w.Service.sample(ctx))
	}()
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
		slot = make(chan struct{}, w.Parallel)
	)
	for _, d := range due {
		slot <- struct{}{}
		if ctx.Err() != nil {
			break // asked to end: what was taken over is seen through, no more is taken
		}
		wg.Go(func() {
			defer func() { <-slot }()
			a, err := w.one(ctx, d.Payment, d.No)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && !errors.Is(err, idempotency.ErrInProgress) {
				errs = append(errs, err)
			} else if err == nil && !a.unfinished() {
				finished++
			}
		})
	}
	wg.Wait()
	return finished, errors.Join(errs...)
}

// one recovers one attempt. A panic is that attempt's failure: its lease ends by
// itself, and the others do not wait for it.
func (w Sweeper) one(ctx context.Context, payment uuid.UUID, no int) (a attempt, err error) {
	defer telemetry.Caught(&err)
	return w.Service.Recover(ctx, payment, no)
}
