package devstack

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"payonce/internal/lab/devstack/proc"
)

// Standby is a second Postgres that repeats what the stack's own one does, for
// which each commit waits.
type Standby struct {
	*Service

	engine *postgres
}

// Standby copies the stack's private Postgres and follows it. From then on a
// commit is acknowledged when both have it, so that a promotion loses none.
func (s *Stack) Standby(ctx context.Context) (*Standby, error) {
	if s.postgres == nil {
		return nil, ErrExternal
	}
	port := 0
	for range 1000 {
		if port = firstPort + rand.IntN(lastPort-firstPort); PortFree(ctx, "127.0.0.1", port) {
			break
		}
	}
	copied := s.postgres.beside("standby", port)
	b := &Standby{Service: &Service{Name: copied.place, engine: copied}, engine: copied}
	return b, follow(ctx, s.postgres, copied, b.Service)
}

// beside is another server at a place of its own.
func (p *postgres) beside(place string, port int) *postgres {
	other := *p
	other.place, other.port, other.kept = place, port, true
	return &other
}

func (p *postgres) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// synchronous makes commits wait for a standby, and not for the copy that becomes
// one: that calls itself pg_basebackup. On a standby it means something once that is
// promoted.
const synchronous = `ALTER SYSTEM SET synchronous_standby_names = 'walreceiver'`

// follow makes service, whose engine is to, a standby of from: as it is, when it
// has been one, or as a new copy. After nil, commits wait for it.
func follow(ctx context.Context, from, to *postgres, service *Service) error {
	if err := service.Stop(ctx); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(to.data(), "standby.signal"))
	if err != nil || service.Start(ctx) != nil || streams(ctx, from, 5*time.Second) != nil {
		// One after the other: a server that starts where nothing was copied is an empty
		// one, which must never take over.
		for _, step := range []func() error{
			func() error { return service.Kill(ctx) },
			func() error { return copyOf(ctx, from, to) },
			func() error { return service.Start(ctx) },
			func() error { return streams(ctx, from, 30*time.Second) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
	}
	for _, server := range []*postgres{to, from} {
		if err := statement(ctx, server.dsn("postgres"), synchronous); err != nil {
			return err
		}
		if err := statement(ctx, server.dsn("postgres"), `SELECT pg_reload_conf()`); err != nil {
			return err
		}
	}
	return nil
}

// streams waits until a standby of the server has caught up.
func streams(ctx context.Context, from *postgres, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := statement(ctx, from.dsn("postgres"), `SELECT 1 / count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = 'walreceiver'`)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the standby does not follow: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func copyOf(ctx context.Context, from, to *postgres) error {
	if err := os.RemoveAll(to.data()); err != nil {
		return fmt.Errorf("standby: %w", err)
	}
	if err := os.MkdirAll(to.home(), 0o700); err != nil {
		return fmt.Errorf("standby: %w", err)
	}
	if err := own(to.home(), to.as); err != nil {
		return err
	}
	return proc.Run(ctx, proc.Spec{
		Name: "pg_basebackup", Path: filepath.Join(from.bin, "pg_basebackup"), Dir: to.home(), User: from.as,
		Env: append(environment(to.home()), "PGPASSWORD="+from.password), LogFile: to.log(),
		// The password is written into the copy by -R, readable to its owner only.
		Args: []string{"-D", to.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(from.port), "-U", superuser, "-R", "--checkpoint=fast"},
	})
}

// Address is where it listens.
func (b *Standby) Address() string { return b.engine.address() }

// Promote makes it the primary, for which nobody waits any more.
func (b *Standby) Promote(ctx context.Context) error {
	for _, step := range []string{`ALTER SYSTEM SET synchronous_standby_names = ''`, `SELECT pg_reload_conf()`, `SELECT pg_promote()`} {
		if err := statement(ctx, b.engine.dsn("postgres"), step); err != nil {
			return err
		}
	}
	return nil
}

func statement(ctx context.Context, dsn, text string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, text); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}
