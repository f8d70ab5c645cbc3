//go:build lab

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/journal"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/faults"
	"payonce/internal/lab/lesson"
	"payonce/internal/lab/naive"
	"payonce/internal/lab/parts"
	"payonce/internal/platform/config"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/provider/simulated"
	"payonce/once/retry"
)

// publicMetrics is on: lessons and campaigns read them where they read the rest.
const publicMetrics = true

// armFaults arms the crash points that a demo or a test asks for.
func armFaults(cfg config.Base) error {
	if cfg.Mode == config.Production {
		return errors.New("this is a lab build; PAYONCE_MODE=production needs a default build")
	}
	return fault.FromEnv(cfg.Faults)
}

// prepareLaboratory makes the laboratory's tables, which the programs' role may not.
func prepareLaboratory(ctx context.Context, pg postgres.Config) error {
	db, err := postgres.Open(ctx, pg)
	if err != nil {
		return err
	}
	return errors.Join(faults.Make(ctx, db), naive.Make(ctx, db), db.Close())
}

// laboratory is the outside hand: bursts, crash points, a look at the mailbox.
// The crash points of this process are armed from the board, until ctx ends.
func laboratory(ctx context.Context, cfg config.API, pg postgres.Config, db *postgres.DB, log *slog.Logger) (http.Handler, error) {
	board, err := faults.Watch(ctx, pg, log)
	if err != nil {
		return nil, err
	}
	o := bursts.Options{PublicURL: cfg.PublicURL, Secret: []byte(cfg.Secret), DB: db, Points: fault.Points, Faults: board, Log: log}
	for _, action := range fault.Actions {
		o.Actions = append(o.Actions, string(action))
	}
	if cfg.MailboxURL != "" {
		o.Mailbox = bursts.NewMailbox(cfg.MailboxURL)
	}
	handler, err := withNaive(ctx, cfg, pg, bursts.New(o), board, log)
	if err != nil {
		return nil, err
	}
	if handler, err = withLessons(cfg, handler, log); err != nil {
		return nil, err
	}
	return withParts(cfg, handler, log)
}

// withParts hands what is about the parts of a demo on to what has started them.
func withParts(cfg config.API, others http.Handler, log *slog.Logger) (http.Handler, error) {
	door, err := parts.Proxy(cfg.PartsURL, cfg.OperatorToken, log)
	if err != nil {
		return nil, fmt.Errorf("PAYONCE_PARTS_URL: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(parts.Route, door)
	mux.Handle(parts.Route+"/", door)
	mux.Handle("/", others)
	return mux, nil
}

// withNaive adds the naive shop's routes.
func withNaive(ctx context.Context, cfg config.API, pg postgres.Config, others http.Handler, board *faults.Board, log *slog.Logger) (http.Handler, error) {
	schedule, err := retry.ScheduleNamed(cfg.Schedule)
	if err != nil {
		return nil, err
	}
	o := naive.Options{
		Postgres: pg, AMQPURL: cfg.NaiveAMQPURL, Schedule: schedule, PublicURL: cfg.PublicURL, Secret: []byte(cfg.Secret), Faults: board, Log: log,
		// A breaker of its own: what the naive shop does to the provider must not
		// close the shop's door.
		Gateway: simulated.New(simulated.Config{URL: cfg.ProviderURL, APIKey: cfg.ProviderKey, ConnectTimeout: cfg.ProviderConnect, Log: log}),
	}
	if cfg.MailboxURL != "" {
		o.Mailbox = bursts.NewMailbox(cfg.MailboxURL)
	}
	handler, err := naive.New(ctx, o)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, route := range naive.Routes {
		mux.Handle(route, handler)
	}
	mux.Handle("/", others)
	return mux, nil
}

// withLessons hands what is about lessons on to their runner, which lives in the
// simulator: a lesson may end this process.
func withLessons(cfg config.API, others http.Handler, log *slog.Logger) (http.Handler, error) {
	if cfg.MailboxURL == "" {
		return others, nil
	}
	runner, err := lesson.Proxy(cfg.MailboxURL, []byte(cfg.Secret), log)
	if err != nil {
		return nil, fmt.Errorf("PAYONCE_MAILBOX_URL: %w", err)
	}
	mux := http.NewServeMux()
	for _, route := range lesson.Routes {
		mux.Handle(route, runner)
		mux.Handle(route+"/", runner)
	}
	mux.Handle("/", others)
	return mux, nil
}

// neighbours is the simulator, which whoever breaks things wants to see go.
func neighbours(cfg config.API) []journal.Neighbour {
	if cfg.MailboxURL == "" {
		return nil
	}
	return []journal.Neighbour{{Name: "simulator", Up: bursts.NewMailbox(cfg.MailboxURL).Up}}
}

// mailboxOf is the simulator's mailbox, which can be counted.
func mailboxOf(cfg config.API) audit.Mailbox {
	if cfg.MailboxURL == "" {
		return nil
	}
	return bursts.NewMailbox(cfg.MailboxURL)
}
