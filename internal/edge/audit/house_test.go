package audit_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/client"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/email"
	"payonce/internal/shop/event"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider/simulated"
	"payonce/internal/shop/refund"
	"payonce/internal/shop/tickets"
	"payonce/once/idempotency"
	"payonce/once/inbox"
	"payonce/once/retry"
	"payonce/once/saga"
)

const buyer = "ada@example.org"

// house is the whole shop without a broker: real captures at a real provider,
// the real consumers, the real mailer and real mailboxes. Only the way from the
// outbox to the consumers is a loop.
type house struct {
	*checkout.Service
	notified *checkout.Service // by the provider's messages, on goroutines of their own
	t        *testing.T
	db       *postgres.DB
	world    *worldtest.World
	books    *simulated.Client
	merchant uuid.UUID

	silent []string // types that nobody delivers at the moment
	twice  bool     // each message comes again under an id that no inbox knows

	patience time.Duration // of one refund at the provider; 0 means the gateway's own
}

func open(t *testing.T) *house {
	t.Helper()
	return openIn(t, world.Options{})
}

func openIn(t *testing.T, options world.Options) *house {
	t.Helper()
	return openOn(t, devtest.Postgres(t), options)
}

func openOn(t *testing.T, db *postgres.DB, options world.Options) *house {
	t.Helper()
	w := worldtest.Start(t, options)
	h := &house{t: t, db: db, world: w, books: simulated.New(simulated.Config{URL: w.URL})}
	h.Service = checkout.New(checkout.Config{
		DB:       h.db,
		Keys:     devtest.Must(idempotency.New(idempotency.Config{DB: h.db.Once(), Table: checkout.KeyTable, Secret: []byte("secret"), TTL: 72 * time.Hour, Lease: 15 * time.Second})),
		Provider: h.books, Render: wire.Renderer{}, Doubt: []time.Duration{time.Millisecond},
	})
	h.notified = h.Service
	h.merchant = h.newMerchant()
	return h
}

func (h *house) newMerchant() uuid.UUID {
	h.t.Helper()
	id := uuid.New()
	h.exec(`INSERT INTO merchants (id, api_key_hash) VALUES ($1, $2)`, id, id[:])
	return id
}

// exec plays somebody who is not bound by the database's own rules: triggers
// and foreign keys are off, or most of what is planted could not be.
func (h *house) exec(query string, args ...any) {
	h.t.Helper()
	ctx := context.Background()
	require.NoError(h.t, postgres.InTx(ctx, h.db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, query, args...)
		return err
	}))
}

// outside changes the world's own database, behind everybody's back.
func (h *house) outside(query string, args ...any) {
	h.t.Helper()
	db, err := sql.Open("postgres", h.world.DSN)
	require.NoError(h.t, err)
	defer db.Close()
	_, err = db.ExecContext(context.Background(), query, args...)
	require.NoError(h.t, err)
}

// order places an order for two tickets, 84.00 EUR.
func (h *house) order(merchant uuid.UUID) uuid.UUID {
	h.t.Helper()
	res, err := h.PlaceOrder(h.t.Context(), checkout.PlaceOrder{
		Merchant: merchant, Key: uuid.NewString(), Email: buyer, Items: []checkout.OrderItem{{SKU: "concert-a", Quantity: 2}},
	})
	require.NoError(h.t, err)
	require.Equal(h.t, http.StatusCreated, res.Answer.Status)
	return res.PaymentID
}

func (h *house) pay(merchant, payment uuid.UUID, token string) int {
	h.t.Helper()
	res, err := h.Capture(context.Background(), checkout.Capture{
		Merchant: merchant, Key: uuid.NewString(), Payment: payment, Amount: money.Of(8400, "EUR"), Token: token, Wait: 10 * time.Second,
	})
	require.NoError(h.t, err)
	return res.Answer.Status
}

// sale is what a fixture plants its faults into.
type sale struct {
	merchant, payment, order uuid.UUID
}

func (s sale) name() string { return event.PaymentName(s.payment) }

