package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/oklog/run"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/journal"
	"payonce/internal/edge/retention"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/config"
	"payonce/internal/platform/httpserver"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider/simulated"
	"payonce/internal/shop/refund"
	"payonce/once/idempotency"
	"payonce/once/outbox"
	"payonce/once/retry"
	"payonce/once/webhook"
	"payonce/web"
)

// api is every part of the process, wired.
type api struct {
	cfg     config.API
	log     *slog.Logger
	db      *postgres.DB
	journal *journal.Journal
	tail    *journal.Tail
	waker   *outbox.Waker
	handler http.Handler
	admin   telemetry.Admin
}

// newAPI wires. It connects to nothing: the process may start before its
// database, and says so on /readyz.
func newAPI(ctx context.Context, cfg config.API, log *slog.Logger) (*api, error) {
	if err := windowsFit(cfg); err != nil {
		return nil, err
	}
	pg := postgres.Config{DSN: cfg.PostgresDSN, PoolSize: cfg.PoolSize, AppName: "payonce-api"}
	db, err := postgres.Open(ctx, pg)
	if err != nil {
		return nil, err
	}
	waker := patterns.NewWaker(db, log)
	a := &api{
		cfg: cfg, log: log, db: db, waker: waker,
		journal: journal.New(journal.Options{DB: db, Log: log, Level: journal.Level(cfg.Journal)}),
		tail:    journal.NewTail(journal.TailOptions{DB: db, Log: log, Neighbours: neighbours(cfg)}),
	}
	keys, err := idempotency.New(idempotency.Config{DB: db.Once(), Table: checkout.KeyTable, Secret: []byte(cfg.Secret), TTL: cfg.KeyTTL, Lease: cfg.Lease})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	gateway := simulated.New(simulated.Config{URL: cfg.ProviderURL, APIKey: cfg.ProviderKey, ConnectTimeout: cfg.ProviderConnect, Log: log})
	mailbox := mailboxOf(cfg)
	webhooks, err := webhook.NewVerifier(cfg.WebhookSecret, time.Now)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("PAYONCE_WEBHOOK_SECRET: %w", err), db.Close())
	}
	lab, err := laboratory(ctx, cfg, pg, db, log)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	checkouts := checkout.New(checkout.Config{
		DB: db, Keys: keys, Provider: gateway, Render: wire.Renderer{}, Observer: a.journal, Wake: waker.Wake, Log: log, Folded: cfg.Folded(),
		ProviderDeadline: cfg.ProviderDeadline, Finalise: cfg.Finalise, Lease: cfg.Lease, Leaving: ctx.Done(),
		Wait: cfg.Wait, MaxWait: cfg.MaxWait, Doubt: checkout.Doubt(cfg.Schedule),
	})
	schedule, err := retry.ScheduleNamed(cfg.Schedule)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	story := refund.Story(schedule.Whole(), checkout.Refunds{}).WithLook(refund.StepRefund, refund.Gateway{Provider: gateway, Deadline: cfg.ProviderDeadline}.Look)
	a.admin = telemetry.Admin{Registry: metrics(gateway), Log: log, Checks: []telemetry.Check{
		{Name: "process", Ask: staying(ctx)}, {Name: "postgres", Ask: db.Ping}, {Name: "migrations", Ask: schema(pg)}, {Name: "partitions", Ask: partitions(db)},
	}}
	a.handler = httpapi.New(httpapi.Options{
		Refunds: refund.New(refund.Config{
			DB: db, Keys: keys, Payments: checkouts, Story: story, Render: wire.Renderer{}, Observer: a.journal, Wake: waker.Wake,
		}),
		DB: db, Checkout: checkouts, Keys: keys, Journal: a.journal, Tail: a.tail,
		Audit: audit.New(audit.Options{DB: db, Books: gateway, Mailbox: mailbox}),
		Books: gateway, Mailbox: mailbox, Webhooks: webhooks, ReadNotice: simulated.ReadNotice,
		Letters: event.DeadLetters(db, cfg.ReplayLimit), Wake: waker.Wake,
		Secret: []byte(cfg.Secret), OperatorToken: cfg.OperatorToken, PublicURL: cfg.PublicURL, RecordingTTL: cfg.RecordingTTL, Production: cfg.Mode == config.Production,
		Limits: limits(cfg), Hosts: cfg.Hosts,
		Pages: web.FS(), Lab: lab, Registry: a.admin.Registry, PublicMetrics: publicMetrics, Log: log, Ready: a.admin.Checks,
	})
	return a, nil
}

