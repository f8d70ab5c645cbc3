// Command simulator is the world outside the shop: a card provider and a mail
// server with mailboxes, on a database of its own. It exists for demos, tests
// and workshops and holds no money. Killing it at any moment is safe: its
// books never hold half a charge.
//
// It also plays the guided lessons, which end the shop's processes and so cannot
// live in one of them.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"

	"github.com/alecthomas/kong"

	"payonce/internal/lab/lesson"
	"payonce/internal/lab/world"
	appconfig "payonce/internal/platform/config"
	"payonce/internal/platform/process"
	"payonce/once/webhook"
)

// config is every setting; kong makes flags, variables and help from it.
type config struct {
	PostgresDSN   string   `name:"postgres-dsn" env:"PAYONCE_SIMULATOR_POSTGRES_DSN" required:"" placeholder:"DSN" help:"The world's own database, which it migrates itself. Never the shop's."`
	Listen        string   `env:"PAYONCE_SIMULATOR_LISTEN" default:"127.0.0.1:8090" placeholder:"ADDR" help:"Provider, mailbox and their pages over HTTP (${default})."`
	SMTPListen    string   `name:"smtp-listen" env:"PAYONCE_SIMULATOR_SMTP_LISTEN" default:"127.0.0.1:2525" placeholder:"ADDR" help:"Incoming mail over SMTP (${default})."`
	Hosts         []string `env:"PAYONCE_HOSTS" sep:"," placeholder:"simulator" help:"Names by which it is reached, beside addresses and localhost: others are answered 421."`
	WebhookURL    string   `name:"webhook-url" env:"PAYONCE_SIMULATOR_WEBHOOK_URL" placeholder:"URL" help:"Where the provider tells what happened, signed; empty: it tells nobody."`
	WebhookSecret []string `env:"PAYONCE_WEBHOOK_SECRET" sep:"," default:"${default_webhook_secret}" placeholder:"whsec_…" help:"What signs webhooks; several sign each message several times."`
	ShopURL       string   `name:"shop-url" env:"PAYONCE_SIMULATOR_SHOP_URL" placeholder:"URL" help:"The shop's public address, where lessons play; empty: no lessons."`
	ShopDSN       string   `name:"shop-dsn" env:"PAYONCE_SIMULATOR_SHOP_DSN" placeholder:"DSN" help:"The shop's database, of which lessons ask what happened. It is only read."`
	Schedule      string   `env:"PAYONCE_SCHEDULE" enum:"production,demo" default:"production" help:"How soon a webhook that was not taken is sent again: production (75 h 35 min in all) or demo."`
}

const description = `The world outside the shop: a card provider and an SMTP mailbox, simulated.

It charges test cards (tok_ok, tok_declined, tok_timeout_after …), keeps every charge and every mail in a database of its own, and misbehaves on request. Open its page to see the calls, the cards and the mailbox.`

func main() {
	var cfg config
	kong.Parse(&cfg, kong.Name("simulator"), kong.Description(description), kong.Vars(appconfig.Defaults()))
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := process.Context(world.Drain, log)
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
	if err := cfg.checkSecret(log); err != nil {
		return err
	}
	db, err := world.Open(ctx, cfg.PostgresDSN)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := world.Migrate(ctx, db); err != nil {
		return err
	}
	hooks, err := cfg.webhooks()
	if err != nil {
		return err
	}
	var listener net.ListenConfig
	web, err := listener.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	lab, end, err := lessons(ctx, cfg, hooks.Secrets, here(web.Addr()), log)
	if err != nil {
		_ = web.Close()
		return err
	}
	defer end()
	outside, err := world.New(ctx, db, world.Options{Logger: log, Webhooks: hooks, Lab: lab, Hosts: cfg.Hosts})
	if err != nil {
		_ = web.Close()
		return err
	}
	defer outside.Close()
	mail, err := listener.Listen(ctx, "tcp", cfg.SMTPListen)
	if err != nil {
		_ = web.Close()
		return fmt.Errorf("listen for SMTP: %w", err)
	}
	log.Info("simulator ready", "http", "http://"+web.Addr().String(), "smtp", mail.Addr().String())
	return outside.Serve(ctx, web, mail)
}

// lessons plays on the shop, when one is named, and sees this world at its own
// address as everybody does.
func lessons(ctx context.Context, cfg config, secrets [][]byte, world string, log *slog.Logger) (lab http.Handler, end func(), err error) {
	if cfg.ShopURL == "" {
		return nil, func() {}, nil
	}
	runner, err := lesson.New(ctx, lesson.Options{
		PostgresDSN: cfg.PostgresDSN, ShopURL: cfg.ShopURL, ShopDSN: cfg.ShopDSN, WorldURL: world, WebhookSecrets: secrets, Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	return runner.Handler(), func() {
		if err := runner.Close(); err != nil {
			log.Warn("the runner of lessons did not close well", "error", err)
		}
	}, nil
}

// here is the world's address as this machine sees it, wherever it listens.
func here(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d", tcp.Port)
	}
	return "http://" + addr.String()
}

// checkSecret refuses to sign with a secret that stands in the source where other machines
// are, and warns on loopback: a client that knows it speaks to the shop for this provider.
func (c config) checkSecret(log *slog.Logger) error {
	switch {
	case c.WebhookURL == "" || !slices.Contains(c.WebhookSecret, appconfig.DefaultWebhookSecret):
		return nil
	case !appconfig.Loopback(c.Listen):
		return fmt.Errorf("PAYONCE_SIMULATOR_LISTEN: %s is not loopback, and PAYONCE_WEBHOOK_SECRET stands in the source: set your own, whsec_ and the output of `openssl rand -base64 32`", c.Listen)
	}
	log.Warn("A PUBLIC SECRET: who reaches the shop can speak for this provider", "setting", "PAYONCE_WEBHOOK_SECRET")
	return nil
}

func (c config) webhooks() (world.Webhooks, error) {
	hooks := world.Webhooks{URL: c.WebhookURL, Schedule: world.WebhookProduction}
	if c.Schedule == "demo" {
		hooks.Schedule = world.WebhookDemo
	}
	for i, text := range c.WebhookSecret {
		secret, err := webhook.DecodeSecret(text)
		if err != nil {
			return hooks, fmt.Errorf("PAYONCE_WEBHOOK_SECRET, number %d: %w", i+1, err)
		}
		hooks.Secrets = append(hooks.Secrets, secret)
	}
	return hooks, nil
}
