package e2e

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/edge/wire"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/email"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider/simulated"
	"payonce/once/idempotency"
	"payonce/once/inbox"
	"payonce/once/outbox"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// TestEveryGuardedStatementRunTwiceEqualsOnce goes through the shop on a driver
// that runs each guarded statement twice, as database/sql does when a reply is
// lost. The second run must change nothing, its caller must be content with the
// second answer, and the effects must be there once. A statement that is
// registered and not met on the way fails the test.
func TestEveryGuardedStatementRunTwiceEqualsOnce(t *testing.T) {
	t.Parallel()
	dsn := devtest.DSN(t)
	w := newTwice(t, dsn)
	pg := postgres.Config{DSN: dsn, PoolSize: 4, Wrap: w.wrap}
	db, err := postgres.Open(t.Context(), pg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	outside := worldtest.Start(t, world.Options{})
	h := &house{t: t, db: db, pg: pg, world: outside, merchant: uuid.New(), met: w.met}
	h.exec(`INSERT INTO merchants (id, api_key_hash) VALUES ($1, $2)`, h.merchant, h.merchant[:])

	h.captures()
	h.mails()
	h.publishes()
	h.beats()

	for _, s := range postgres.GuardedStatements() {
		require.Positive(t, w.ran[s.Name()], "%s was not met: extend this test", s.Name())
	}
	require.Empty(t, w.differed, "statements whose second run changed a table")
}

// house is the parts of the shop, wired in this process.
type house struct {
	t        *testing.T
	db       *postgres.DB
	pg       postgres.Config
	world    *worldtest.World
	merchant uuid.UUID
	met      func(statement string) bool
}

func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	require.NoError(h.t, postgres.InTx(context.Background(), h.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(context.Background(), query, args...)
		return err
	}))
}

func (h *house) checkout(deadline time.Duration) *checkout.Service {
	return checkout.New(checkout.Config{
		DB:       h.db,
		Keys:     devtest.Must(idempotency.New(idempotency.Config{DB: h.db.Once(), Table: checkout.KeyTable, Secret: []byte("s"), TTL: 72 * time.Hour, Lease: 15 * time.Second})),
		Provider: simulated.New(simulated.Config{URL: h.world.URL}), Render: wire.Renderer{}, ProviderDeadline: deadline, Folded: true,
	})
}

func (h *house) order(s *checkout.Service) uuid.UUID {
	r, err := s.PlaceOrder(context.Background(), checkout.PlaceOrder{
		Merchant: h.merchant, Key: uuid.NewString(), Email: "ada@example.org", Items: []checkout.OrderItem{{SKU: "concert-a", Quantity: 2}},
	})
	require.NoError(h.t, err)
	return r.PaymentID
}

func (h *house) pay(s *checkout.Service, payment uuid.UUID, key, token string) checkout.Result {
	h.t.Helper()
	r, err := s.Capture(context.Background(), checkout.Capture{Merchant: h.merchant, Key: key, Payment: payment, Amount: money.Of(8400, "EUR"), Token: token})
	require.NoError(h.t, err)
	return r
}

