package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/journal"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/client"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/refund"
	"payonce/once/idempotency"
)

// bank is a provider in memory: it charges once per key, as the real one does,
// and lets a test hold a charge.
type bank struct {
	mu      sync.Mutex
	charges []provider.Charge
	calls   int
	// hold, when set, is waited for before a charge is made.
	hold chan struct{}
	// fail, when set, is the answer to every charge.
	fail error
	// away makes questions about a payment go unanswered.
	away bool
}

func (b *bank) Charge(ctx context.Context, r provider.Request) (provider.Charge, error) {
	b.mu.Lock()
	b.calls++
	hold, fail := b.hold, b.fail
	b.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return provider.Charge{}, provider.ErrInDoubt
		}
	}
	if fail != nil {
		return provider.Charge{}, fail
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.charges {
		if c.IdempotencyKey == r.Key {
			return c, nil
		}
	}
	c := provider.Charge{ID: "ch_" + uuid.NewString(), Reference: r.Reference, IdempotencyKey: r.Key, Amount: r.Amount, Status: provider.Succeeded, CreatedAt: time.Now()}
	if r.Token == "tok_declined" {
		c.Status, c.DeclineCode = provider.Declined, "insufficient_funds"
	}
	b.charges = append(b.charges, c)
	return c, nil
}

func (b *bank) ChargeByKey(_ context.Context, key string) (provider.Charge, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return provider.Charge{}, false, provider.ErrInDoubt
	}
	for _, c := range b.charges {
		if c.IdempotencyKey == key {
			return c, true, nil
		}
	}
	return provider.Charge{}, false, nil
}

func (b *bank) Cancel(context.Context, string) (provider.Charge, error) {
	return provider.Charge{}, provider.ErrInDoubt
}

func (b *bank) ChargesByReference(_ context.Context, reference string) ([]provider.Charge, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil, provider.ErrInDoubt
	}
	var found []provider.Charge
	for _, c := range b.charges {
		if c.Reference == reference {
			found = append(found, c)
		}
	}
	return found, nil
}