func limits(cfg config.API) httpapi.Limits {
	return httpapi.Limits{
		PerSecond: cfg.Rate, Burst: cfg.Burst, SandboxesPerSecond: cfg.SandboxRate, SandboxBurst: cfg.SandboxBurst,
		Streams: cfg.Streams, Proxies: cfg.Proxies(),
	}
}

// windowsFit refuses to start with a dedupe window that is shorter than the way
// back that it guards.
func windowsFit(cfg config.API) error {
	schedule, err := retry.ScheduleNamed(cfg.Schedule)
	if err != nil {
		return err
	}
	return retention.Lint(retention.Configured(cfg.Retention, cfg.KeyTTL, schedule.Whole()))
}

// run serves until ctx ends, then drains: first /readyz says no and the streams
// end, then no new connection, the requests under way to their end, and last
// what they reported to the journal.
func (a *api) run(ctx context.Context) error {
	defer func() { _ = a.db.Close() }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return err
	}
	if public := a.cfg.Public(); len(public) > 0 {
		a.log.Warn("EVERYBODY KNOWS THESE SECRETS: who reaches this address can make any sandbox's key, or speak for the provider", "settings", public)
	}
	a.log.Info("serving", "url", "http://"+listener.Addr().String())

	var g run.Group
	a.serve(ctx, &g, listener)
	for _, work := range []func(context.Context) error{a.streams(ctx), a.waker.Run, a.heartbeat().Run, a.journal.Run, a.reports} {
		a.support(ctx, &g, work)
	}
	return g.Run()
}

// serve adds the server. It is the first of the group to be interrupted and
// keeps the others waiting until it has drained.
func (a *api) serve(ctx context.Context, g *run.Group, listener net.Listener) {
	limits := httpserver.Limits{Write: a.cfg.MaxWait + httpapi.AnswerBeyondWait, Connections: a.cfg.Connections, Free: a.cfg.Proxies()}
	server := httpserver.New(a.handler, limits, a.log)
	stopped := make(chan error, 1)
	interrupted, interrupt := context.WithCancel(ctx)
	g.Add(func() error {
		go func() {
			<-interrupted.Done()
			server.SetKeepAlivesEnabled(false) // each answer sends its client elsewhere
			if ctx.Err() != nil {
				time.Sleep(a.cfg.Notice)
			}
			patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.Drain)
			defer cancel()
			err := server.Shutdown(patience)
			if errors.Is(err, context.DeadlineExceeded) {
				err = errors.Join(errDrain, server.Close())
			}
			stopped <- err
		}()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return <-stopped
	}, func(error) { interrupt() })
}

// streams feeds the live view until ctx ends: the first to go, because a stream
// that stays open would hold up the drain. Its clients resume elsewhere.
func (a *api) streams(ctx context.Context) func(context.Context) error {
	return func(own context.Context) error {
		feeding, end := context.WithCancel(ctx)
		defer end()
		defer context.AfterFunc(own, end)()
		err := a.tail.Run(feeding)
		if err == nil {
			<-own.Done()
		}
		return err
	}
}

// support adds an actor that works until the server has drained.
func (a *api) support(ctx context.Context, g *run.Group, work func(context.Context) error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g.Add(func() error { return work(own) }, func(error) { cancel() })
}

// reports serves health and metrics where operators are.
func (a *api) reports(ctx context.Context) error { return a.admin.Run(ctx, a.cfg.AdminListen) }

func (a *api) heartbeat() telemetry.Heartbeat {
	return telemetry.Heartbeat{DB: a.db, Process: "api", Log: a.log}
}
