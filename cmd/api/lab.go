//go:build lab

package main

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"payonce/internal/edge/audit"
	"payonce/internal/lab/bursts"
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

// laboratory is the outside hand: bursts, crash points, a look at the mailbox.
func laboratory(cfg config.API, db *postgres.DB, log *slog.Logger) http.Handler {
	o := bursts.Options{
		PublicURL: cfg.PublicURL, Secret: []byte(cfg.Secret), DB: db, Points: fault.Points, Log: log,
		Arm: func(point, action string, scope uuid.UUID, nth int) error {
			return fault.Add(fault.Arm{Point: point, Action: fault.Action(action), Scope: scope, Nth: nth})
		},
	}
	if cfg.MailboxURL != "" {
		o.Mailbox = bursts.NewMailbox(cfg.MailboxURL)
	}
	return bursts.New(o)
}

// mailboxOf is the simulator's mailbox, which can be counted.
func mailboxOf(cfg config.API) audit.Mailbox {
	if cfg.MailboxURL == "" {
		return nil
	}
	return bursts.NewMailbox(cfg.MailboxURL)
}
