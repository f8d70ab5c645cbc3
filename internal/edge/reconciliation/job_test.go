package reconciliation_test

import (
	"context"
	"database/sql"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/edge/reconciliation"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
	"payonce/internal/shop/refund"
	"payonce/once/idempotency"
)

var amount84 = money.Of(8400, "EUR")

// shop is a checkout that no message of the provider ever reaches.
type shop struct {
	*checkout.Service
	t        *testing.T
	db       *postgres.DB
	world    *worldtest.World
	books    *simulated.Client
	merchant uuid.UUID
}

func open(t *testing.T) *shop {
	t.Helper()
	w := worldtest.Start(t, world.Options{})
	s := &shop{t: t, db: devtest.Postgres(t), world: w, books: simulated.New(simulated.Config{URL: w.URL}), merchant: uuid.New()}
	s.Service = checkout.New(checkout.Config{
		DB:       s.db,
		Keys:     devtest.Must(idempotency.New(idempotency.Config{DB: s.db.Once(), Table: checkout.KeyTable, Secret: []byte("secret"), TTL: 72 * time.Hour, Lease: 15 * time.Second})),
		Provider: s.books, Render: wire.Renderer{}, Doubt: []time.Duration{time.Hour},
	})
	require.NoError(t, postgres.InTx(t.Context(), s.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO merchants (id, api_key_hash) VALUES ($1, $2)`, s.merchant, s.merchant[:])
		return err
	}))
	return s
}

func (s *shop) job(from provider.Statement) *reconciliation.Job {
	return reconciliation.New(reconciliation.Config{
		DB: s.db, Provider: from, Every: time.Nanosecond,
		Charges: checkout.Notices{Service: s.Service}, Refunds: refund.Notices{Payments: s.Service},
	})
}

// turn compares once.
func (s *shop) turn(j *reconciliation.Job) {
	s.t.Helper()
	took, err := j.RunOnce(s.t.Context())
	require.NoError(s.t, err)
	require.True(s.t, took)
}

func (s *shop) order() uuid.UUID {
	s.t.Helper()
	res, err := s.PlaceOrder(s.t.Context(), checkout.PlaceOrder{
		Merchant: s.merchant, Key: uuid.NewString(), Email: "ada@example.org", Items: []checkout.OrderItem{{SKU: "concert-a", Quantity: 2}},
	})
	require.NoError(s.t, err)
	return res.PaymentID
}

func (s *shop) captured() (payment uuid.UUID, charge string) {
	s.t.Helper()
	payment = s.order()
	res, err := s.Capture(s.t.Context(), checkout.Capture{Merchant: s.merchant, Key: uuid.NewString(), Payment: payment, Amount: amount84, Token: "tok_ok"})
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, res.Answer.Status)
	return payment, s.world.ChargesByReference(event.PaymentName(payment))[0].ID
}

func (s *shop) charge(reference string) provider.Charge {
	s.t.Helper()
	c, err := s.books.Charge(s.t.Context(), provider.Request{Key: uuid.NewString(), Reference: reference, Amount: amount84, Token: "tok_ok"})
	require.NoError(s.t, err)
	return c
}

func (s *shop) back(charge string, minor int64) provider.Refund {
	s.t.Helper()
	r, err := s.books.Refund(s.t.Context(), provider.RefundRequest{Key: uuid.NewString(), ChargeID: charge, Reference: "by-hand", Amount: money.Of(minor, "EUR")})
	require.NoError(s.t, err)
	return r
}

func (s *shop) count(query string, args ...any) (n int) {
	s.t.Helper()
	require.NoError(s.t, s.db.Get(s.t.Context(), &n, query, args...))
	return n
}

func (s *shop) write(query string, args ...any) {
	s.t.Helper()
	require.NoError(s.t, postgres.InTx(s.t.Context(), s.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(s.t.Context(), query, args...)
		return err
	}))
}

func (s *shop) outside(query string, args ...any) {
	s.t.Helper()
	db, err := sql.Open("postgres", s.world.DSN)
	require.NoError(s.t, err)
	defer db.Close()
	_, err = db.ExecContext(s.t.Context(), query, args...)
	require.NoError(s.t, err)
}

const openAlerts = `SELECT count(*) FROM alerts WHERE state = 'open' AND kind = $1 AND subject = $2`

func TestWhatNoMessageToldIsFoundAndBookedOrAlertedOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	refunded, charge := s.captured()
	external := s.back(charge, 1000)
	unpaid := s.order()
	stray := s.charge(event.PaymentName(unpaid))
	nobodys := s.charge("pay_of_nobody")
	gone := s.charge("pay_of_nobody")
	s.back(gone.ID, 8400)

	j := s.job(s.books)
	for range 3 {
		s.turn(j)
		require.Equal(t, 1, s.count(`SELECT count(*) FROM payments WHERE id = $1 AND status = 'partially_refunded' AND refunded_minor = 1000`, refunded))
		require.Equal(t, 1, s.count(`SELECT count(*) FROM refunds WHERE provider_refund_id = $1`, external.ID))
		require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox_events WHERE type = 'refund.recorded'`))
		require.Equal(t, 1, s.count(openAlerts, "provider_contradiction", event.PaymentName(unpaid)))
		require.Equal(t, 1, s.count(openAlerts, "provider_unknown_charge", nobodys.ID))
		require.Equal(t, 0, s.count(openAlerts, "provider_unknown_charge", gone.ID))
	}
	_, err := s.Capture(t.Context(), checkout.Capture{Merchant: s.merchant, Key: "K", Payment: unpaid, Amount: amount84, Token: "tok_ok"})
	require.ErrorIs(t, err, checkout.ErrNeedsReview)

	// Both are given back: the operator's alert ends, and the payment can be paid.
	s.back(nobodys.ID, 8400)
	s.back(stray.ID, 8400)
	s.turn(j)
	require.Equal(t, 0, s.count(openAlerts, "provider_unknown_charge", nobodys.ID))
	res, err := s.Capture(t.Context(), checkout.Capture{Merchant: s.merchant, Key: "K", Payment: unpaid, Amount: amount84, Token: "tok_ok"})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.Answer.Status)
	require.Equal(t, 0, s.count(openAlerts, "provider_contradiction", event.PaymentName(unpaid)))
	require.EqualValues(t, 4, j.Stats().Turns)
}

