package checkout_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
	"payonce/once/idempotency"
)

// plain renders answers as simply as possible; what a real one looks like is
// the edge's business, that it is stored byte for byte is this package's.
type plain struct{}

func (plain) OrderAnswer(o checkout.Order) idempotency.Answer {
	return render(201, map[string]any{"id": checkout.OrderRef(o.ID), "payment": checkout.PaymentRef(o.Payment.ID), "amount": o.AmountMinor})
}

func (plain) PaymentAnswer(p checkout.Payment, status int) idempotency.Answer {
	return render(status, map[string]any{
		"id": checkout.PaymentRef(p.ID), "status": p.Status, "charge": p.ProviderChargeID.String, "version": p.Version, "attempt": p.AttemptNo,
	})
}

func (plain) ErrorAnswer(_ context.Context, err error) idempotency.Answer {
	var declined *checkout.DeclinedError
	if errors.As(err, &declined) {
		return render(402, map[string]any{"type": "declined", "code": declined.Payment.DeclineCode.String, "attempt": declined.Payment.AttemptNo})
	}
	if errors.Is(err, checkout.ErrAlreadyCaptured) {
		return render(409, map[string]any{"type": "payment-already-captured"})
	}
	return render(422, map[string]any{"type": err.Error()})
}

func render(status int, body map[string]any) idempotency.Answer {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return idempotency.Answer{Status: status, ContentType: "application/json", Body: b}
}

// shop is a checkout on real Postgres with a real provider beside it.
type shop struct {
	*checkout.Service
	t        *testing.T
	db       *postgres.DB
	world    *worldtest.World
	merchant uuid.UUID
}

type option func(*checkout.Config)

func patience(d time.Duration) option {
	return func(c *checkout.Config) { c.ProviderDeadline = d }
}

// anew goes on as a process that is set otherwise would.
func (s *shop) anew(change option) {
	cfg := s.Config
	change(&cfg)
	s.Service = checkout.New(cfg)
}

// inBothForms runs a test on each build of a capture.
func inBothForms(t *testing.T, test func(t *testing.T, form option)) {
	for name, folded := range map[string]bool{"folded": true, "statement by statement": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(c *checkout.Config) { c.Folded = folded })
		})
	}
}

func charger(wrap func(provider.Charger) provider.Charger) option {
	return func(c *checkout.Config) { c.Provider = wrap(c.Provider) }
}

func open(t *testing.T, options ...option) *shop {
	t.Helper()
	return openIn(t, devtest.Postgres(t), worldtest.Start(t, world.Options{}), options...)
}

func openIn(t *testing.T, db *postgres.DB, w *worldtest.World, options ...option) *shop {
	t.Helper()
	cfg := checkout.Config{
		DB:       db,
		Keys:     devtest.Must(idempotency.New(idempotency.Config{DB: db.Once(), Table: checkout.KeyTable, Secret: []byte("secret"), TTL: 72 * time.Hour, Lease: 15 * time.Second})),
		Provider: simulated.New(simulated.Config{URL: w.URL}),
		Render:   plain{},
		Doubt:    []time.Duration{time.Millisecond},
		Folded:   true, // as the programs are
	}
	for _, o := range options {
		o(&cfg)
	}
	s := &shop{Service: checkout.New(cfg), t: t, db: db, world: w, merchant: uuid.New()}
	s.exec(`INSERT INTO merchants (id, api_key_hash) VALUES ($1, $2)`, s.merchant, s.merchant[:])
	return s
}

func (s *shop) exec(query string, args ...any) {
	s.t.Helper()
	require.NoError(s.t, postgres.InTx(context.Background(), s.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(context.Background(), query, args...)
		return err
	}))
}

