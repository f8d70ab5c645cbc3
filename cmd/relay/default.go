//go:build !lab

package main

import (
	"context"
	"errors"
	"log/slog"

	"payonce/internal/platform/config"
	"payonce/internal/platform/postgres"
)

// armFaults refuses: a default build holds no crash points.
func armFaults(cfg config.Base) error {
	if cfg.Faults != "" {
		return errors.New("PAYONCE_FAULTS needs a lab build (go build -tags lab)")
	}
	return nil
}

// watchFaults does nothing: nobody can arm what is not there.
func watchFaults(context.Context, postgres.Config, *slog.Logger) error { return nil }
