// Command relay moves events from the outbox to RabbitMQ, each at least once.
// Any number may run: they share the work evenly. Killing one at any
// moment costs a few events sent twice, which every consumer's inbox absorbs.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/google/uuid"
	"github.com/oklog/run"

	"payonce/internal/edge/journal"
	"payonce/internal/edge/retention"
	"payonce/internal/platform/config"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/process"
	"payonce/internal/platform/telemetry"
	"payonce/internal/shop/event"
	"payonce/once/outbox"
	onceprom "payonce/once/prom"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

const about = "Moves events from the outbox to RabbitMQ, each at least once. Any number may run: they share the work evenly and take over from one that dies."

func main() {
	var cfg config.Relay
	config.MustParse("relay", about, &cfg)
	log := telemetry.Logger("relay", cfg.LogFormat, cfg.LogLevel)
	ctx, stop := process.Context(cfg.Drain, log)
	err := relay(ctx, cfg, log)
	stop()
	if err != nil {
		log.Error("the relay stopped", "error", err)
		os.Exit(1)
	}
}

// relay runs until ctx ends, then waits for the confirms under way.
func relay(ctx context.Context, cfg config.Relay, log *slog.Logger) error {
	telemetry.Traces()
	schedule, err := prepare(cfg, log)
	if err != nil {
		return err
	}
	database := postgres.Config{DSN: cfg.PostgresDSN, PoolSize: cfg.PoolSize, AppName: "payonce-relay"}
	if err := watchFaults(ctx, database, log); err != nil {
		return err
	}
	db, err := postgres.Open(ctx, database)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	topology := event.Topology(schedule)
	broker, err := patterns.Broker(db, rabbit.Config{URLs: cfg.AMQPURL, Name: "payonce-relay", Topology: topology, Log: log})
	if err != nil {
		return err
	}
	defer broker.Close()
	// A connection of its own: while the broker is out of memory it reads
	// nothing from one that publishes, and the depths are wanted just then.
	eye, err := rabbit.Open(rabbit.Config{URLs: cfg.AMQPURL, Name: "payonce-relay-depths", Log: log})
	if err != nil {
		return err
	}
	defer eye.Close()

	seen := journal.New(journal.Options{DB: db, Log: log, Level: journal.Level(cfg.Journal)})
	r, err := outbox.NewRelay(patterns.Relay(outbox.Config{
		DB: db.Once(), Publisher: broker.Publisher(rabbit.PublisherConfig{Window: 2 * cfg.Batch}),
		Source: "/payonce/shop", Log: log, Batch: cfg.Batch, Poll: cfg.Poll, Drain: cfg.Drain / 2,
	}, seen))
	if err != nil {
		return err
	}
	// The journal ends last, so that it hears of the confirms waited for.
	defer background(context.WithoutCancel(ctx), seen.Run)()
	return supervise(ctx, cfg, log, parts{db, broker, eye, topology, r})
}

// prepare refuses settings that cannot keep the promise.
func prepare(cfg config.Relay, log *slog.Logger) (retry.Schedule, error) {
	if err := armFaults(cfg.Base); err != nil {
		return nil, err
	}
	schedule, err := retry.ScheduleNamed(cfg.Schedule)
	if err != nil {
		return nil, err
	}
	log.Info("retries", "schedule", cfg.Schedule, "longest_way_back", schedule.Whole().String())
	return schedule, retention.Lint(retention.Configured(cfg.Retention, retention.Defaults().Keys, schedule.Whole()))
}

type parts struct {
	db          *postgres.DB
	broker, eye *rabbit.Conn
	topology    rabbit.Topology
	relay       *outbox.Relay
}

// supervise runs the process's actors until one of them or ctx ends.
func supervise(ctx context.Context, cfg config.Relay, log *slog.Logger, p parts) error {
	registry := telemetry.Registry()
	backlog := &outbox.BacklogGauge{DB: p.db.Once(), Table: patterns.Outbox, Log: log}
	onceprom.Relay(registry, "payonce", p.relay)
	onceprom.Backlog(registry, "payonce", backlog)
	var g run.Group
	actor(ctx, &g, p.relay.Run)
	actor(ctx, &g, outbox.Sampler{DB: p.db.Once(), Table: patterns.Outbox, Broker: p.eye, Queues: p.topology.QueueNames(), Log: log}.Run)
	actor(ctx, &g, backlog.Run)
	actor(ctx, &g, telemetry.Heartbeat{DB: p.db, Process: "relay", Instance: instance(), BrokerOK: p.broker.Healthy, Log: log}.Run)
	actor(ctx, &g, func(ctx context.Context) error {
		checks := []telemetry.Check{{Name: "postgres", Ask: p.db.Ping}, {Name: "rabbitmq", Ask: p.broker.Ready}, {Name: "confirms", Ask: p.relay.Confirms}}
		return telemetry.Admin{Registry: registry, Checks: checks, Log: log}.Run(ctx, cfg.AdminListen)
	})
	err := g.Run()
	if err == nil {
		log.Info("stopped as asked", "events_published", p.relay.Counts().Published)
	}
	return err
}

// actor runs work until another actor of the group ends.
func actor(ctx context.Context, g *run.Group, work func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	g.Add(func() error { return work(ctx) }, func(error) { cancel() })
}

// background starts work and returns how to end it and wait for its end.
func background(ctx context.Context, work func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = work(ctx) // It ends with its context and has no other way to.
	}()
	return func() { cancel(); <-ended }
}

func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%s", host, uuid.NewString()[:8])
}