// sell sells to a merchant: one captured payment with all its effects, which it
// returns, one declined payment, and an order that nobody paid.
func (h *house) sell(merchant uuid.UUID) sale {
	h.t.Helper()
	s := sale{merchant: merchant, payment: h.order(merchant)}
	require.Equal(h.t, http.StatusOK, h.pay(merchant, s.payment, "tok_ok"))
	require.Equal(h.t, http.StatusOK, h.pay(merchant, s.payment, "tok_ok"), "another key, the same effect")
	require.Equal(h.t, http.StatusPaymentRequired, h.pay(merchant, h.order(merchant), "tok_declined"))
	h.order(merchant)
	h.deliver()
	require.NoError(h.t, h.db.Get(h.t.Context(), &s.order, `SELECT order_id FROM payments WHERE id = $1`, s.payment))
	return s
}

var (
	story    = refund.Story(time.Minute, checkout.Refunds{})
	handlers = map[string]patterns.Handler{
		ledger.Name:          ledger.Consumer{}.Handle,
		tickets.Name:         tickets.Consumer{}.Handle,
		email.Name:           email.Consumer{PublicURL: "http://shop.example"}.Handle,
		event.ConsumerSaga:   move,
		checkout.RefundsName: checkout.Refunds{}.Handle,
	}
)

func move(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	return (&saga.Orchestrator{Definition: story}).Handle(ctx, tx, batch)
}

// giveBack asks for a refund of a sale and brings it to its end.
func (h *house) giveBack(s sale, minor int64) uuid.UUID {
	h.t.Helper()
	id := h.refundOf(s, minor)
	h.deliver()
	return id
}

// refundOf asks for a refund of a sale.
func (h *house) refundOf(s sale, minor int64) uuid.UUID {
	h.t.Helper()
	service := refund.New(refund.Config{DB: h.db, Keys: h.Keys, Payments: h.Service, Story: story, Render: wire.Renderer{}})
	res, err := service.Request(context.Background(), refund.Ask{Merchant: s.merchant, Key: uuid.NewString(), Payment: s.payment, Amount: &minor, Reason: "test"})
	require.NoError(h.t, err)
	require.Equal(h.t, http.StatusAccepted, res.Answer.Status, "%s", res.Answer.Body)
	var id uuid.UUID
	require.NoError(h.t, h.db.Get(context.Background(), &id, `SELECT id FROM refunds WHERE payment_id = $1 ORDER BY id DESC LIMIT 1`, s.payment))
	return id
}

// ask plays the provider's consumer: intent, call, record. What is unknown is
// delivered a few times more.
func (h *house) ask(m inbox.Message) {
	h.t.Helper()
	ctx := context.Background()
	around := refund.Gateway{Provider: h.books, Deadline: h.patience}.Around()
	var record inbox.Record
	err := retry.Ambiguous(errors.New("not asked yet"))
	for n := 0; n < 4 && retry.ClassOf(err) == retry.ClassAmbiguous; n++ {
		var call inbox.Call
		require.NoError(h.t, postgres.InTx(ctx, h.db, func(tx postgres.Tx) (err error) {
			call, err = around.Intend(ctx, tx, m)
			return err
		}))
		record, err = call(ctx)
	}
	require.NoError(h.t, err)
	require.NoError(h.t, postgres.InTx(ctx, h.db, func(tx postgres.Tx) error {
		if _, err := patterns.Inbox.Admit(ctx, tx, event.ConsumerProvider, []string{m.EventID}); err != nil {
			return err
		}
		return record(ctx, tx)
	}))
}

