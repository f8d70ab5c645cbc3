package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/run"

	"payonce/internal/platform/postgres"
	"payonce/migrations"
)

// An actor works until its context ends. It then finishes what it has begun and
// returns nil; an error means that it cannot go on.
type actor struct {
	name string
	run  func(ctx context.Context) error
}

// together runs actors until ctx ends or one of them returns, and waits for all.
func together(ctx context.Context, actors []actor) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group run.Group
	for _, a := range actors {
		group.Add(func() error {
			if err := a.run(ctx); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			return nil
		}, func(error) { cancel() })
	}
	return group.Run()
}

var errDrain = errors.New("could not finish in time; what was in hand comes again")

// run works until ctx ends, then drains: first those who take on work, which
// finish what they have in hand, then those who write down what happened.
func (w *worker) run(ctx context.Context) error {
	defer w.close()
	support, endSupport := context.WithCancel(context.WithoutCancel(ctx))
	defer endSupport()
	working, endWork := context.WithCancel(ctx)
	defer endWork()

	supported := make(chan error, 1)
	go func() {
		supported <- together(support, w.support())
		endWork() // Without them nobody would see what happens.
	}()
	worked := make(chan error, 1)
	go func() { worked <- w.work(working) }()

	var err error
	select {
	case err = <-worked:
	case <-afterEnd(ctx, w.cfg.Drain):
		return errDrain
	}
	endSupport()
	return errors.Join(err, <-supported)
}

// afterEnd fires when ctx has ended and limit has passed since.
func afterEnd(ctx context.Context, limit time.Duration) <-chan struct{} {
	fired := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(limit, func() { close(fired) }) })
	return fired
}

// work waits for the schema and then takes on work. A consumer that began
// before the tables were there would send good messages through every retry.
func (w *worker) work(ctx context.Context) error {
	for {
		current, newest, err := postgres.SchemaVersion(ctx, w.pg, migrations.Files)
		if err == nil && current >= newest {
			break
		}
		w.log.Info("waiting for the schema", "version", current, "needed", newest, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
	w.migrated.Store(true)
	return together(ctx, w.workers())
}
