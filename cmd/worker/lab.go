//go:build lab

package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"payonce/internal/lab/faults"
	"payonce/internal/lab/naive"
	"payonce/internal/platform/config"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/email"
	"payonce/internal/shop/provider/simulated"
)

// armFaults arms the crash points that a demo or a test asks for.
func armFaults(cfg config.Base) error {
	if cfg.Mode == config.Production {
		return errors.New("this is a lab build; PAYONCE_MODE=production needs a default build")
	}
	return fault.FromEnv(cfg.Faults)
}

// watchFaults arms crash points as the laboratory asks, until ctx ends.
func watchFaults(ctx context.Context, pg postgres.Config, log *slog.Logger) error {
	_, err := faults.Watch(ctx, pg, log)
	return err
}

// wireLab adds what goes on behind the naive checkout.
func (w *worker) wireLab(ctx context.Context) error {
	back, err := naive.NewBack(ctx, naive.BackConfig{
		Postgres: w.pg, AMQPURL: w.cfg.AMQPURL, Schedule: w.schedule, Log: w.log, Sender: w.sender,
		// A breaker of its own, so that the naive refunds do not open the shop's.
		Gateway: simulated.New(simulated.Config{URL: w.cfg.ProviderURL, APIKey: w.cfg.ProviderKey, ConnectTimeout: w.cfg.ProviderConnect, Log: w.log}),
	})
	if err == nil {
		w.beside = append(w.beside, actor{"naive shop", back.Run})
	}
	return err
}

func (w *worker) sender() (email.Sender, error) { return w.smtp(labMailTimeout) }

const labMailTimeout = 2 * time.Second