// expire ends the life of every key's answer.
func (s *shop) expire() {
	s.t.Helper()
	s.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp() - interval '1 second'`)
}

func (s *shop) count(query string, args ...any) (n int) {
	s.t.Helper()
	require.NoError(s.t, s.db.Get(context.Background(), &n, query, args...))
	return n
}

// payment places an order for two tickets, 84.00 EUR.
func (s *shop) payment() uuid.UUID {
	s.t.Helper()
	res, err := s.PlaceOrder(s.t.Context(), checkout.PlaceOrder{
		Merchant: s.merchant, Key: uuid.NewString(), Email: "ada@example.org",
		Items: []checkout.OrderItem{{SKU: "concert-a", Quantity: 2}},
	})
	require.NoError(s.t, err)
	require.Equal(s.t, 201, res.Answer.Status)
	return res.PaymentID
}

func (s *shop) captureOf(payment uuid.UUID, key, token string) checkout.Capture {
	return checkout.Capture{Merchant: s.merchant, Key: key, Payment: payment, Amount: money.Of(8400, "EUR"), Token: token, Wait: 10 * time.Second}
}

// request is a charge of 84.00 EUR that the shop did not make.
func (s *shop) request(payment uuid.UUID, key, token string) provider.Request {
	return provider.Request{Key: key, Reference: checkout.PaymentRef(payment), Amount: amount84, Token: token}
}

func (s *shop) capture(payment uuid.UUID, key, token string) (checkout.Result, error) {
	return s.Capture(context.Background(), s.captureOf(payment, key, token))
}

func (s *shop) charges(payment uuid.UUID, status string) int {
	s.t.Helper()
	n := 0
	for _, c := range s.world.ChargesByReference(checkout.PaymentRef(payment)) {
		if c.Status == status {
			n++
		}
	}
	return n
}

func (s *shop) state(payment uuid.UUID) string {
	s.t.Helper()
	p, err := s.Payment(context.Background(), s.merchant, payment)
	require.NoError(s.t, err)
	return p.Status
}

func (s *shop) events(payment uuid.UUID, eventType string) int {
	s.t.Helper()
	return s.count(`SELECT count(*) FROM outbox_events WHERE aggregate_id = $1 AND type = $2`, payment, eventType)
}

func field(t *testing.T, r checkout.Result, name string) string {
	t.Helper()
	var body map[string]any
	require.NoError(t, json.Unmarshal(r.Answer.Body, &body))
	return fmt.Sprint(body[name])
}

// charging is a provider whose answers a test can interfere with on their way
// back; what happened at the real one behind it stays as it is.
type charging struct {
	provider.Charger
	charge func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error)
	byKey  func(ctx context.Context, key string, real provider.Charger) (provider.Charge, bool, error)

	byReference func(ctx context.Context, reference string, real provider.Charger) ([]provider.Charge, error)
	refunds     func(ctx context.Context, charge string, real provider.Charger) ([]provider.Refund, error)
}

func (c charging) Charge(ctx context.Context, r provider.Request) (provider.Charge, error) {
	if c.charge == nil {
		return c.Charger.Charge(ctx, r)
	}
	return c.charge(ctx, r, c.Charger)
}

func (c charging) ChargeByKey(ctx context.Context, key string) (provider.Charge, bool, error) {
	if c.byKey == nil {
		return c.Charger.ChargeByKey(ctx, key)
	}
	return c.byKey(ctx, key, c.Charger)
}

func (c charging) ChargesByReference(ctx context.Context, reference string) ([]provider.Charge, error) {
	if c.byReference == nil {
		return c.Charger.ChargesByReference(ctx, reference)
	}
	return c.byReference(ctx, reference, c.Charger)
}

func (c charging) RefundsOfCharge(ctx context.Context, charge string) ([]provider.Refund, error) {
	if c.refunds == nil {
		return c.Charger.RefundsOfCharge(ctx, charge)
	}
	return c.refunds(ctx, charge, c.Charger)
}

// hold stops the next charge on its way out until it is let go, and then
// answers it with charge.
func (s *shop) hold(charge func(context.Context, provider.Request, provider.Charger) (provider.Charge, error)) (started <-chan struct{}, letGo func()) {
	out, on := make(chan struct{}), make(chan struct{})
	s.Provider = charging{Charger: s.Provider, charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
		close(out)
		<-on
		return charge(ctx, r, real)
	}}
	return out, func() { close(on) }
}

func realCharge(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
	return real.Charge(ctx, r)
}