// The refund of which no message came stands behind more charges and refunds than a
// page of the provider's lists holds.
func TestBothListsAreReadToTheirEndAndGoBackToTheBeginningOfYesterday(t *testing.T) {
	t.Parallel()
	s := open(t)
	_, charge := s.captured()
	s.outside(`INSERT INTO charges (id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at)
		SELECT 'ch_0' || n, 'pay_of_nobody', 'k' || n, 1, 'EUR', 'declined', 'x', now() FROM generate_series(1, 1001) n`)
	s.outside(`INSERT INTO refunds (id, charge_id, reference, amount_minor, currency, status, decline_code, created_at)
		SELECT 're_0' || n, $1, 'by-hand', 1, 'EUR', 'declined', 'x', now() FROM generate_series(1, 1001) n`, charge)
	s.outside(`INSERT INTO refunds (id, charge_id, reference, amount_minor, currency, status, created_at) VALUES
		('re_z1', $1, 'by-hand', 100, 'EUR', 'succeeded', date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '1 day'),
		('re_z2', $1, 'by-hand', 200, 'EUR', 'succeeded', date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '24 hours 1 second')`, charge)
	s.turn(s.job(s.books))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM refunds WHERE provider_refund_id = 're_z1'`))
	require.Equal(t, 0, s.count(`SELECT count(*) FROM refunds WHERE provider_refund_id = 're_z2'`), "the day before yesterday was compared yesterday")
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payments WHERE refunded_minor = 100`))
}

// A refund of ours that the provider made in another amount: a person gave the saga up,
// a week after its alert. What went back is booked as what it is, and the
// alert is over; one that a message contradicted and the books do not is over too.
func TestWhatAnAlertIsAboutIsComparedForAsLongAsItIsOpen(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment, charge := s.captured()
	agreed, other := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	for _, id := range []uuid.UUID{agreed, other} {
		s.write(`INSERT INTO refunds (id, merchant_id, payment_id, order_id, request_key, status, amount_minor, currency, reason, failure_code, saga_id)
			SELECT $1::uuid, merchant_id, id, order_id, 'k' || ($1::uuid)::text, 'failed', 4200, 'EUR', 'requested_by_customer', 'x', gen_random_uuid() FROM payments WHERE id = $2`, id, payment)
		require.NoError(t, provider.AlertContradiction.RaiseAlone(t.Context(), s.db, s.merchant, event.RefundName(id), map[string]any{}))
	}
	back, err := s.books.Refund(t.Context(), provider.RefundRequest{
		Key: refund.ProviderKey(other), ChargeID: charge, Reference: event.RefundName(other), Amount: money.Of(700, "EUR"),
	})
	require.NoError(t, err)
	s.outside(`UPDATE refunds SET created_at = now() - interval '7 days 1 minute' WHERE id = $1`, back.ID)
	s.outside(`INSERT INTO refunds (id, charge_id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at)
		VALUES ('re_agreed', $1, 'r', $2, 4200, 'EUR', 'declined', 'x', now() - interval '7 days')`, charge, refund.ProviderKey(agreed))

	s.write(`UPDATE alerts SET raised_at = now() - interval '7 days'`)
	j := s.job(s.books)
	for range 2 {
		s.turn(j)
		require.Equal(t, 1, s.count(`SELECT count(*) FROM refunds WHERE provider_refund_id = $1 AND amount_minor = 700`, back.ID))
		require.Equal(t, 1, s.count(`SELECT count(*) FROM payments WHERE id = $1 AND refunded_minor = 700`, payment))
		require.Zero(t, s.count(`SELECT count(*) FROM alerts WHERE state = 'open'`))
	}
}

