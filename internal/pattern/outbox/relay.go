package outbox

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/rabbit"
)

// Publisher is the part of [rabbit.Publisher] that the relay needs.
type Publisher interface {
	// Send publishes and returns; done is called once with the fate.
	Send(ctx context.Context, m rabbit.Message, done func(error)) error
}

// Config wires a [Relay].
type Config struct {
	// DB is the pool for reading and marking; Postgres says how to open the
	// two connections that are the relay's own: its lock and its ear.
	DB        *postgres.DB
	Postgres  postgres.Config
	Publisher Publisher
	// Source is what the envelope says of its origin; "" means "/payonce".
	Source string

	Observer observe.Observer // nil means nobody
	Log      *slog.Logger     // nil means silence

	// Batch is how many events are read at a time; 0 means 500.
	Batch int
	// Poll is the time between two scans from the start, and so the longest an
	// event waits whose wake-up was lost or that committed late; 0 means 200 ms.
	Poll time.Duration
	// Beat is how often the lock's session is asked for a sign of life; 0 means
	// 1 s. A relay that stops is replaced after about four of them.
	Beat time.Duration
	// Drain is how long confirms are waited for when the relay must stop; 0
	// means 5 s.
	Drain time.Duration
}

func (c *Config) setDefaults() error {
	if c.DB == nil || c.Publisher == nil || c.Postgres.DSN == "" {
		return errors.New("outbox: a relay needs a pool, a publisher and a way to open its own connections")
	}
	if c.Batch < 0 || c.Poll < 0 || c.Beat < 0 || c.Drain < 0 {
		return errors.New("outbox: a batch and a duration cannot be negative")
	}
	if c.Source == "" {
		c.Source = "/payonce"
	}
	if c.Observer == nil {
		c.Observer = observe.Nobody{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Batch == 0 {
		c.Batch = 500
	}
	for d, byDefault := range map[*time.Duration]time.Duration{
		&c.Poll: 200 * time.Millisecond, &c.Beat: time.Second, &c.Drain: 5 * time.Second,
	} {
		if *d == 0 {
			*d = byDefault
		}
	}
	return nil
}

// Relay moves events from the outbox to the broker, each at least once.
type Relay struct {
	cfg   Config
	wake  chan struct{}
	stats stats
}

type stats struct {
	owner                                              atomic.Bool
	fetched, published, marked, returned, nacked, lost atomic.Int64
	held                                               atomic.Int64
}

// Counts is what a relay has done.
type Counts struct {
	Fetched   int64 // read from the table
	Published int64 // confirmed by the broker, in every queue bound
	Marked    int64 // and marked so in the table
	Returned  int64 // no queue was bound
	Nacked    int64 // the broker refused
	Lost      int64 // nobody knows: sent again
	Held      int64 // aggregates held back right now
}

// NewRelay checks the wiring.
func NewRelay(cfg Config) (*Relay, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	return &Relay{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Run relays until ctx ends. Any number of relays may run on one database: one
// of them is the owner and publishes, the others stand by and take over when
// its session ends. When ctx ends the confirms under way are waited for and
// marked.
func (r *Relay) Run(ctx context.Context) error {
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		listen(ctx, r.cfg.Postgres.DSN, r.cfg.Log, r.Wake)
	}()
	defer func() { <-heard }()

	o := owner{cfg: r.cfg.Postgres, beat: r.cfg.Beat, retry: r.cfg.Beat / 4, log: r.cfg.Log}
	o.during(ctx, func(tenure context.Context) {
		r.stats.owner.Store(true)
		defer r.stats.owner.Store(false)
		newEngine(r).run(tenure, false)
	})
	return nil
}

// runOnce publishes what is there and returns when nothing is left that could
// be published now. It takes no lock: tests call it, one at a time.
func (r *Relay) runOnce(ctx context.Context) Counts {
	before := r.Counts()
	newEngine(r).run(ctx, true)
	after := r.Counts()
	return Counts{
		Fetched: after.Fetched - before.Fetched, Published: after.Published - before.Published, Marked: after.Marked - before.Marked,
		Returned: after.Returned - before.Returned, Nacked: after.Nacked - before.Nacked, Lost: after.Lost - before.Lost, Held: after.Held,
	}
}

// Wake makes the owner look for new events now. It never blocks.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Owner says whether this relay is the one that publishes.
func (r *Relay) Owner() bool { return r.stats.owner.Load() }

// Counts tells what happened so far, for metrics and tests.
func (r *Relay) Counts() Counts {
	s := &r.stats
	return Counts{
		Fetched: s.fetched.Load(), Published: s.published.Load(), Marked: s.marked.Load(), Returned: s.returned.Load(),
		Nacked: s.nacked.Load(), Lost: s.lost.Load(), Held: s.held.Load(),
	}
}
