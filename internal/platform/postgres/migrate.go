package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	oncepq "payonce/once/pq"
)

func migrator(cfg Config, files fs.FS) (*goose.Provider, *sql.DB, error) {
	cfg.StatementTimeout = 5 * time.Minute
	cfg.LockTimeout = 10 * time.Second
	cfg.IdleInTxTimeout = 5 * time.Minute
	connector, err := oncepq.Connector(cfg)
	if err != nil {
		return nil, nil, err
	}
	db := sql.OpenDB(connector)
	// An advisory lock: two processes that migrate at once take turns.
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, nil, err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		_ = db.Close()
		return nil, nil, err
	}
	return p, db, nil
}

// Migrate brings the schema to the newest version, and gives the roles of the programs
// what grants.sql beside the migrations says. It may be called by several processes at
// once and any number of times.
func Migrate(ctx context.Context, cfg Config, files fs.FS) (applied int, err error) {
	p, db, err := migrator(cfg, files)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	results, err := p.Up(ctx)
	if err != nil {
		return len(results), fmt.Errorf("migrate: %w", err)
	}
	return len(results), grant(ctx, db, files)
}

// SchemaVersion returns the database's version and the newest one in files.
func SchemaVersion(ctx context.Context, cfg Config, files fs.FS) (current, newest int64, err error) {
	p, db, err := migrator(cfg, files)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = db.Close() }()
	return p.GetVersions(ctx)
}

// Step is one migration and whether this database has it.
type Step struct {
	Version int64
	Name    string
	// AppliedAt is zero when it is pending.
	AppliedAt time.Time
}

// Steps lists every migration in files, in order. On a database that has none
// yet it makes the table in which they will be noted, and nothing else.
func Steps(ctx context.Context, cfg Config, files fs.FS) ([]Step, error) {
	p, db, err := migrator(cfg, files)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	all, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("state of the migrations: %w", err)
	}
	steps := make([]Step, 0, len(all))
	for _, one := range all {
		steps = append(steps, Step{Version: one.Source.Version, Name: one.Source.Path, AppliedAt: one.AppliedAt})
	}
	return steps, nil
}
