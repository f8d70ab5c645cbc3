// Command simulator is the world outside the shop: a card provider and a mail
// server with mailboxes, on a database of its own. It exists for demos, tests
// and workshops and holds no money. Killing it at any moment is safe: its
// books never hold half a charge.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"payonce/internal/lab/world"
)

// config is every setting; kong makes flags, variables and help from it.
type config struct {
	PostgresDSN string `name:"postgres-dsn" env:"PAYONCE_SIMULATOR_POSTGRES_DSN" required:"" placeholder:"DSN" help:"The world's own database, which it migrates itself. Never the shop's."`
	Listen      string `env:"PAYONCE_SIMULATOR_LISTEN" default:"127.0.0.1:8090" placeholder:"ADDR" help:"Provider, mailbox and their pages over HTTP (${default})."`
	SMTPListen  string `name:"smtp-listen" env:"PAYONCE_SIMULATOR_SMTP_LISTEN" default:"127.0.0.1:2525" placeholder:"ADDR" help:"Incoming mail over SMTP (${default})."`
}

const description = `The world outside the shop: a card provider and an SMTP mailbox, simulated.

It charges test cards (tok_ok, tok_declined, tok_timeout_after …), keeps every charge and every mail in a database of its own, and misbehaves on request. Open its page to see the calls, the cards and the mailbox.`

func main() {
	var cfg config
	kong.Parse(&cfg, kong.Name("simulator"), kong.Description(description))
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, cfg, log); err != nil {
		log.Error("simulator stopped", "error", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has just run
	}
}

// serve runs the world until ctx ends. It listens before it says so: whoever
// reads the line, or gets a 200 from /healthz, can charge and send mail.
func serve(ctx context.Context, cfg config, log *slog.Logger) error {
	db, err := world.Open(ctx, cfg.PostgresDSN)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := world.Migrate(ctx, db); err != nil {
		return err
	}
	outside, err := world.New(ctx, db, world.Options{Logger: log})
	if err != nil {
		return err
	}
	defer outside.Close()
	var listener net.ListenConfig
	web, err := listener.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	mail, err := listener.Listen(ctx, "tcp", cfg.SMTPListen)
	if err != nil {
		_ = web.Close()
		return fmt.Errorf("listen for SMTP: %w", err)
	}
	log.Info("simulator ready", "http", "http://"+web.Addr().String(), "smtp", mail.Addr().String())
	return outside.Serve(ctx, web, mail)
}
