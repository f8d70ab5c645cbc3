package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"payonce/internal/edge/delivery"
	"payonce/internal/edge/journal"
	"payonce/internal/edge/reconciliation"
	"payonce/internal/edge/retention"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/config"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/email"
	"payonce/internal/shop/event"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/provider/simulated"
	"payonce/internal/shop/refund"
	"payonce/internal/shop/tickets"
	"payonce/once/idempotency"
	"payonce/once/inbox"
	"payonce/once/outbox"
	"payonce/once/rabbit"
	"payonce/once/retry"
	"payonce/once/saga"
)

// worker is every part of the process, wired.
type worker struct {
	cfg      config.Worker
	log      *slog.Logger
	pg       postgres.Config
	schedule retry.Schedule
	migrated atomic.Bool

	db *postgres.DB
	// Two connections: one that the broker blocks, because it is short of
	// memory, must not keep another's acknowledgements back.
	reading, writing *rabbit.Conn

	journal   *journal.Journal
	observer  observe.Observer
	waker     *outbox.Waker
	consumers []consumer
	mailer    *email.Mailer
	collector *retry.Collector
	sweeper   checkout.Sweeper
	keeper    *retention.Keeper
	gateway   *simulated.Client // one for all, so that there is one breaker
	story     saga.Definition
	timer     saga.Timer
	books     *reconciliation.Job
	decisions saga.Decisions
	sweepNow  chan struct{}
	beside    []actor // of the laboratory, in its builds
}

type consumer struct {
	name   string
	runner *inbox.Runner
}

