// Command worker does what follows a payment: it books it, issues the tickets,
// sends the mails, gives dead letters to a person and finishes captures that
// nobody came back for. Any number of workers may run, and killing one at any
// moment loses nothing: what it had in hand is delivered again or found by its
// lease, and the inbox absorbs what was done already.
//
// This package only wires: configuration in, parts together, run, drain.
package main

import (
	"fmt"
	"os"

	"payonce/internal/platform/config"
	"payonce/internal/platform/process"
	"payonce/internal/platform/telemetry"
)

const about = `What follows a payment: ledger, tickets, mails, dead letters, and the recovery of unfinished captures. Reads RabbitMQ, writes Postgres, sends by SMTP. Run as many as you like.`

func main() {
	var cfg config.Worker
	config.MustParse("worker", about, &cfg)
	if err := armFaults(cfg.Base); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	log := telemetry.Logger("worker", cfg.LogFormat, cfg.LogLevel)
	telemetry.Traces()
	ctx, stop := process.Context(cfg.Drain, log)
	w, err := newWorker(ctx, cfg, log)
	if err == nil {
		err = w.run(ctx)
	}
	stop()
	if err != nil {
		log.Error("worker stopped", "error", err)
		os.Exit(1)
	}
	log.Info("worker drained")
}
