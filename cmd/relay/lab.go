//go:build lab

package main

import (
	"context"
	"errors"
	"log/slog"

	"payonce/internal/lab/faults"
	"payonce/internal/platform/config"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/postgres"
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
