package world

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	oncepq "payonce/once/pq"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Open connects to the world's own database and waits for nothing: an
// unreachable server is an error now, not at the first charge. The sessions
// call themselves payonce-world, so that whoever reads pg_stat_activity on a
// shared server does not take the world's statements for the shop's.
func Open(ctx context.Context, dsn string) (*sql.DB, error) {
	connector, err := oncepq.Connector(oncepq.Config{DSN: dsn, AppName: "payonce-world"})
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("world: reach the database: %w", err)
	}
	return db, nil
}

// maxConnections bounds the world's share of a server that it often shares
// with the shop. A charge holds one for a fraction of a millisecond, and none
// while a slow card makes the shop wait.
const maxConnections = 12

// Migrate brings the database to the newest schema under an advisory lock, so
// that two simulators started at once do not race. It may run any number of
// times.
func Migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("world: open the migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 30))
	if err != nil {
		return fmt.Errorf("world: make the migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("world: read the migrations: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("world: migrate: %w", err)
	}
	return nil
}