// captures meets claim, finalise, park and take_over.
func (h *house) captures() {
	s := h.checkout(4 * time.Second)
	p := h.order(s)
	require.Equal(h.t, 200, h.pay(s, p, "K1", "tok_ok").Answer.Status)
	require.Equal(h.t, 200, h.pay(s, p, "K2", "tok_ok").Answer.Status)
	h.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp() WHERE key = 'K1'`)
	require.Equal(h.t, 200, h.pay(s, p, "K1", "tok_ok").Answer.Status)

	hasty := h.checkout(300 * time.Millisecond)
	doubtful := h.order(hasty)
	require.Equal(h.t, 202, h.pay(hasty, doubtful, "D", "tok_timeout_after").Answer.Status)
	require.Equal(h.t, 200, h.pay(s, doubtful, "D", "tok_timeout_after").Answer.Status)
	declined := h.order(s)
	require.Equal(h.t, 402, h.pay(s, declined, "X", "tok_declined").Answer.Status)
	for payment, charges := range map[uuid.UUID]int{p: 1, doubtful: 1} {
		require.Len(h.t, h.world.ChargesByReference(checkout.PaymentRef(payment)), charges)
	}
}

// mails meets the mailer's statements: sent, given back, and the alert of a
// mail server that is away.
func (h *house) mails() {
	h.consume(email.Name, email.Consumer{PublicURL: "http://shop"}.Handle)
	sender, err := email.NewSMTP(email.SMTPConfig{Addr: h.world.SMTPAddr, TLS: "none", From: "tickets@payonce.example"})
	require.NoError(h.t, err)
	mailer := email.NewMailer(email.Config{DB: h.db, Sender: sender, Schedule: retry.Demo, Poll: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	h.world.Behave(world.Behaviour{MailOutage: "unavailable"})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mailer.Run(ctx) }()
	open := func() int { return h.count(`SELECT count(*) FROM alerts WHERE state = 'open' AND kind LIKE 'mail%'`) }
	require.Eventually(h.t, func() bool { return open() > 0 }, settle, tick, "an alert says that the mail server is away")
	h.world.Behave(world.Behaviour{})
	require.Eventually(h.t, func() bool {
		return h.count(`SELECT count(*) FROM emails WHERE status <> 'sent'`) == 0 && open() == 0
	}, settle, tick)
	stop()
	require.NoError(h.t, <-done)
	require.Len(h.t, h.world.Messages("ada@example.org"), 3, "two receipts and one notice")
}

// consume applies every event of the outbox that a consumer is bound for.
func (h *house) consume(name string, handle patterns.Handler) {
	h.t.Helper()
	var rows []struct {
		ID      uuid.UUID `db:"event_id"`
		Scope   uuid.UUID `db:"merchant_id"`
		Type    string    `db:"type"`
		Payload []byte    `db:"payload"`
	}
	require.NoError(h.t, h.db.Select(context.Background(), &rows,
		`SELECT event_id, merchant_id, type, payload FROM outbox_events WHERE type LIKE 'payment.%' ORDER BY seq`))
	for _, r := range rows {
		require.NoError(h.t, postgres.InTx(context.Background(), h.db, func(tx postgres.Tx) error {
			fresh, err := patterns.Inbox.Admit(context.Background(), tx, name, []string{r.ID.String()})
			if err != nil || len(fresh) == 0 {
				return err
			}
			return handle(context.Background(), tx, []inbox.Message{{EventID: r.ID.String(), Scope: r.Scope.String(), Type: r.Type, Payload: r.Payload}})
		}))
	}
}

func (h *house) count(query string, args ...any) (n int) {
	h.t.Helper()
	err := h.db.Get(context.Background(), &n, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return 0
	}
	require.NoError(h.t, err)
	return n
}

// publishes has a relay bring away what was written.
func (h *house) publishes() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	broker, err := rabbit.Open(rabbit.Config{URLs: []string{devtest.Broker(h.t)}, Topology: event.Topology(retry.Demo)})
	require.NoError(h.t, err)
	defer broker.Close()
	relay, err := outbox.NewRelay(patterns.Relay(outbox.Config{
		DB: h.db.Once(), Publisher: broker.Publisher(rabbit.PublisherConfig{}), Source: "/test", Log: slog.New(slog.DiscardHandler),
	}, nil))
	require.NoError(h.t, err)
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	require.Eventually(h.t, func() bool { return h.count(`SELECT count(*) FROM outbox_events WHERE published_at IS NULL`) == 0 }, settle, tick)
	stop()
	require.NoError(h.t, <-done)
}

// beats meets the heartbeat's two statements.
func (h *house) beats() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- telemetry.Heartbeat{DB: h.db, Process: "api", Instance: "i", Log: slog.New(slog.DiscardHandler), Every: time.Millisecond}.Run(ctx)
	}()
	require.Eventually(h.t, func() bool { return h.count(`SELECT count(*) FROM heartbeats`) == 1 }, settle, tick)
	stop()
	require.NoError(h.t, <-done)
	require.Zero(h.t, h.count(`SELECT count(*) FROM heartbeats`))
}
