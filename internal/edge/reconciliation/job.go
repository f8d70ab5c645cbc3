package reconciliation

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
)

// Config is what a [Job] needs.
type Config struct {
	DB       *postgres.DB
	Provider provider.Statement
	Charges  checkout.Notices
	Refunds  refund.Notices
	Every    time.Duration // 0 means an hour
	// Limit bounds a turn, the listing included; 0 means five minutes.
	Limit time.Duration
	// Lease is how long a worker that was killed in the middle keeps the turn from the
	// others; 0 means half a minute. One that lives renews it.
	Lease time.Duration
	// Wake hurries the relay after commits; nil means that no relay is hurried.
	Wake func()
	Log  *slog.Logger
	Now  func() time.Time
}

// Job compares the provider's books with ours.
type Job struct {
	cfg  Config
	self uuid.UUID

	turns, failures, compared, differed, last atomic.Int64
}

// New makes a Job; missing parts of cfg get their defaults.
func New(cfg Config) *Job {
	if cfg.Every == 0 {
		cfg.Every = time.Hour
	}
	if cfg.Limit == 0 {
		cfg.Limit = 5 * time.Minute
	}
	if cfg.Lease == 0 {
		cfg.Lease = 30 * time.Second
	}
	if cfg.Wake == nil {
		cfg.Wake = func() {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the one place where the clock comes in
	}
	return &Job{cfg: cfg, self: uuid.New()}
}

// Stats is what this process has done.
type Stats struct {
	Turns, Failures    int64 // turns that came to their end, and that did not
	Compared, Differed int64 // charges and refunds: listed, and not agreed with
	Last               int64 // the latest turn that came to its end, as Unix time; 0 is never
}

// Stats tells what happened so far, for metrics and tests.
func (j *Job) Stats() Stats {
	return Stats{
		Turns: j.turns.Load(), Failures: j.failures.Load(), Compared: j.compared.Load(), Differed: j.differed.Load(), Last: j.last.Load(),
	}
}

// look is how often a worker asks whether a turn is due, at most.
const look = time.Minute

// Run takes turns until ctx ends. A turn that failed is due again after a minute
// at most.
func (j *Job) Run(ctx context.Context) error {
	tick := time.NewTicker(min(look, j.cfg.Every))
	defer tick.Stop()
	for {
		if _, err := j.RunOnce(ctx); err != nil && ctx.Err() == nil {
			j.cfg.Log.Warn("the provider's books could not be compared; they are again within a minute", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

const takeTurnSQL = `
INSERT INTO reconciliation_turns AS t (name, holder, lease_until) VALUES ('provider', $1, clock_timestamp() + $2 * interval '1 second')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
 WHERE t.lease_until <= clock_timestamp() AND t.due_at <= clock_timestamp()`

const renewTurnSQL = `
UPDATE reconciliation_turns SET lease_until = clock_timestamp() + $2 * interval '1 second' WHERE name = 'provider' AND holder = $1`

// A worker that lost its lease ends nothing.
const endTurnSQL = `
UPDATE reconciliation_turns SET lease_until = clock_timestamp(), due_at = clock_timestamp() + $2 * interval '1 second'
 WHERE name = 'provider' AND holder = $1`

// RunOnce takes the turn if it is due and free, and says whether it did.
func (j *Job) RunOnce(ctx context.Context) (took bool, err error) {
	defer telemetry.Caught(&err)
	n, err := j.exec(ctx, takeTurnSQL, j.cfg.Lease.Seconds())
	if err != nil || n == 0 {
		return false, err
	}
	limited, cancel := context.WithTimeout(ctx, j.cfg.Limit)
	defer cancel()
	over := j.keep(limited)
	err = j.compare(limited)
	over()
	next := j.cfg.Every
	if err != nil {
		j.failures.Add(1)
		next = min(next, look)
	} else {
		j.turns.Add(1)
		j.last.Store(j.cfg.Now().Unix())
	}
	// Asked to end in the middle: the turn is given back.
	_, ended := j.exec(context.WithoutCancel(ctx), endTurnSQL, next.Seconds())
	return true, errors.Join(err, ended)
}

// keep renews the lease until over is called. While the database is away it runs
// out: then another worker does the same, which harms nothing.
func (j *Job) keep(ctx context.Context) (over func()) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(j.cfg.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := j.exec(ctx, renewTurnSQL, j.cfg.Lease.Seconds()); err != nil && ctx.Err() == nil {
				j.cfg.Log.Warn("the turn to compare the provider's books was not renewed", "error", err)
			}
		}
	}()
	return func() { stop(); <-done }
}

func (j *Job) exec(ctx context.Context, query string, seconds float64) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = postgres.InTx(ctx, j.cfg.DB, func(tx postgres.Tx) error {
		n, err = tx.Exec(ctx, query, j.self, seconds)
		return err
	})
	return n, err
}
