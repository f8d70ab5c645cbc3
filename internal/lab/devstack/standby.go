package devstack

import (
	"context"
	"database/sql"
	"errors"
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
	copied := *s.postgres
	copied.dir = filepath.Join(s.dir, "standby")
	copied.port = 0
	for range 1000 {
		if port := firstPort + rand.IntN(lastPort-firstPort); PortFree(ctx, "127.0.0.1", port) {
			copied.port = port
			break
		}
	}
	for _, dir := range []string{copied.dir, filepath.Join(copied.dir, "log"), copied.home()} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the user postgres must be able to enter
			return nil, fmt.Errorf("standby: %w", err)
		}
	}
	if err := own(copied.home(), copied.as); err != nil {
		return nil, err
	}
	if err := s.copyTo(ctx, &copied); err != nil {
		return nil, err
	}
	b := &Standby{Service: &Service{Name: "standby", engine: &copied}, engine: &copied}
	if err := b.Start(ctx); err != nil {
		return nil, err
	}
	return b, errors.Join(
		statement(ctx, s.postgres.dsn("postgres"), `ALTER SYSTEM SET synchronous_standby_names = '*'`),
		statement(ctx, s.postgres.dsn("postgres"), `SELECT pg_reload_conf()`))
}

func (s *Stack) copyTo(ctx context.Context, to *postgres) error {
	from := s.postgres
	env := append(environment(to.home()), "PGPASSWORD="+from.password)
	return proc.Run(ctx, proc.Spec{
		Name: "pg_basebackup", Path: filepath.Join(from.bin, "pg_basebackup"), Dir: to.home(), User: from.as, Env: env,
		Args: []string{"-D", to.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(from.port), "-U", superuser, "-R", "--checkpoint=fast"},
		// The password is written into the copy by -R, readable to its owner only.
		LogFile: filepath.Join(to.dir, "log", "postgres.log"),
	})
}

// Address is where it listens.
func (b *Standby) Address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.engine.port))
}

// Promote makes it the primary, for which nobody waits any more.
func (b *Standby) Promote(ctx context.Context) error {
	dsn := b.engine.dsn("postgres")
	return errors.Join(
		statement(ctx, dsn, `ALTER SYSTEM SET synchronous_standby_names = ''`),
		statement(ctx, dsn, `SELECT pg_reload_conf()`),
		statement(ctx, dsn, `SELECT pg_promote()`))
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
