//go:build !lab

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/journal"
	"payonce/internal/platform/config"
	"payonce/internal/platform/postgres"
)

// publicMetrics is off: a visitor is not to count the other visitors' payments.
const publicMetrics = false

// armFaults refuses: a default build holds no crash points.
func armFaults(cfg config.Base) error {
	if cfg.Faults != "" {
		return errors.New("PAYONCE_FAULTS needs a lab build (go build -tags lab)")
	}
	return nil
}

// prepareLaboratory has nothing to make.
func prepareLaboratory(context.Context, postgres.Config) error { return nil }

// laboratory is absent from a default build.
func laboratory(context.Context, config.API, postgres.Config, *postgres.DB, *slog.Logger) (http.Handler, error) {
	return nil, nil //nolint:nilnil // no laboratory is no error
}

// neighbours are none: production's provider and mail server are not ours to ask.
func neighbours(config.API) []journal.Neighbour { return nil }

// mailboxOf is nobody: production has no mailbox that could be asked.
func mailboxOf(config.API) audit.Mailbox { return nil }