// newWorker wires. It connects to nothing: the process may start before its
// database, its broker and everybody else.
func newWorker(ctx context.Context, cfg config.Worker, log *slog.Logger) (*worker, error) {
	w := &worker{cfg: cfg, log: log, pg: postgres.Config{DSN: cfg.PostgresDSN, PoolSize: cfg.PoolSize, AppName: "payonce-worker"}}
	for _, wire := range []func(context.Context) error{w.wireServices, w.wireMailer, w.wireCheckout, w.wireSaga, w.wireConsumers, w.wireLab} {
		if err := wire(ctx); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

func (w *worker) wireServices(ctx context.Context) (err error) {
	if w.schedule, err = retry.ScheduleNamed(w.cfg.Schedule); err != nil {
		return err
	}
	windows := retention.Configured(w.cfg.Retention, w.cfg.KeyTTL, w.schedule.Whole())
	if err := retention.Lint(windows); err != nil {
		return err // Before anything else: nothing may work with a window that is too short.
	}
	w.log.Info("retries", "schedule", w.cfg.Schedule, "longest_way_back", w.schedule.Whole().String())
	if err := watchFaults(ctx, w.pg, w.log); err != nil {
		return err
	}
	if w.db, err = postgres.Open(ctx, w.pg); err != nil {
		return err
	}
	// What the ledger was booked from is what an auditor may ask for in years.
	if w.keeper, err = retention.New(retention.Config{
		DB: w.db, Windows: windows, ArchiveDir: w.cfg.ArchiveDir, ArchiveTypes: ledger.Types, Log: w.log, Now: time.Now,
	}); err != nil {
		return err
	}
	w.waker = patterns.NewWaker(w.db, w.log)
	topology := event.Topology(w.schedule)
	if w.reading, err = patterns.Broker(w.db, rabbit.Config{URLs: w.cfg.AMQPURL, Name: "payonce-worker reading", Topology: topology, Log: w.log}); err != nil {
		return err
	}
	if w.writing, err = patterns.Broker(w.db, rabbit.Config{URLs: w.cfg.AMQPURL, Name: "payonce-worker writing", Topology: topology, Log: w.log}); err != nil {
		return err
	}
	w.journal = journal.New(journal.Options{DB: w.db, Log: w.log, Level: journal.Level(w.cfg.Journal)})
	w.observer = observe.All(w.journal, observe.Func(w.hurry))
	return nil
}

// hurry wakes who has work after a commit. A wake-up that gets lost costs a poll
// interval and nothing else.
func (w *worker) hurry(_ context.Context, e observe.Event) {
	if e.Kind != observe.Applied {
		return
	}
	switch e.Node {
	case email.Name:
		w.mailer.Wake()
	case tickets.Name, ledger.Name, event.ConsumerSaga:
		w.waker.Wake() // they have written to the outbox: news, commands, replies
	case checkout.NoticesName:
		select {
		case w.sweepNow <- struct{}{}: // an attempt may be due
		default:
		}
		w.waker.Wake() // or a refund's reply is in the outbox
	}
}

func (w *worker) wireMailer(context.Context) error {
	timeout := 10 * time.Second
	if w.cfg.Schedule == "demo" {
		timeout = 2 * time.Second // so that a visitor sees a killed mailer's lease run out
	}
	sender, err := w.smtp(timeout)
	if err != nil {
		return err
	}
	w.mailer = email.NewMailer(email.Config{
		DB: w.db, Sender: sender, Schedule: w.schedule, Observer: w.observer, Log: w.log,
		Lease: 5 * timeout, // half of it holds connecting and one mail, with some to spare
	})
	return nil
}

// smtp makes a connection to the mail server; one for each who sends.
func (w *worker) smtp(timeout time.Duration) (*email.SMTP, error) {
	return email.NewSMTP(email.SMTPConfig{
		Addr: w.cfg.SMTPAddr, TLS: w.cfg.SMTPTLS, User: w.cfg.SMTPUser, Password: w.cfg.SMTPPass, From: w.cfg.MailFrom, Timeout: timeout,
	})
}

// refunder is the provider's part in refunds.
func (w *worker) refunder() refund.Gateway {
	return refund.Gateway{Provider: w.gateway, Deadline: w.cfg.ProviderDeadline}
}

// wireSaga makes what drives refunds: the story, the timer that looks where no
// answer came, and what ends a person's pending decisions.
func (w *worker) wireSaga(context.Context) error {
	w.story = refund.Story(w.schedule.Whole(), checkout.Refunds{}).WithLook(refund.StepRefund, w.refunder().Look)
	w.timer = saga.Timer{Definition: w.story, DB: w.db.Once(), Wake: w.waker.Wake, Log: w.log}
	w.decisions = saga.Decisions{Definition: w.story, DB: w.db.Once(), Wake: w.waker.Wake, Log: w.log}
	return w.story.Check()
}

// asking is how many calls of the provider are under way together. One that is
// silent holds its place until the deadline, so places must be many; and what is
// in hand when a worker dies is counted a delivery, so not too many.
const asking = 32

func (w *worker) wireConsumers(context.Context) error {
	director := &saga.Orchestrator{Definition: w.story}
	publisher := w.writing.Publisher(rabbit.PublisherConfig{})
	charges, refunds := checkout.Notices{Service: w.sweeper.Service}, refund.Notices{Payments: w.sweeper.Service, Log: w.log}
	w.books = reconciliation.New(reconciliation.Config{
		DB: w.db, Provider: w.gateway, Charges: charges, Refunds: refunds, Every: w.cfg.Reconcile, Wake: w.waker.Wake, Log: w.log,
	})
	of := func(h patterns.Handler) inbox.Handler { return h.Inbox() }
	for _, c := range []inbox.Config{
		{Consumer: ledger.Name, Handler: of(ledger.Consumer{}.Handle)},
		{Consumer: tickets.Name, Handler: of(tickets.Consumer{}.Handle)},
		{Consumer: email.Name, Handler: of(email.Consumer{PublicURL: w.cfg.PublicURL}.Handle)},
		{Consumer: event.ConsumerSaga, Handler: director.Handle},
		// What the provider tells is applied, what it is asked is asked: one queue.
		{Consumer: event.ConsumerProvider, Handler: of(providerMessages(charges.Handle, refunds.Handle)), Around: w.refunder().Around(), Calls: asking, BatchMax: asking, Prefetch: 2 * asking},
		{Consumer: checkout.RefundsName, Handler: of(checkout.Refunds{}.Handle)},
	} {
		c.Publisher = publisher
		if err := w.consume(c); err != nil {
			return err
		}
	}
	var err error
	w.collector, err = retry.NewCollector(patterns.Collector(retry.CollectorConfig{DB: w.db.Once(), Broker: w.reading, Log: w.log}, w.observer))
	return err
}

// consume adds a consumer; what all have in common is filled in here.
func (w *worker) consume(c inbox.Config) error {
	c.Types, c.DB, c.Broker, c.Schedule, c.Log = event.TypesOf(c.Consumer), w.db.Once(), w.reading, w.schedule, w.log
	c.ByBusinessKey = event.ByBusinessKey(c.Consumer)
	runner, err := inbox.New(patterns.Consumer(c, w.observer))
	if err == nil {
		w.consumers = append(w.consumers, consumer{c.Consumer, runner})
	}
	return err
}

// wireCheckout stands before the consumers: one of them needs it.
func (w *worker) wireCheckout(context.Context) error {
	keys, err := idempotency.New(idempotency.Config{DB: w.db.Once(), Table: checkout.KeyTable, Secret: []byte(w.cfg.Secret), TTL: w.cfg.KeyTTL, Lease: w.cfg.Lease})
	if err != nil {
		return err
	}
	w.sweepNow = make(chan struct{}, 1)
	w.gateway = simulated.New(simulated.Config{URL: w.cfg.ProviderURL, APIKey: w.cfg.ProviderKey, ConnectTimeout: w.cfg.ProviderConnect, Log: w.log})
	w.sweeper = checkout.Sweeper{Every: w.cfg.Sweep, Hurry: w.sweepNow, Service: checkout.New(checkout.Config{
		DB:       w.db,
		Keys:     keys,
		Provider: w.gateway,
		Render:   wire.Renderer{},
		Folded:   w.cfg.Folded(),
		Observer: w.observer,
		Wake:     w.waker.Wake,
		Log:      w.log,

		ProviderDeadline: w.cfg.ProviderDeadline, Finalise: w.cfg.Finalise, Lease: w.cfg.Lease,
		Wait: w.cfg.Wait, MaxWait: w.cfg.MaxWait, Doubt: checkout.Doubt(w.cfg.Schedule),
	})}
	return nil
}

// workers take on work; each can be killed at any moment.
func (w *worker) workers() []actor {
	all := append([]actor{
		{"mailer", w.mailer.Run},
		{"dead letters", w.collector.Run},
		{"sweeper", w.sweeper.Run},
		{"retention", w.keeper.Run},
		{"saga timer", w.timer.Run},
		{"reconciliation", w.books.Run},
		{"saga decisions", w.decisions.Run},
		{"deliveries", w.deliveries().Run},
	}, w.beside...)
	for _, c := range w.consumers {
		all = append(all, actor{"consumer " + c.name, c.runner.Run})
	}
	return all
}

// deliveries watches over what was published, with the time of a whole retry
// schedule for each event, and what the audit allows besides.
func (w *worker) deliveries() delivery.Watch {
	patience := w.schedule.Whole() + 30*time.Second
	return delivery.Watch{DB: w.db, Patience: patience, Every: min(time.Minute, patience/4), Log: w.log}
}

// support shows and tells; it stays until the last worker is done.
func (w *worker) support() []actor {
	beat := telemetry.Heartbeat{
		DB: w.db, Process: "worker", Log: w.log,
		BrokerOK: func() bool { return w.reading.Healthy() && w.writing.Healthy() },
	}
	admin := telemetry.Admin{Registry: w.metrics(), Checks: w.checks(), Log: w.log}
	return []actor{
		{"admin server", func(ctx context.Context) error { return admin.Run(ctx, w.cfg.AdminListen) }},
		{"heartbeat", beat.Run},
		{"journal", w.journal.Run},
		{"waker", w.waker.Run},
	}
}

var (
	errNotMigrated   = errors.New("the schema is not up to date")
	errFewPartitions = errors.New("fewer than three days of partitions are left")
)

func (w *worker) checks() []telemetry.Check {
	return []telemetry.Check{
		{Name: "postgres", Ask: w.db.Ping},
		{Name: "migrations", Ask: func(context.Context) error {
			if !w.migrated.Load() {
				return errNotMigrated
			}
			return nil
		}},
		{Name: "partitions", Ask: w.partitions},
		{Name: "rabbitmq", Ask: func(ctx context.Context) error { return errors.Join(w.reading.Ready(ctx), w.writing.Ready(ctx)) }},
		{Name: "consumers", Ask: func(ctx context.Context) error { return w.reading.Reads(ctx, w.queues()...) }},
	}
}

// queues are all that this worker reads.
func (w *worker) queues() []string {
	names := []string{patterns.Names.Dead}
	for _, c := range w.consumers {
		names = append(names, c.name)
	}
	return names
}

// partitions says no while there is still time to make some.
func (w *worker) partitions(ctx context.Context) error {
	left, err := retention.DaysLeft(ctx, w.db)
	if err == nil && left < 3 {
		return errFewPartitions
	}
	return err
}

// close gives back what newWorker took; parts that were not reached are nil.
func (w *worker) close() {
	for _, conn := range []*rabbit.Conn{w.reading, w.writing} {
		if conn != nil {
			conn.Close()
		}
	}
	if w.db != nil {
		_ = w.db.Close()
	}
}