// deliver brings every event to every consumer bound to it and sends every mail.
func (h *house) deliver() {
	h.t.Helper()
	for h.relay() > 0 {
		continue
	}
	sender, err := email.NewSMTP(email.SMTPConfig{Addr: h.world.SMTPAddr, TLS: "none", From: "tickets@payonce.example"})
	require.NoError(h.t, err)
	mailer := email.NewMailer(email.Config{DB: h.db, Sender: sender, Poll: 5 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mailer.Run(ctx) }()
	require.Eventually(h.t, func() bool { return h.count(`SELECT count(*) FROM emails WHERE status <> 'sent'`) == 0 }, 20*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(h.t, <-done)
	_ = sender.Close()
}

type unpublished struct {
	ID       uuid.UUID `db:"event_id"`
	Type     string    `db:"type"`
	Payload  []byte    `db:"payload"`
	Merchant uuid.UUID `db:"merchant_id"`
	Story    uuid.UUID `db:"correlation_id"`
	Of       uuid.UUID `db:"aggregate_id"`
}

const unpublishedSQL = `SELECT event_id, type, payload, merchant_id, correlation_id, aggregate_id FROM outbox_events WHERE published_at IS NULL`

func (u unpublished) message() inbox.Message {
	return inbox.Message{EventID: u.ID.String(), Type: u.Type, Payload: u.Payload, Scope: u.Merchant.String(), Correlation: u.Story.String(), AggregateID: u.Of.String()}
}

func (h *house) relay() (published int) {
	h.t.Helper()
	var rows []unpublished
	require.NoError(h.t, h.db.Select(context.Background(), &rows, unpublishedSQL+` AND type <> ALL ($1) ORDER BY seq`, pq.Array(append([]string{}, h.silent...))))
	for _, r := range rows {
		for _, c := range event.Consumers {
			m := r.message()
			switch {
			case c.Lossy, !slices.Contains(c.Types, r.Type):
			default:
				h.hand(c.Name, m)
			}
		}
		h.exec(`UPDATE outbox_events SET published_at = clock_timestamp() WHERE event_id = $1`, r.ID)
	}
	return len(rows)
}

// hand gives a message to a consumer, once or, under another id, once more.
func (h *house) hand(consumer string, m inbox.Message) {
	h.t.Helper()
	for range 2 {
		if consumer == event.ConsumerProvider && m.Type == event.CommandRefund {
			h.ask(m)
		} else if h.handler(consumer, m.Type) != nil {
			h.apply(consumer, m)
		}
		if !h.twice {
			return
		}
		m.EventID = uuid.Must(uuid.NewV7()).String()
	}
}

func (h *house) apply(consumer string, m inbox.Message) {
	h.t.Helper()
	require.NoError(h.t, h.applied(consumer, m))
}

func (h *house) applied(consumer string, m inbox.Message) error {
	ctx := context.Background()
	return postgres.InTx(ctx, h.db, func(tx postgres.Tx) error {
		fresh, err := patterns.Inbox.Admit(ctx, tx, consumer, []string{m.EventID})
		if err != nil || len(fresh) == 0 {
			return err
		}
		return h.handler(consumer, m.Type)(ctx, tx, []inbox.Message{m})
	})
}

// handler is what a consumer does with messages of a type.
func (h *house) handler(consumer, kind string) patterns.Handler {
	switch {
	case consumer != event.ConsumerProvider:
		return handlers[consumer]
	case kind == event.TypeProviderRefundSucceeded, kind == event.TypeProviderRefundFailed:
		return refund.Notices{}.Handle
	}
	return checkout.Notices{Service: h.notified}.Handle
}

func (h *house) count(query string, args ...any) (n int) {
	h.t.Helper()
	require.NoError(h.t, h.db.Get(context.Background(), &n, query, args...))
	return n
}

// charge lets the provider charge once more, under a key of its own.
func (h *house) charge(reference string) {
	h.t.Helper()
	got, err := client.New(h.world.URL, "", client.Options{}).Send(context.Background(), client.Request{
		Method: http.MethodPost, Path: "/v1/charges", Key: "planted",
		Body: map[string]any{"reference": reference, "amount_minor": 8400, "currency": "EUR", "token": "tok_ok"},
	})
	require.NoError(h.t, err)
	require.Equal(h.t, http.StatusCreated, got.Status)
}

// impatient audits without grace or cache: everything was delivered before.
func (h *house) impatient() *audit.Auditor {
	return audit.New(audit.Options{
		DB: h.db, Books: h.books, Mailbox: bursts.NewMailbox(h.world.URL), Every: time.Nanosecond, Grace: time.Nanosecond,
	})
}

// red lists what a report found broken, by check.
func red(r audit.Report) map[string][]string {
	broken := map[string][]string{}
	for _, i := range r.Invariants {
		if len(i.Violations) > 0 {
			broken[i.ID] = i.Violations
		}
	}
	return broken
}

func invariant(t *testing.T, r audit.Report, id string) audit.Result {
	t.Helper()
	for _, i := range r.Invariants {
		if i.ID == id {
			return i
		}
	}
	t.Fatalf("no invariant is called %s", id)
	return audit.Result{}
}

func mustBeProven(t *testing.T, auditor *audit.Auditor, s sale) {
	t.Helper()
	all, err := auditor.CheckAll(t.Context())
	require.NoError(t, err)
	require.Empty(t, red(all))
	require.True(t, all.Proven(), "%+v", all)
	own, err := auditor.Check(t.Context(), s.merchant)
	require.NoError(t, err)
	require.Empty(t, red(own))
	require.True(t, own.Proven(), "%+v", own)
}
