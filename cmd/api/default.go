//go:build !lab

package main

import (
	"errors"
	"log/slog"
	"net/http"

	"payonce/internal/edge/audit"
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

// laboratory is absent from a default build.
func laboratory(config.API, *postgres.DB, *slog.Logger) http.Handler { return nil }

// mailboxOf is nobody: production has no mailbox that could be asked.
func mailboxOf(config.API) audit.Mailbox { return nil }
