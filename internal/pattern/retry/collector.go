package retry

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"

	"payonce/internal/platform/fault"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/once/rabbit"
)

// CollectorConfig wires a [Collector].
type CollectorConfig struct {
	DB     *postgres.DB
	Broker *rabbit.Conn
	// Applied says whether a consumer has applied an event after all; then its
	// letter closes itself. inbox.Applied is one.
	Applied  func(ctx context.Context, tx postgres.Tx, consumer string, event uuid.UUID) (bool, error)
	Observer observe.Observer // nil means nobody
	Log      *slog.Logger     // nil means silence
	Now      func() time.Time
	// Recount is how often the open letters are counted; 0 means 5 s.
	Recount time.Duration
}

// Collector writes what died into a table that a person looks at, and raises an
// alert. It is the only reader of [DeadQueue].
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
	if cfg.Observer == nil {
		cfg.Observer = observe.Nobody{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Recount == 0 {
		cfg.Recount = 5 * time.Second
	}
	return &Collector{cfg: cfg}, nil
}

// Open is how many letters wait for a person, as last counted: the gauge
// payonce_dead_letters_open.
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
	defer func() { end(); <-recounted }() // ended first: a panic comes by here too, and must not wait for ever
	return c.cfg.Broker.Consume(ctx, rabbit.ConsumerConfig{Queue: DeadQueue, BatchMax: 50}, c.handle)
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

const countOpen = `SELECT count(*) FROM dead_letters WHERE state = 'open'`

func (c *Collector) count(ctx context.Context) error {
	var n int64
	if err := c.cfg.DB.Get(ctx, &n, countOpen); err != nil {
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
		pause := &backoff.ExponentialBackOff{InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.3, Multiplier: 2, MaxInterval: 5 * time.Second}
		pause.Reset()
		for {
			err := c.collect(ctx, d)
			if err == nil {
				break
			}
			c.cfg.Log.Error("a dead letter cannot be written down", "queue", d.Queue, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause.NextBackOff()):
			}
		}
	}
	if err := c.count(ctx); err != nil {
		c.cfg.Log.Debug("the open dead letters cannot be counted", "error", err)
	}
}

func (c *Collector) collect(ctx context.Context, d rabbit.Delivery) error {
	l := read(d, c.cfg.Now())
	if err := fault.Point("letters.after_fetch", l.event, l.scope); err != nil {
		return err
	}
	var state State
	err := postgres.InTx(ctx, c.cfg.DB, func(tx postgres.Tx) (err error) {
		state, err = c.write(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	if err := fault.Point("letters.after_commit", l.event, l.scope); err != nil {
		return err
	}
	if state == Open {
		c.counted(l.class)
		c.cfg.Observer.Observe(ctx, observe.Event{
			Kind: observe.Dead, Node: l.consumer, Scope: l.scope, EventID: l.event, Type: l.kind, Detail: string(l.class), Attempt: l.attempts,
		})
		c.cfg.Log.Warn("a message is dead", "consumer", l.consumer, "event", l.eventKey, "class", l.class, "reason", l.reason)
	}
	return rabbit.Ack(d)
}
