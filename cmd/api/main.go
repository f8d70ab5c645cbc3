// Command api is where the world comes in: the HTTP API, the page, the live
// stream. It is stateless; any number may run, and killing one at any moment
// costs its clients a retry and nothing else.
//
// This package only wires: configuration in, parts together, run, drain.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"payonce/internal/edge/retention"
	"payonce/internal/platform/config"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/process"
	"payonce/internal/platform/telemetry"
	"payonce/migrations"
)

const about = `The HTTP API and the page of payonce. Talks to Postgres and to the card provider; needs no broker. Run --migrate once before the first start and after each update.`

func main() {
	var cfg config.API
	config.MustParse("api", about, &cfg)
	if err := armFaults(cfg.Base); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	log := telemetry.Logger("api", cfg.LogFormat, cfg.LogLevel)
	telemetry.Traces()
	ctx, stop := process.Context(cfg.Notice+cfg.Drain, log)
	err := start(ctx, cfg, log)
	stop()
	if err != nil {
		log.Error("api stopped", "error", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, cfg config.API, log *slog.Logger) error {
	if cfg.Migrate {
		return migrate(ctx, cfg, log)
	}
	a, err := newAPI(ctx, cfg, log)
	if err != nil {
		return err
	}
	if err := a.run(ctx); err != nil {
		return err
	}
	log.Info("api drained")
	return nil
}

// migrate brings schema and partitions up to date.
func migrate(ctx context.Context, cfg config.API, log *slog.Logger) error {
	pg := postgres.Config{DSN: cfg.PostgresDSN, PoolSize: cfg.PoolSize, AppName: "payonce-migrate"}
	n, err := retention.Prepare(ctx, pg, migrations.Files)
	if err != nil {
		return err
	}
	if err := prepareLaboratory(ctx, pg); err != nil {
		return err
	}
	log.Info("schema is up to date", "applied", n)
	return nil
}

// schema says whether the database is at the version that this build needs. The
// answer, once yes, is remembered: migrations only go forward.
func schema(pg postgres.Config) func(ctx context.Context) error {
	ready := make(chan struct{}, 1)
	return func(ctx context.Context) error {
		if len(ready) == 1 {
			return nil
		}
		current, newest, err := postgres.SchemaVersion(ctx, pg, migrations.Files)
		switch {
		case err != nil:
			return err
		case current < newest:
			return fmt.Errorf("schema version %d, needed %d: run api --migrate", current, newest)
		}
		select {
		case ready <- struct{}{}:
		default:
		}
		return nil
	}
}

// partitions says whether tx2 will find its partitions in the coming days.
func partitions(db *postgres.DB) func(ctx context.Context) error {
	const enough = 3
	return func(ctx context.Context) error {
		days, err := retention.DaysLeft(ctx, db)
		if err == nil && days < enough {
			err = fmt.Errorf("partitions for %d days left, at least %d are needed: run a worker or api --migrate", days, enough)
		}
		return err
	}
}

// staying says no from the moment the process is asked to end, while it still
// serves: whoever hands out requests learns it before the door is shut.
func staying(leaving context.Context) func(ctx context.Context) error {
	return func(context.Context) error {
		if leaving.Err() != nil {
			return errLeaving
		}
		return nil
	}
}

var errLeaving = errors.New("asked to end")

var errDrain = errors.New("could not finish in time; attempts under way will be recovered")
