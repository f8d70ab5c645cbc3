package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	_ "github.com/lib/pq" // the driver that the product uses too
	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/proc"
)

// house is the private stack and the programs on it.
type house struct {
	cfg   config
	root  string // of the repository
	stack *devstack.Stack
	db    *sql.DB // the shop's database, for seeding and counting

	simulatorDB   *sql.DB
	brokerVersion string
}

// open builds the programs, starts the services and migrates. After an error
// nothing runs.
func open(ctx context.Context, cfg config, root string) (h *house, err error) {
	h = &house{cfg: cfg, root: root}
	if err := h.build(ctx); err != nil {
		return nil, err
	}
	h.stack, err = devstack.Start(ctx, devstack.Options{
		Dir: cfg.Dir, Fresh: true, Progress: func(line string) { fmt.Fprintln(os.Stderr, line) },
	})
	if err != nil {
		return nil, err
	}
	if err := h.furnish(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// repository is the folder above this module.
func repository() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "cmd", "relay", "main.go")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run this inside the repository of payonce")
		}
	}
	return "", err
}

// build makes the production builds, unless there are some: no tag, no race
// detector.
func (h *house) build(ctx context.Context) error {
	if h.cfg.Bin != "" {
		return nil
	}
	if err := os.MkdirAll(h.cfg.bin(), 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", h.cfg.bin()+"/", "./cmd/api", "./cmd/relay", "./cmd/simulator")
	cmd.Dir = h.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

func (h *house) furnish(ctx context.Context) (err error) {
	if h.db, err = sql.Open("postgres", h.stack.PostgresDSN(devstack.MainDatabase)); err != nil {
		return err
	}
	if h.simulatorDB, err = sql.Open("postgres", h.stack.PostgresDSN(devstack.SimulatorDatabase)); err != nil {
		return err
	}
	if err := proc.Run(ctx, h.spec("api", "--migrate")); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if h.brokerVersion, err = brokerVersion(h.stack.AMQPURL("/")); err != nil {
		return err
	}
	return h.warm(ctx)
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
	for _, db := range []*sql.DB{h.db, h.simulatorDB} {
		if db != nil {
			problems = append(problems, db.Close())
		}
	}
	problems = append(problems, h.stack.Close())
	if !h.cfg.Keep {
		problems = append(problems, os.RemoveAll(h.stack.Dir()))
	}
	return errors.Join(problems...)
}

// spec describes one of the programs; settings are added to what all share.
func (h *house) spec(name string, args ...string) proc.Spec {
	return proc.Spec{
		Name: name, Path: filepath.Join(h.cfg.bin(), name), Args: args, Dir: h.stack.Dir(),
		LogFile: filepath.Join(h.stack.Dir(), "log", name+".log"),
		Env: []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), h.stack.Marker(), "PAYONCE_LOG_FORMAT=json",
			"PAYONCE_POSTGRES_DSN=" + h.stack.PostgresDSN(devstack.MainDatabase), "PAYONCE_AMQP_URL=" + h.stack.AMQPURL("/"),
			"PAYONCE_SIMULATOR_POSTGRES_DSN=" + h.stack.PostgresDSN(devstack.SimulatorDatabase),
			"PAYONCE_PROVIDER_URL=http://127.0.0.1:9", "PAYONCE_SECRET=bench-secret-bench-secret-bench-secret",
		},
	}
}

// program is one that runs.
type program struct {
	*proc.Process
	URL string
}

// start runs a program until end is called. It listens on at, where it must
// answer 200 on the path ready.
func (h *house) start(ctx context.Context, name, at, ready string, env ...string) (*program, error) {
	spec := h.spec(name)
	spec.Env = append(spec.Env, env...)
	process, err := proc.Start(spec)
	if err != nil {
		return nil, err
	}
	p := &program{Process: process, URL: "http://" + at}
	return p, process.UntilReady(ctx, 30*time.Second, func(ctx context.Context) error { return answers(ctx, p.URL+ready) })
}

// end asks the program to end and waits for it.
func (p *program) end() error { return p.Stop(syscall.SIGTERM, 25*time.Second) }

func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

func freeAddress(ctx context.Context) (string, error) {
	port, err := devstack.FreePort(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
