package naive

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/email"
	"payonce/internal/shop/provider"
	"payonce/once/inbox"
	"payonce/once/outbox"
	"payonce/once/rabbit"
	"payonce/once/retry"
	"payonce/once/saga"
)

// BackConfig wires a [Back].
type BackConfig struct {
	Postgres postgres.Config
	AMQPURL  []string
	Schedule retry.Schedule
	Gateway  provider.Refunder
	// Sender makes a connection to the mail server; each consumer has its own.
	Sender func() (email.Sender, error)
	Log    *slog.Logger
}

// Back is what goes on behind the naive checkout, in the worker: its relay, its
// consumers with and without an inbox, its refund saga.
type Back struct {
	db  *postgres.DB
	log *slog.Logger

	conns   []*rabbit.Conn
	senders []email.Sender
	work    []func(ctx context.Context) error
}

// NewBack wires. It connects to nothing.
func NewBack(ctx context.Context, cfg BackConfig) (b *Back, err error) {
	b = &Back{log: cfg.Log}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	pg, err := ownSchema(cfg.Postgres, "payonce-naive")
	if err != nil {
		return nil, err
	}
	if b.db, err = postgres.Open(ctx, pg); err != nil {
		return nil, err
	}
	reading, err := b.connect(cfg, "payonce-naive reading")
	if err != nil {
		return nil, err
	}
	writing, err := b.connect(cfg, "payonce-naive writing")
	if err != nil {
		return nil, err
	}
	publisher := writing.Publisher(rabbit.PublisherConfig{})
	wired := patterns.Relay(outbox.Config{
		DB: b.db.Once(), Publisher: outlet{db: b.db, publisher: publisher}, Source: source, Log: cfg.Log, Poll: poll,
	}, nil)
	// The relays of the naive outbox and the shop's must not count each other.
	wired.Names.Presence++
	wired.Names.Partitions++
	relay, err := outbox.NewRelay(wired)
	if err != nil {
		return nil, err
	}
	b.work = append(b.work, relay.Run, saga.Timer{Definition: story, DB: b.db.Once(), Every: poll, Log: cfg.Log}.Run)
	if err := b.guarded(cfg, reading, publisher); err != nil {
		return nil, err
	}
	return b, b.unguarded(cfg, reading)
}

const poll = 200 * time.Millisecond

func (b *Back) connect(cfg BackConfig, name string) (*rabbit.Conn, error) {
	conn, err := rabbit.Open(rabbit.Config{URLs: cfg.AMQPURL, Name: name, Topology: topology(cfg.Schedule), Log: cfg.Log})
	if err == nil {
		b.conns = append(b.conns, conn)
	}
	return conn, err
}

// topology is what the naive shop needs of the broker, beside the shop's delays.
func topology(schedule retry.Schedule) rabbit.Topology {
	t := rabbit.Topology{Exchanges: []rabbit.Exchange{{Name: Exchange, Kind: "topic"}}}
	bind := func(queue string, keys ...string) {
		t.Queues = append(t.Queues, rabbit.WorkQueue(queue, patterns.Names.Dead))
		for _, key := range keys {
			t.Bindings = append(t.Bindings, rabbit.Binding{Queue: queue, Exchange: Exchange, Key: key})
		}
	}
	for queue, types := range map[string][]string{
		ledgerQueue: {typeCaptured}, ticketsQueue: {typeCaptured}, emailQueue: {typeCaptured, typeDeclined},
	} {
		bind(queue, types...)
		bare := make([]string, len(types))
		for i, kind := range types {
			bare[i] = kind + unguarded
		}
		bind(queue+unguarded, bare...)
	}
	bind(sagaQueue, story.Types()...)
	bind(refundsQueue, append(participant().Types(), askRefund)...)
	return patterns.Names.Topology(schedule).With(t)
}

// guarded adds the consumers behind an inbox.
func (b *Back) guarded(cfg BackConfig, reading *rabbit.Conn, publisher *rabbit.Publisher) error {
	sender, err := b.sender(cfg)
	if err != nil {
		return err
	}
	director := &saga.Orchestrator{Definition: story}
	for _, c := range []inbox.Config{
		{Consumer: ledgerQueue, Handler: deduped(book), Types: []string{typeCaptured}},
		{Consumer: ticketsQueue, Handler: deduped(issue), Types: []string{typeCaptured}},
		{Consumer: emailQueue, Around: asking(sender), Calls: 1, Types: []string{typeCaptured, typeDeclined}, BatchMax: 1},
		{Consumer: sagaQueue, Handler: director.Handle, Types: story.Types()},
		{Consumer: refundsQueue, Handler: participant().Handle, Around: outside(cfg.Gateway), Types: append(participant().Types(), askRefund)},
	} {
		c.DB, c.Broker, c.Publisher, c.Schedule, c.Log = b.db.Once(), reading, publisher, cfg.Schedule, cfg.Log
		runner, err := inbox.New(patterns.Consumer(c, nil))
		if err != nil {
			return err
		}
		b.work = append(b.work, runner.Run)
	}
	return nil
}

// unguarded adds the consumers that acknowledge first.
func (b *Back) unguarded(cfg BackConfig, reading *rabbit.Conn) error {
	sender, err := b.sender(cfg)
	if err != nil {
		return err
	}
	for queue, do := range map[string]func(ctx context.Context, f fact) error{
		ledgerQueue: b.inTx(book), ticketsQueue: b.inTx(issue), emailQueue: sending(sender),
	} {
		b.work = append(b.work, func(ctx context.Context) error {
			return reading.Consume(ctx, rabbit.ConsumerConfig{Queue: queue + unguarded}, b.bare(do))
		})
	}
	return nil
}

func (b *Back) sender(cfg BackConfig) (email.Sender, error) {
	sender, err := cfg.Sender()
	if err == nil {
		b.senders = append(b.senders, sender)
	}
	return sender, err
}

// Run works until ctx ends. It needs the shop's schema to be there.
func (b *Back) Run(ctx context.Context) error {
	defer b.Close()
	for {
		err := Make(ctx, b.db)
		if err == nil {
			break
		}
		b.log.Info("the naive shop waits for its tables", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(poll):
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		failed error
	)
	for _, work := range b.work {
		all.Go(func() {
			defer cancel()
			err := work(ctx)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	all.Wait()
	return failed
}

// Close gives back what NewBack took.
func (b *Back) Close() {
	for _, s := range b.senders {
		_ = s.Close()
	}
	for _, c := range b.conns {
		c.Close()
	}
	if b.db != nil {
		_ = b.db.Close()
	}
}