// cut is a provider whose list of refunds ends in the middle.
type cut struct{ provider.Statement }

func (c cut) RefundsSince(context.Context, time.Time) ([]provider.Refund, error) {
	return nil, provider.ErrIncomplete
}

func TestAListThatCannotBeReadToItsEndIsAFailedTurnInWhichNothingIsHeard(t *testing.T) {
	t.Parallel()
	s := open(t)
	stray := s.charge("pay_of_nobody")
	j := s.job(cut{s.books})
	took, err := j.RunOnce(t.Context())
	require.True(t, took)
	require.ErrorIs(t, err, provider.ErrIncomplete)
	require.Equal(t, 0, s.count(openAlerts, "provider_unknown_charge", stray.ID))
	require.EqualValues(t, 1, j.Stats().Failures)
	require.Zero(t, j.Stats().Last)
}

func TestOneWorkerHasTheTurnAndTheNextOneComesWhenItIsDue(t *testing.T) {
	t.Parallel()
	s := open(t)
	ours := reconciliation.New(reconciliation.Config{DB: s.db, Provider: s.books,
		Charges: checkout.Notices{Service: s.Service}, Refunds: refund.Notices{Payments: s.Service}})
	asked, goOn := make(chan struct{}), make(chan struct{})
	busy := s.job(held{s.books, asked, goOn})
	done := make(chan error, 1)
	go func() { _, err := busy.RunOnce(context.Background()); done <- err }()
	<-asked
	took, err := ours.RunOnce(t.Context())
	require.NoError(t, err)
	require.False(t, took, "the other one is at it")
	close(goOn)
	require.NoError(t, <-done)
	s.turn(ours) // due at once, as the first one said
	took, err = ours.RunOnce(t.Context())
	require.NoError(t, err)
	require.False(t, took, "due in an hour")
}

// A turn of minutes is under way, and its worker may be killed at any moment.
func TestAWorkerThatWasKilledKeepsTheTurnForItsLeaseAndOneThatLivesRenewsIt(t *testing.T) {
	t.Parallel()
	s := open(t)
	config := reconciliation.Config{DB: s.db, Provider: s.books,
		Charges: checkout.Notices{Service: s.Service}, Refunds: refund.Notices{Payments: s.Service}}
	begin := func(lease time.Duration) (end func()) {
		asked, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		busy := config
		busy.Provider, busy.Lease, busy.Every = held{s.books, asked, goOn}, lease, time.Millisecond
		go func() { _, err := reconciliation.New(busy).RunOnce(context.Background()); done <- err }()
		<-asked
		return func() { close(goOn); require.NoError(t, <-done) }
	}
	end := begin(0)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM reconciliation_turns
		WHERE lease_until BETWEEN clock_timestamp() AND clock_timestamp() + interval '30 seconds'`), "killed now, it would hold the turn for so long")
	end()

	require.Eventually(t, func() bool {
		return s.count(`SELECT count(*) FROM reconciliation_turns WHERE due_at <= clock_timestamp()`) == 1
	},
		10*time.Second, time.Millisecond)
	end = begin(3 * time.Second)
	var first time.Time
	require.NoError(t, s.db.Get(t.Context(), &first, `SELECT lease_until FROM reconciliation_turns`))
	require.Eventually(t, func() bool {
		return s.count(`SELECT count(*) FROM reconciliation_turns WHERE lease_until > $1`, first) == 1
	},
		10*time.Second, 20*time.Millisecond, "the one that lives renews it")
	took, err := reconciliation.New(config).RunOnce(t.Context())
	require.NoError(t, err)
	require.False(t, took)
	end()
}

// held is a provider that answers when it is let go.
type held struct {
	provider.Statement
	asked, goOn chan struct{}
}

func (h held) ChargesSince(ctx context.Context, from time.Time) ([]provider.Charge, error) {
	close(h.asked)
	<-h.goOn
	return h.Statement.ChargesSince(ctx, from)
}
