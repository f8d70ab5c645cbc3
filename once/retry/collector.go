package retry

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"payonce/once"
	"payonce/once/rabbit"
	"payonce/once/trouble"
)

// CollectorConfig wires a [Collector].
type CollectorConfig struct {
	DB     once.DB
	Broker *rabbit.Conn
	Names  Names
	Table  Table
	// Applied says whether a consumer has applied an event after all; then its
	// letter closes itself. inbox.Table has one.
	Applied func(ctx context.Context, tx once.Tx, consumer, event string) (bool, error)
	// Troubles is where a letter that is open is raised for a person; nil means the
	// table of package payonce/once/trouble, in the letters' schema.
	Troubles once.Troubles
	// Saw gets each letter that was written down open; nil means nothing does. It is
	// called behind the commit, must return at once, and may see one again.
	Saw func(ctx context.Context, l Letter)
	// Point stops before each step that is named, for tests: its error is the step's.
	// The steps are after_fetch and after_commit.
	Point func(step string, l Letter) error
	Log   *slog.Logger     // nil means silence
	Now   func() time.Time // the program's clock; required
	// Recount is how often the open letters are counted; 0 means 5 s.
	Recount time.Duration
}

// Collector writes what died into a table that a person looks at, and raises a
// trouble. It is the only reader of [Names.Dead].
type Collector struct {
	cfg  CollectorConfig
	open atomic.Int64
	died [5]atomic.Int64 // by class, in the order of [Classes]
}

// NewCollector checks the wiring.
func NewCollector(cfg CollectorConfig) (*Collector, error) {
	if cfg.DB == nil || cfg.Broker == nil || cfg.Applied == nil {
		return nil, errors.New("retry: a collector needs a database, a broker and a way to ask what was applied")
	}
	if cfg.Now == nil {
		return nil, errors.New("retry: a collector needs a clock")
	}
	if !cfg.Names.Complete() {
		return nil, errors.New("retry: a collector needs to know where the dead are; see NamesOf")
	}
	if cfg.Troubles == nil {
		cfg.Troubles = trouble.Table{Schema: cfg.Table.Schema}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Recount == 0 {
		cfg.Recount = 5 * time.Second
	}
	return &Collector{cfg: cfg}, nil
}

// Open is how many letters wait for a person, as last counted.
func (c *Collector) Open() int64 { return c.open.Load() }

// Died counts the letters written down so far, by class.
func (c *Collector) Died() map[Class]int64 {
	counts := make(map[Class]int64, len(Classes))
	for i, class := range Classes {
		counts[class] = c.died[i].Load()
	}
	return counts
}

// Run collects until ctx ends.
func (c *Collector) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	recounted := make(chan struct{})
	go func() {
		defer close(recounted)
		c.recount(ctx)
	}()
	defer func() { end(); <-recounted }() // ended first: a panic comes by here too, and must not wait without end
	return c.cfg.Broker.Consume(ctx, rabbit.ConsumerConfig{Queue: c.cfg.Names.Dead, BatchMax: 50}, c.handle)
}

func (c *Collector) recount(ctx context.Context) {
	tick := time.NewTicker(c.cfg.Recount)
	defer tick.Stop()
	for {
		if err := errors.Join(c.closeApplied(ctx), c.count(ctx)); err != nil && ctx.Err() == nil {
			c.cfg.Log.Warn("the open dead letters cannot be looked at", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

const countOpen = `SELECT count(*) FROM {dead_letters} WHERE state = 'open'`

func (c *Collector) count(ctx context.Context) error {
	var n int64
	rows, err := c.table(countOpen).Read(ctx, c.cfg.DB, nil)
	if _, err := once.One(rows, err, &n); err != nil {
		return err
	}
	c.open.Store(n)
	return nil
}

// handle writes letters one by one, because each stands for itself, and
// acknowledges each behind its commit. While the database is away it waits with
// the letters in hand: the broker keeps them.
func (c *Collector) handle(ctx context.Context, batch []rabbit.Delivery) {
	for _, d := range batch {
		pause := once.Pause{First: 100 * time.Millisecond, Most: 5 * time.Second}
		for {
			err := c.collect(ctx, d)
			if err == nil {
				break
			}
			c.cfg.Log.Error("a dead letter cannot be written down", "queue", d.Queue, "error", err)
			if !pause.Wait(ctx) {
				return
			}
		}
	}
	if err := c.count(ctx); err != nil {
		c.cfg.Log.Debug("the open dead letters cannot be counted", "error", err)
	}
}

func (c *Collector) collect(ctx context.Context, d rabbit.Delivery) error {
	now := c.cfg.Now()
	l := c.cfg.Names.read(d, now)
	if err := c.at("after_fetch", l); err != nil {
		return err
	}
	state, err := c.keep(ctx, l)
	if once.BadValue(err) { // for this letter that is so each time, and those behind it wait
		c.cfg.Log.Error("a dead letter is written down without what its headers say", "queue", d.Queue, "error", err)
		l = l.bare(d, now, err)
		state, err = c.keep(ctx, l)
	}
	if err != nil {
		return err
	}
	if err := c.at("after_commit", l); err != nil {
		return err
	}
	if state == Open {
		c.counted(l.Class)
		if c.cfg.Saw != nil {
			c.cfg.Saw(ctx, l)
		}
		c.cfg.Log.Warn("a message is dead", "consumer", l.Consumer, "event", l.EventID, "class", l.Class, "reason", l.Reason)
	}
	return rabbit.Ack(d)
}

func (c *Collector) keep(ctx context.Context, l Letter) (state State, err error) {
	err = c.cfg.DB.InTx(ctx, func(tx once.Tx) (err error) {
		state, err = c.write(ctx, tx, l)
		return err
	})
	return state, err
}

func (c *Collector) at(step string, l Letter) error {
	if c.cfg.Point == nil {
		return nil
	}
	return c.cfg.Point(step, l)
}
