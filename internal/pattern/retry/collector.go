package retry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"

	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/rabbit"
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

// Run collects until ctx ends.
func (c *Collector) Run(ctx context.Context) error {
	recounted := make(chan struct{})
	go func() {
		defer close(recounted)
		c.recount(ctx)
	}()
	defer func() { <-recounted }()
	return c.cfg.Broker.Consume(ctx, rabbit.ConsumerConfig{Queue: DeadQueue, BatchMax: 50}, c.handle)
}

func (c *Collector) recount(ctx context.Context) {
	tick := time.NewTicker(c.cfg.Recount)
	defer tick.Stop()
	for {
		if err := c.count(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Log.Warn("the open dead letters cannot be counted", "error", err)
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
	var state string
	err := postgres.InTx(ctx, c.cfg.DB, func(tx postgres.Tx) (err error) {
		state, err = c.write(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	if state == "open" {
		c.cfg.Observer.Observe(ctx, observe.Event{
			Kind: observe.Dead, Node: l.consumer, Scope: l.scope, EventID: l.event, Type: l.kind, Detail: string(l.class), Attempt: l.attempts,
		})
		c.cfg.Log.Warn("a message is dead", "consumer", l.consumer, "event", l.eventKey, "class", l.class, "reason", l.reason)
	}
	return rabbit.Ack(d)
}

// A letter that a replay sent is re-opened only by the death of that same
// replay: an older copy that arrives late must not hide that the newer one
// lives. The same copy twice only renews its last failure. Discarded and
// applied letters stay closed.
const writeLetter = `
INSERT INTO dead_letters AS l (id, merchant_id, consumer, event_id, replay_no, type, class, reason, attempts, headers, payload,
  state, first_failed_at, last_failed_at, closed_at)
VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
  CASE WHEN $11 = 'open' THEN NULL ELSE clock_timestamp() END)
ON CONFLICT ON CONSTRAINT dead_letters_once DO UPDATE SET
  state = CASE WHEN l.state IN ('open', 'replayed') THEN excluded.state ELSE l.state END,
  closed_at = CASE WHEN l.state IN ('open', 'replayed') THEN excluded.closed_at ELSE l.closed_at END,
  class = excluded.class, reason = excluded.reason,
  attempts = greatest(l.attempts, excluded.attempts), headers = excluded.headers,
  last_failed_at = greatest(l.last_failed_at, excluded.last_failed_at)
WHERE l.replay_no = excluded.replay_no
RETURNING l.state`

// An alert that is still open is not said twice.
const raiseAlert = `
INSERT INTO alerts (id, merchant_id, kind, subject, facts)
VALUES (gen_random_uuid(), $1, 'dead_letter', $2, jsonb_build_object('consumer', $3::text, 'event_id', $4::text, 'type', $5::text,
  'class', $6::text, 'reason', $7::text, 'attempts', $8::int))
ON CONFLICT (kind, subject) WHERE state = 'open' DO NOTHING`

func (c *Collector) write(ctx context.Context, tx postgres.Tx, l letter) (state string, err error) {
	state = "open"
	if l.event != uuid.Nil {
		applied, err := c.cfg.Applied(ctx, tx, l.consumer, l.event)
		if err != nil {
			return "", fmt.Errorf("ask the inbox: %w", err)
		}
		if applied {
			state = "applied"
		}
	}
	var scope any
	if l.scope != uuid.Nil {
		scope = l.scope
	}
	var now []string
	err = tx.Select(ctx, &now, writeLetter, scope, l.consumer, l.eventKey, l.replay, l.kind, string(l.class), l.reason, l.attempts,
		l.headers, l.payload, state, l.firstFailed, l.lastFailed)
	if err != nil {
		return "", fmt.Errorf("write the letter: %w", err)
	}
	if len(now) == 0 || now[0] != "open" {
		return "closed", nil
	}
	_, err = tx.Exec(ctx, raiseAlert, scope, l.consumer+"/"+l.eventKey, l.consumer, l.eventKey, l.kind, string(l.class), l.reason, l.attempts)
	return "open", err
}
