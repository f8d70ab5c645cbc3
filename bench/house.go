package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "github.com/lib/pq" // the driver that the product uses too
	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/program"
)

// house is the private stack and the programs on it.
type house struct {
	cfg      config
	root     string // of the repository
	stack    *devstack.Stack
	database string
	db       *sql.DB // of database, for seeding and counting

	brokerVersion string
	profiler      *profiler // nil unless the run is profiled
}

// open builds the programs, starts the services and migrates. After an error
// nothing runs.
func open(ctx context.Context, cfg config, root string) (h *house, err error) {
	h = &house{cfg: cfg, root: root, database: devstack.MainDatabase}
	if cfg.Profile != "" {
		h.profiler = &profiler{dir: cfg.Profile}
	}
	if err := h.build(ctx); err != nil {
		return nil, err
	}
	h.stack, err = devstack.Start(ctx, devstack.Options{
		Dir: cfg.Dir, Fresh: true, Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
		Databases: []string{devstack.MainDatabase, devstack.SimulatorDatabase, smallDatabase, largeDatabase},
	})
	if err != nil {
		return nil, err
	}
	if err := h.furnish(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// build makes the production builds, unless there are some: no tag but a profiler's, no
// race detector.
func (h *house) build(ctx context.Context) error {
	if h.cfg.Bin != "" {
		return nil
	}
	tags := ""
	if h.profiler != nil {
		tags = "profile"
	}
	if err := (program.Builds{Dir: h.cfg.bin(), Tags: tags, Programs: []string{"api", "relay", "worker"}}).Make(ctx); err != nil {
		return err
	}
	return program.Builds{Dir: h.cfg.bin(), Module: "bench", Programs: []string{"byhand"}, Log: filepath.Join(h.cfg.bin(), "byhand.log")}.Make(ctx)
}

func (h *house) furnish(ctx context.Context) (err error) {
	if err := h.migrate(ctx); err != nil {
		return err
	}
	if h.brokerVersion, err = brokerVersion(h.stack.AMQPURL("/")); err != nil {
		return err
	}
	return h.warm(ctx)
}

// migrate opens the database and makes the shop's schema in it.
func (h *house) migrate(ctx context.Context) (err error) {
	if h.db, err = sql.Open("postgres", h.stack.PostgresDSN(h.database)); err != nil {
		return err
	}
	if err := h.settings().Migrate(ctx, h.stack.OwnerDSN(h.database)); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// beside is the same house with another database, which its line closes.
func (h *house) beside(ctx context.Context, database string) (*house, error) {
	other := *h
	other.database = database
	return &other, other.migrate(ctx)
}

// warm makes the log ready: a write-ahead log whose segments are made while the
// clock runs gives half. The checkpoint afterwards turns the segments into ones
// that can be written again, and no other checkpoint falls into the run.
func (h *house) warm(ctx context.Context) error {
	for _, statement := range []string{
		`ALTER SYSTEM SET min_wal_size = '1GB'`, `ALTER SYSTEM SET max_wal_size = '8GB'`, `ALTER SYSTEM SET checkpoint_timeout = '1h'`,
		`SELECT pg_reload_conf()`,
		`CREATE TABLE bench_ballast AS SELECT g, repeat(md5(g::text), 60) AS text FROM generate_series(1, 400000) g`,
		`DROP TABLE bench_ballast`, `CHECKPOINT`, `VACUUM ANALYZE`,
	} {
		if _, err := h.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("warm the log: %s: %w", statement, err)
		}
	}
	return nil
}

func brokerVersion(url string) (string, error) {
	conn, err := amqp.Dial(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	version, _ := conn.Properties["version"].(string)
	return version, nil
}

// close stops everything and removes the data.
func (h *house) close() error {
	var problems []error
	if h.db != nil {
		problems = append(problems, h.db.Close())
	}
	problems = append(problems, h.stack.Close())
	if !h.cfg.Keep {
		problems = append(problems, os.RemoveAll(h.stack.Dir()))
	}
	return errors.Join(problems...)
}

// program describes one that listens on at, where it answers 200 on the path
// ready; own are settings of its own.
func (h *house) program(name, at, ready string, own ...string) *program.Program {
	return program.New(h.settings().Spec(name, "", own...), "http://"+at, ready)
}

func (h *house) settings() program.Settings {
	return program.Settings{
		Bin: h.cfg.bin(), Dir: h.stack.Dir(), Marker: h.stack.Marker(),
		PostgresDSN: h.stack.ProgramDSN(h.database), SimulatorDSN: h.stack.OwnerDSN(devstack.SimulatorDatabase),
		AMQPURL: h.stack.AMQPURL("/"), Provider: "http://127.0.0.1:9",
		Secrets: map[string]string{"PAYONCE_SECRET": "bench-secret-bench-secret-bench-secret"},
	}
}

// startAt starts a program on a free port, which it learns by a variable.
func (h *house) startAt(ctx context.Context, name, variable string, env ...string) (*program.Program, error) {
	at, err := devstack.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return h.start(ctx, name, at, "/readyz", append(env, variable+"="+at)...)
}

const adminListen = "PAYONCE_ADMIN_LISTEN" // where relay and worker say that they are ready

// startRelay starts a relay with nothing to do yet: what the captures of other lines left
// would go before what is measured.
func (h *house) startRelay(ctx context.Context) (*program.Program, error) {
	if err := h.publishedAll(ctx); err != nil {
		return nil, err
	}
	return h.startAt(ctx, "relay", adminListen)
}

// startWorker starts a worker that sends its mails to smtp.
func (h *house) startWorker(ctx context.Context, smtp string) (*program.Program, error) {
	return h.startAt(ctx, "worker", adminListen, "PAYONCE_SMTP_ADDR="+smtp, "PAYONCE_PUBLIC_URL=http://127.0.0.1")
}

// publishedAll marks every event as published.
func (h *house) publishedAll(ctx context.Context) error {
	_, err := h.db.ExecContext(ctx, `UPDATE outbox_events SET published_at = clock_timestamp() WHERE published_at IS NULL`)
	return err
}

// start runs a program until stop is called.
func (h *house) start(ctx context.Context, name, at, ready string, own ...string) (*program.Program, error) {
	admin := at
	if h.profiler != nil && name == "api" { // its admin server is another one than the caller asks
		var err error
		if admin, err = devstack.FreeAddress(ctx); err != nil {
			return nil, err
		}
		own = append(own, adminListen+"="+admin)
	}
	p := h.program(name, at, ready, own...)
	if h.profiler != nil && name != "byhand" {
		h.profiler.add(p, admin)
	}
	_, err := p.Start(ctx)
	return p, err
}

// stop asks a program to end and waits for it.
func stop(p *program.Program) error { return p.Stop(25 * time.Second) }
