// Package worldtest runs the outside world inside a test: real HTTP, real
// SMTP, and a database that nobody else uses, removed when the test ends. Its
// counts are the outside's: what a test asserts with them, the shop did not
// get to write.
package worldtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"payonce/internal/lab/client"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
)

// World is a running world.
type World struct {
	URL      string // the provider and the mailbox page, without a slash at the end
	SMTPAddr string // host:port
	DSN      string // the world's own database

	t      testing.TB
	client *client.Client
}

// Start runs a world until the test ends.
func Start(t testing.TB, options world.Options) *World {
	t.Helper()
	own := devtest.EmptyDSN(t)
	ctx, cancel := context.WithCancel(context.Background())
	db, err := world.Open(ctx, own)
	must(t, err)
	must(t, world.Migrate(ctx, db))
	outside, err := world.New(ctx, db, options)
	must(t, err)
	web, mail := listen(t), listen(t)
	served := make(chan error, 1)
	go func() { served <- outside.Serve(ctx, web, mail) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("the world ended with: %v", err)
		}
		outside.Close()
		_ = db.Close()
	})
	at := "http://" + web.Addr().String()
	return &World{URL: at, SMTPAddr: mail.Addr().String(), DSN: own, t: t,
		// No idle connection: it would look like a leak to the tests.
		client: client.New(at, "", client.Options{Timeout: 15 * time.Second, Longest: 64 << 20})}
}

// ChargesByReference asks the provider for every charge of a reference, oldest
// first, the declined and cancelled ones included.
func (w *World) ChargesByReference(reference string) []world.Charge {
	w.t.Helper()
	return list[world.Charge](w, "/v1/charges?reference="+url.QueryEscape(reference))
}

// ChargesByKey asks the provider for every charge of an Idempotency-Key.
func (w *World) ChargesByKey(key string) []world.Charge {
	w.t.Helper()
	return list[world.Charge](w, "/v1/charges?idempotency_key="+url.QueryEscape(key))
}

// Deliveries asks the provider for its delivery log of a reference.
func (w *World) Deliveries(reference string) []world.Delivery {
	w.t.Helper()
	return list[world.Delivery](w, "/v1/webhook-deliveries?reference="+url.QueryEscape(reference))
}

// Messages asks the mailbox for the mails to an address, newest first.
func (w *World) Messages(to string) []world.Message {
	w.t.Helper()
	return list[world.Message](w, "/mailbox/messages?to="+url.QueryEscape(to))
}

// Behave sets the world's mood; the zero Behaviour makes everything work.
func (w *World) Behave(b world.Behaviour) {
	w.t.Helper()
	mood := map[string]any{"latency_ms": b.LatencyMS, "for_ms": b.ForMS, "webhook_copies": b.WebhookCopies, "webhook_delay_ms": b.WebhookDelayMS, "webhook_shuffle_ms": b.WebhookShuffleMS}
	if b.Webhooks != "" {
		mood["webhooks"] = b.Webhooks
	}
	if b.Charges != "" {
		mood["charges"] = b.Charges
	}
	if b.Outage != "" {
		mood["outage"] = b.Outage
	}
	if b.MailOutage != "" {
		mood["mail_outage"] = b.MailOutage
	}
	body, err := json.Marshal(mood)
	must(w.t, err)
	w.call(http.MethodPost, "/v1/behaviour", string(body), nil)
}

func list[T any](w *World, path string) []T {
	w.t.Helper()
	var all []T
	for cursor := ""; ; {
		var got struct {
			Data       []T     `json:"data"`
			NextCursor *string `json:"next_cursor"`
		}
		w.call(http.MethodGet, path+"&limit=1000&cursor="+cursor, "", &got)
		all = append(all, got.Data...)
		if got.NextCursor == nil {
			return all
		}
		cursor = *got.NextCursor
	}
}

func (w *World) call(method, path, body string, into any) {
	w.t.Helper()
	answer, err := w.client.Send(context.Background(), client.Request{Method: method, Path: path, Raw: []byte(body)})
	must(w.t, err)
	if answer.Status != http.StatusOK {
		must(w.t, fmt.Errorf("%s %s answered %d", method, path, answer.Status))
	}
	if into != nil {
		must(w.t, json.Unmarshal(answer.Body, into))
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	must(t, err)
	return listener
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
