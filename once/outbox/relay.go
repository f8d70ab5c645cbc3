package outbox

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/message"
	"payonce/once/trouble"
)

// Publisher is the part of [rabbit.Publisher] that the relay needs.
type Publisher interface {
	// Send publishes and returns; done is called once with the outcome.
	Send(ctx context.Context, m message.Message, done func(error)) error
}

// Config wires a [Relay].
type Config struct {
	// DB is read and marked; one session of it holds the relay's locks.
	DB        once.DB
	Table     Table
	Names     Names
	Format    envelope.Format
	Publisher Publisher
	// Source is what the envelope says of its origin.
	Source string

	// Troubles is where it is raised that the broker does not take an event; nil means the
	// table of package payonce/once/trouble, in the outbox's schema.
	Troubles once.Troubles
	// Saw gets what became of each event that was sent; nil means nothing does. It must
	// return at once, and is no part of a transaction.
	Saw func(ctx context.Context, s Seen)
	// Point stops before each step that is named, for tests: its error is the step's.
	// The steps are after_fetch, after_publish, after_confirm and after_mark.
	Point func(step string, about []Event) error
	Log   *slog.Logger // nil means silence

	// Batch is how many events are read at a time; 0 means 500.
	Batch int
	// Poll is the time between two scans from the start, and so the longest an
	// event waits whose wake-up was lost or that committed late; 0 means 200 ms.
	Poll time.Duration
	// Heartbeat is how fast the session that holds the relay's locks lives; 0 means
	// 1 s. Four times a beat it looks who else is there; a relay that stops
	// sends nothing after three beats and is replaced after four.
	Heartbeat time.Duration
	// Drain is how long confirms are waited for when the relay must stop, or
	// let go of a partition; 0 means 5 s.
	Drain time.Duration
}

// What is what became of an event that was sent.
type What string

// All there is to see.
const (
	Published What = "published" // the broker has it in every queue bound
	Returned  What = "returned"  // no queue is bound
)

// Seen is what [Config.Saw] gets.
type Seen struct {
	What  What
	Event Event
}

func (c *Config) setDefaults() error {
	switch {
	case c.DB == nil || c.Publisher == nil || c.Source == "":
		return errors.New("outbox: a relay needs a database, a publisher and a source for its envelopes")
	case !c.Names.complete():
		return errors.New("outbox: a relay needs to know its exchange, its channel and its locks; see NamesOf")
	case c.Format.Attempt == "":
		return errors.New("outbox: a relay needs the format of its envelopes; see envelope.Of")
	}
	if c.Batch < 0 || c.Poll < 0 || c.Heartbeat < 0 || c.Drain < 0 {
		return errors.New("outbox: a batch and a duration cannot be negative")
	}
	if c.Troubles == nil {
		c.Troubles = trouble.Table{Schema: c.Table.Schema}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Batch == 0 {
		c.Batch = 500
	}
	for d, byDefault := range map[*time.Duration]time.Duration{
		&c.Poll: 200 * time.Millisecond, &c.Heartbeat: time.Second, &c.Drain: 5 * time.Second,
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
	partitions                                         atomic.Int64
	fetched, published, marked, returned, nacked, lost atomic.Int64
	held                                               atomic.Int64
	silent                                             atomic.Bool
}

// Counts is what a relay has done.
type Counts struct {
	Fetched   int64 // read from the table
	Published int64 // confirmed by the broker, in every queue bound
	Marked    int64 // and marked so in the table
	Returned  int64 // no queue was bound
	Nacked    int64 // the broker refused
	Lost      int64 // unknown: sent again
	Held      int64 // aggregates held back right now
}

// ErrSilent says that the broker takes events and confirms none.
var ErrSilent = errors.New("the broker confirms nothing")

// Confirms says whether the last event whose outcome is known was confirmed: a relay
// that is heard and not answered relays nothing. An event that was not confirmed is
// sent again, so it ends by itself.
func (r *Relay) Confirms(context.Context) error {
	if r.stats.silent.Load() {
		return ErrSilent
	}
	return nil
}

// NewRelay checks the wiring.
func NewRelay(cfg Config) (*Relay, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	return &Relay{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Run relays until ctx ends. Any number of relays may run on one database: they
// share the partitions evenly, and one that comes or goes moves no more of them
// than it must. With more relays than partitions the rest stand by. When ctx ends
// the confirms under way are waited for and marked.
func (r *Relay) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		r.cfg.DB.Listen(ctx, r.cfg.Names.Channel, r.Wake, func(err error) {
			r.cfg.Log.Warn("the relay is not woken; it polls", "error", err)
		})
	}()
	defer func() { end(); <-heard }() // ended first: a panic comes by here too, and must not wait without end

	o := owner{db: r.cfg.DB, beat: r.cfg.Heartbeat, patience: r.cfg.Drain, names: r.cfg.Names, log: r.cfg.Log}
	o.during(ctx, func(tenure context.Context, d *assignment) { newEngine(r, d).run(tenure) })
	return nil
}

// Wake makes the relay look for new events now. It never blocks.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Partitions is how many partitions this relay owns at the moment. None is
// nothing to worry about in one relay; that all of them together own fewer than
// [Partitions] for long is.
func (r *Relay) Partitions() int { return int(r.stats.partitions.Load()) }

// Counts tells what happened so far, for metrics and tests.
func (r *Relay) Counts() Counts {
	s := &r.stats
	return Counts{
		Fetched: s.fetched.Load(), Published: s.published.Load(), Marked: s.marked.Load(), Returned: s.returned.Load(),
		Nacked: s.nacked.Load(), Lost: s.lost.Load(), Held: s.held.Load(),
	}
}