func (b *bank) EachCharge(_ context.Context, f func(provider.Charge) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.charges {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

func (b *bank) RefundsOfCharge(context.Context, string) ([]provider.Refund, error) { return nil, nil }

func (b *bank) EachRefund(context.Context, func(provider.Refund) error) error { return nil }

func (b *bank) Balance(context.Context) (map[string]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := map[string]int64{}
	for _, c := range b.charges {
		if c.Status == provider.Succeeded {
			sum[c.Amount.Currency] += c.Amount.AmountMinor
		}
	}
	return sum, nil
}

// letterbox is a mailbox in memory.
type letterbox struct{ mails []audit.Mail }

func (l *letterbox) EachMail(_ context.Context, f func(audit.Mail) error) error {
	for _, m := range l.mails {
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

func (l *letterbox) MailsByMessageID(_ context.Context, id string) ([]audit.Mail, error) {
	var found []audit.Mail
	for _, m := range l.mails {
		if m.MessageID == id {
			found = append(found, m)
		}
	}
	return found, nil
}

const operatorToken = "operator-token-of-this-test"

// edge is one api process of a test.
type edge struct {
	t       *testing.T
	db      *postgres.DB
	gate    *gate // between the api and its database
	bank    *bank
	box     *letterbox
	journal *journal.Journal
	shop    *checkout.Service
	server  *httptest.Server
	key     string // API key of a sandbox
}

var pages = fstest.MapFS{
	"index.html":               {Data: []byte("<!doctype html><title>shop</title>")},
	"index.html.br":            {Data: []byte("brotli of the page")},
	"favicon.svg":              {Data: []byte("<svg/>")},
	"assets/index-1a2b3c4d.js": {Data: []byte("export {}")},
	".secret":                  {Data: []byte("hidden")},
}

// newEdge starts an api on a database of its own. Every response is held
// against the contract.
func newEdge(t *testing.T, change ...func(*httpapi.Options)) *edge {
	t.Helper()
	e := &edge{t: t, bank: &bank{}, box: &letterbox{}}
	var dsn string
	e.gate, dsn = before(t, devtest.DSN(t))
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, AppName: "edge-test"})
	if err != nil {
		t.Fatal(err)
	}
	e.db = db
	keys := devtest.Must(idempotency.New(idempotency.Config{DB: db.Once(), Table: checkout.KeyTable, Secret: []byte("secret"), TTL: 72 * time.Hour, Lease: 15 * time.Second}))
	e.journal = journal.New(journal.Options{DB: db})
	e.shop = checkout.New(checkout.Config{
		DB: db, Keys: keys, Provider: e.bank, Render: wire.Renderer{}, Observer: e.journal, Folded: true,
		ProviderDeadline: time.Second, Wait: 200 * time.Millisecond, MaxWait: 30 * time.Second,
	})
	tail := journal.NewTail(journal.TailOptions{DB: db, Poll: 5 * time.Millisecond})
	o := httpapi.Options{
		DB: db, Checkout: e.shop, Keys: keys, Journal: e.journal, Tail: tail,
		Refunds: refund.New(refund.Config{DB: db, Keys: keys, Payments: e.shop, Story: refund.Story(time.Minute, checkout.Refunds{}), Render: wire.Renderer{}, Observer: e.journal}),
		Audit:   audit.New(audit.Options{DB: db, Books: e.bank, Mailbox: e.box}), Books: e.bank, Mailbox: e.box,
		Secret: []byte("secret"), OperatorToken: operatorToken, Pages: fs.FS(pages),
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
	for _, c := range change {
		c(&o)
	}
	e.server = httptest.NewServer(httpapi.NewConforming(o, func(err error) { t.Errorf("contract: %v", err) }))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = tail.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		e.server.Close()
		_ = db.Close()
	})
	e.key = e.newKey()
	return e
}

func (e *edge) newKey() string {
	e.t.Helper()
	var sandbox wire.Sandbox
	e.decode(e.send("POST", "/v1/sandboxes", nil, ""), 201, &sandbox)
	return sandbox.APIKey
}

// reply is an answer, read to its end.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

// raw sends what a client's request cannot say: several values of a header,
// another host, a body of unknown length.
var raw = client.Transport(client.Options{Idle: 2})

// send sends one request; headers come in pairs. It never follows redirects.
func (e *edge) send(method, path string, header map[string]string, body string) reply {
	e.t.Helper()
	return e.sendAll(method, path, pairs(header), strings.NewReader(body))
}

func pairs(header map[string]string) http.Header {
	h := http.Header{}
	for k, v := range header {
		h.Set(k, v)
	}
	return h
}

func (e *edge) sendAll(method, path string, header http.Header, body io.Reader) reply {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.server.URL+path, body)
	if err != nil {
		e.t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	res, err := raw.RoundTrip(r)
	if err != nil {
		e.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return reply{Status: res.StatusCode, Header: res.Header, Body: string(all)}
}

// get asks as the edge's sandbox.
func (e *edge) get(path string) reply {
	e.t.Helper()
	return e.send("GET", path, map[string]string{"Authorization": "Bearer " + e.key}, "")
}

// post sends JSON as the edge's sandbox.
func (e *edge) post(path, key, body string) reply {
	e.t.Helper()
	return e.send("POST", path, map[string]string{"Authorization": "Bearer " + e.key, "Content-Type": "application/json", "Idempotency-Key": key}, body)
}

func (e *edge) decode(r reply, status int, into any) {
	e.t.Helper()
	if r.Status != status {
		e.t.Fatalf("expected %d, got %d: %s", status, r.Status, r.Body)
	}
	d := json.NewDecoder(bytes.NewReader([]byte(r.Body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		e.t.Fatalf("%v: %s", err, r.Body)
	}
}

const newOrder = `{"items":[{"sku":"concert-a","quantity":2}],"email":"a@example.org"}`

// order places one and returns it.
func (e *edge) order() wire.Order {
	e.t.Helper()
	var o wire.Order
	e.decode(e.post("/v1/orders", uuid.NewString(), newOrder), 201, &o)
	return o
}

func captureBody(p wire.Payment, token string) string {
	return fmt.Sprintf(`{"amount_minor":%d,"currency":%q,"card_token":%q}`, p.AmountMinor, p.Currency, token)
}

func (e *edge) capture(p wire.Payment, key, token string) reply {
	e.t.Helper()
	return e.post("/v1/payments/"+p.ID+"/capture", key, captureBody(p, token))
}

// problem reads a problem document and checks what all of them have.
func (e *edge) problem(r reply, status int, slug string) wire.Problem {
	e.t.Helper()
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		e.t.Errorf("Content-Type %q: %s", got, r.Body)
	}
	var p wire.Problem
	e.decode(r, status, &p)
	if p.Type != "/problems/"+slug || p.Status != status || p.Title == "" || p.Detail == "" || p.Instance == "" {
		e.t.Errorf("expected %s, got %s", slug, r.Body)
	}
	if p.RequestID != nil && *p.RequestID != r.Header.Get("X-Request-Id") {
		e.t.Errorf("request id %q in the body, %q in the header", *p.RequestID, r.Header.Get("X-Request-Id"))
	}
	return p
}

func (e *edge) exec(query string, args ...any) {
	e.t.Helper()
	err := postgres.InTx(e.t.Context(), e.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(e.t.Context(), query, args...)
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *edge) count(query string, args ...any) int {
	e.t.Helper()
	var n int
	if err := e.db.Get(e.t.Context(), &n, query, args...); err != nil {
		e.t.Fatal(err)
	}
	return n
}

// eventually polls a condition; it is the only way these tests wait.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if holds() {
			return
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}
