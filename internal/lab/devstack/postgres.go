package devstack

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lib/pq"

	"payonce/internal/lab/devstack/proc"
)

const superuser = "payonce"

// postgres is the engine of the private Postgres.
type postgres struct {
	bin      string // folder of the programs
	dir      string // the stack's folder
	place    string // its own one in there, and the name of its log
	as       *proc.User
	port     int
	password string
	scratch  bool
	kept     bool // what it holds was copied or is in use: where it is missing, nothing is made anew
}

func (p *postgres) home() string { return filepath.Join(p.dir, p.place) }
func (p *postgres) log() string  { return filepath.Join(p.dir, "log", p.place+".log") }
func (p *postgres) data() string { return filepath.Join(p.home(), "data") }

func (p *postgres) dsn(database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, p.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}).String()
}

func (p *postgres) launch(ctx context.Context) (*proc.Process, error) {
	if _, err := os.Stat(filepath.Join(p.data(), "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		if p.kept {
			return nil, fmt.Errorf("%s holds no database: it has to be copied from the other one first", p.data())
		}
		if err := p.initialise(ctx); err != nil {
			return nil, err
		}
	}
	// A backend that was killed may still be leaving: the system takes its memory away
	// after it has taken its name from the list, by which sweep looks.
	for {
		process, err := p.begin(ctx)
		if err == nil || !strings.Contains(err.Error(), "pre-existing shared memory block") {
			return process, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *postgres) begin(ctx context.Context) (*proc.Process, error) {
	process, err := proc.Start(proc.Spec{
		Name: "postgres", Path: filepath.Join(p.bin, "postgres"), Args: p.arguments(),
		Env: environment(p.home()), Dir: p.home(),
		LogFile: p.log(), User: p.as,
		// Immediate shutdown: SIGKILL would leave the backends to themselves.
		OnParentDeath: syscall.SIGQUIT,
	})
	if err != nil {
		return nil, err
	}
	// Recovery after a kill replays up to max_wal_size; a busy machine needs time.
	return process, process.UntilReady(ctx, time.Minute, func(ctx context.Context) error {
		return ping(ctx, p.dsn("postgres"))
	})
}

func (p *postgres) arguments() []string {
	args := []string{"-D", p.data()}
	set := func(name, value string) { args = append(args, "-c", name+"="+value) }
	set("listen_addresses", "127.0.0.1")
	set("port", strconv.Itoa(p.port))
	set("unix_socket_directories", "") // a socket would need a short path and could meet another server's
	set("max_connections", "600")      // ten houses of tests side by side have 45 each
	set("wal_keep_size", "256MB")      // a standby that was away for a while goes on where it was
	set("timezone", "UTC")
	set("log_timezone", "UTC")
	set("log_line_prefix", "%m [%p] %d ")
	if _, err := os.Stat(filepath.Join(p.bin, "..", "lib", "pg_stat_statements.so")); err == nil {
		set("shared_preload_libraries", "pg_stat_statements")
	}
	if p.scratch {
		set("password_encryption", "md5") // of roles that are made later; see initialise
		set("fsync", "off")
		set("synchronous_commit", "off")
		set("full_page_writes", "off")
		set("autovacuum", "off") // it would look at each of a thousand databases that live for seconds
	}
	return args
}

// initialise makes the data folder under another name and renames it when it is
// whole, so that a launcher killed in the middle leaves nothing half made.
func (p *postgres) initialise(ctx context.Context) error {
	half := filepath.Join(p.home(), "half-made")
	passwordFile := filepath.Join(p.home(), "password")
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	if err := os.MkdirAll(p.home(), 0o700); err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	if err := os.WriteFile(passwordFile, []byte(p.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	defer os.Remove(passwordFile)
	for _, path := range []string{p.home(), passwordFile} {
		if err := own(path, p.as); err != nil {
			return err
		}
	}
	args := []string{
		"-D", half, "-U", superuser, "--pwfile", passwordFile,
		"--encoding", "UTF8", "--locale", "C.UTF-8",
	}
	if p.scratch {
		// Tests connect thousands of times, and each time SCRAM costs the client the
		// 4,096 rounds that make it safe on a network.
		args = append(args, "--no-sync", "--auth", "md5")
	} else {
		args = append(args, "--auth", "scram-sha-256")
	}
	if err := proc.Run(ctx, proc.Spec{
		Name: "initdb", Path: filepath.Join(p.bin, "initdb"), Args: args,
		Env: environment(p.home()), Dir: p.home(),
		LogFile: p.log(), User: p.as,
	}); err != nil {
		return err
	}
	if err := os.Rename(half, p.data()); err != nil {
		return fmt.Errorf("initialise: %w", err)
	}
	return nil
}

// halt is a fast shutdown: sessions are ended, a checkpoint is written. In a
// scratch stack nobody will read the checkpoint.
func (p *postgres) halt(process *proc.Process) error {
	if p.scratch {
		return process.Stop(syscall.SIGQUIT, 10*time.Second)
	}
	return process.Stop(syscall.SIGINT, 30*time.Second)
}

// sweep ends the backends of a killed postmaster, which hold the shared memory
// that the next one wants, and removes its pid file: by now the number in it
// may belong to somebody else, whom Postgres would mistake for a postmaster.
func (p *postgres) sweep(ctx context.Context) error {
	if err := endLeftovers(ctx, p.home()); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(p.data(), "postmaster.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("stale pid file: %w", err)
	}
	return nil
}

func ping(ctx context.Context, dsn string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// ensureDatabases makes those that do not exist. Two launchers may do so at the
// same time on one external server; the loser finds the database made.
func ensureDatabases(ctx context.Context, dsn string, names []string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return fmt.Errorf("databases: %w", err)
	}
	defer db.Close()
	for _, name := range names {
		var exists bool
		const find = `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`
		if err := db.QueryRowContext(ctx, find, name).Scan(&exists); err != nil {
			return fmt.Errorf("look for database %s: %w", name, err)
		}
		if exists {
			continue
		}
		_, err := db.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name))
		var refused *pq.Error
		if errors.As(err, &refused) && (refused.Code == "42P04" || refused.Code == "23505") {
			continue // duplicate_database, unique_violation: somebody was faster
		}
		if err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
	}
	return nil
}
