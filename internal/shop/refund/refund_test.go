package refund_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
	"payonce/internal/shop/refund"
	"payonce/once/idempotency"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
	"payonce/once/retry"
	"payonce/once/saga"
)

// plain renders answers as short as they can be.
type plain struct{}

func (plain) RefundAnswer(r refund.Refund) idempotency.Answer {
	body, _ := json.Marshal(map[string]any{"id": r.ID, "amount": r.AmountMinor})
	return idempotency.Answer{Status: http.StatusAccepted, ContentType: "application/json", Body: body}
}

func (plain) ErrorAnswer(_ context.Context, err error) idempotency.Answer {
	return idempotency.Answer{Status: http.StatusUnprocessableEntity, ContentType: "application/json", Body: []byte(err.Error())}
}

// purse stands for whoever owns payments: one of 84.00, of which it keeps count
// in the caller's transaction.
type purse struct{}

func (purse) ReserveRefund(ctx context.Context, tx postgres.Tx, r event.Refund) (event.Refund, bool, error) {
	var left int64
	if err := tx.Get(ctx, &left, `SELECT 8400 - coalesce(sum(amount_minor), 0) FROM refunds WHERE payment_id = $1`, r.PaymentID); err != nil {
		return r, false, err
	}
	if r.Amount.AmountMinor == 0 {
		r.Amount.AmountMinor = left
	}
	if left == 0 || r.Amount.AmountMinor > left {
		return r, false, event.ErrExceedsCaptured
	}
	r.OrderID, r.Amount.Currency, r.ProviderChargeID, r.Email = uuid.New(), "EUR", "ch_1", "ada@example.org"
	return r, r.Amount.AmountMinor == left, nil
}

// LeftAfter says that this refund is the last one.
func (purse) LeftAfter(context.Context, postgres.Tx, event.Refund) (int64, bool, error) {
	return 0, true, nil
}

// No payment was captured with a charge that these tests speak of.
func (purse) OfCharge(context.Context, postgres.Tx, string) (event.Refund, error) {
	return event.Refund{}, event.ErrUnknownCharge
}

func (purse) TakeRefund(context.Context, postgres.Tx, event.Refund) (bool, error) {
	return false, event.ErrExceedsCaptured
}

type office struct {
	*refund.Service
	t        *testing.T
	db       *postgres.DB
	merchant uuid.UUID
}

func open(t *testing.T) *office {
	t.Helper()
	db := devtest.Postgres(t)
	o := &office{t: t, db: db, merchant: uuid.New(), Service: refund.New(refund.Config{
		DB: db, Keys: devtest.Must(idempotency.New(idempotency.Config{DB: db.Once(), Table: idempotency.Table{Scope: "merchant_id"}, Secret: []byte("s"), TTL: time.Hour, Lease: time.Minute})),
		Payments: purse{}, Story: refund.Story(time.Minute, purse{}), Render: plain{},
	})}
	o.exec(`INSERT INTO merchants (id, api_key_hash) VALUES ($1, $2)`, o.merchant, o.merchant[:])
	return o
}

func (o *office) exec(query string, args ...any) {
	o.t.Helper()
	require.NoError(o.t, postgres.InTx(context.Background(), o.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(context.Background(), query, args...)
		return err
	}))
}

func (o *office) count(query string, args ...any) (n int) {
	o.t.Helper()
	require.NoError(o.t, o.db.Get(context.Background(), &n, query, args...))
	return n
}

func (o *office) ask(payment uuid.UUID, key string, minor int64) (refund.Result, error) {
	a := refund.Ask{Merchant: o.merchant, Key: key, Payment: payment, Reason: "test"}
	if minor != 0 {
		a.Amount = &minor
	}
	return o.Request(context.Background(), a)
}

func TestTwentyRequestsWithOneKeyAreOneRefundOneSagaAndOneEvent(t *testing.T) {
	t.Parallel()
	o := open(t)
	payment := uuid.New()
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		replayed int
		bodies   = map[string]bool{}
	)
	for range 20 {
		wg.Go(func() {
			res, err := o.ask(payment, "K", 3000)
			for errors.Is(err, idempotency.ErrInProgress) { // a slow machine: asked again, as the answer says
				res, err = o.ask(payment, "K", 3000)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if bodies[string(res.Answer.Body)] = true; res.Replayed {
				replayed++
			}
		})
	}
	wg.Wait()
	require.Len(t, bodies, 1)
	require.Equal(t, 19, replayed)
	for _, table := range []string{"refunds", "sagas", "outbox_events"} {
		require.Equal(t, 1, o.count(`SELECT count(*) FROM `+table), table)
	}
}

func TestARetryAfterItsKeyHasExpiredStillFindsItsRefund(t *testing.T) {
	t.Parallel()
	o := open(t)
	payment := uuid.New()
	first, err := o.ask(payment, "K", 3000)
	require.NoError(t, err)
	o.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp()`)
	again, err := o.ask(payment, "K", 3000)
	require.NoError(t, err)
	require.Equal(t, string(first.Answer.Body), string(again.Answer.Body))
	require.Equal(t, 1, o.count(`SELECT count(*) FROM refunds`))
	minor := int64(3000)
	for name, c := range map[string]struct {
		ask     refund.Ask
		differs []string
	}{
		"another amount": {refund.Ask{Amount: new(int64), Reason: "test"}, []string{"/amount_minor"}},
		"no amount":      {refund.Ask{Reason: "test"}, []string{"/amount_minor"}},
		"another reason": {refund.Ask{Amount: &minor, Reason: "other"}, []string{"/reason"}},
		"both":           {refund.Ask{Reason: "other"}, []string{"/amount_minor", "/reason"}},
	} {
		c.ask.Merchant, c.ask.Key, c.ask.Payment = o.merchant, "K", payment
		for range 2 { // after its lifetime, and within the next: the same words
			_, err = o.Request(t.Context(), c.ask)
			var mismatch *idempotency.MismatchError
			require.ErrorAs(t, err, &mismatch, name)
			require.Equal(t, c.differs, mismatch.Pointers, name)
			_, err = o.ask(payment, "K", 3000)
			require.NoError(t, err)
		}
		o.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp()`)
	}
}

func TestARefusalIsStoredAndReplayedAndLeavesNothingElse(t *testing.T) {
	t.Parallel()
	o := open(t)
	payment := uuid.New()
	for i := range 2 {
		res, err := o.ask(payment, "K", 8401)
		require.NoError(t, err)
		require.True(t, res.Refused)
		require.Equal(t, i == 1, res.Replayed)
	}
	require.Zero(t, o.count(`SELECT count(*) FROM refunds`)+o.count(`SELECT count(*) FROM sagas`)+o.count(`SELECT count(*) FROM outbox_events`))
	o.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp()`)
	for i := range 2 { // expired, it is judged anew at once
		res, err := o.ask(payment, "K", 8401)
		require.NoError(t, err)
		require.True(t, res.Refused)
		require.Equal(t, i == 1, res.Replayed)
	}
	o.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp()`)
	res, err := o.ask(payment, "K", 8400)
	require.NoError(t, err)
	require.False(t, res.Refused, "what is possible by then is done")
}

func TestAPartSkipsTheTicketsAndTheRestVoidsThem(t *testing.T) {
	t.Parallel()
	o := open(t)
	payment := uuid.New()
	for key, minor := range map[string]int64{"part": 3000} {
		_, err := o.ask(payment, key, minor)
		require.NoError(t, err)
	}
	require.Equal(t, 1, o.count(`SELECT count(*) FROM saga_steps WHERE step = 'void_tickets' AND status = 'skipped'`))
	_, err := o.ask(payment, "rest", 0)
	require.NoError(t, err)
	require.Equal(t, 1, o.count(`SELECT count(*) FROM saga_steps WHERE step = 'void_tickets' AND status = 'pending'`))
	require.Equal(t, 1, o.count(`SELECT count(*) FROM refunds WHERE amount_minor = 5400`))
}

func TestTheStoryIsOneThatCanWork(t *testing.T) {
	t.Parallel()
	story := refund.Story(retry.Demo.Whole(), purse{})
	require.NoError(t, story.Check())
	require.ElementsMatch(t, event.TypesOf(event.ConsumerSaga), story.Types())
	for _, s := range story.Steps {
		require.Greater(t, s.Deadline, retry.Demo.Whole(), "a deadline exceeds the participants' retries: %s", s.Name)
	}
}

func TestTheOrchestratorMovesEachRefundOnceWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	o := open(t)
	inboxtest.Run(t,
		devtest.ConsumerOf(inbox.Config{Consumer: event.ConsumerSaga, Types: event.TypesOf(event.ConsumerSaga), Handler: (&saga.Orchestrator{Definition: o.Story}).Handle}),
		devtest.SampleOf(begunSaga, func(t testing.TB, db *postgres.DB, m inbox.Message) (n int) {
			t.Helper()
			require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM outbox_events WHERE type = 'tickets.void' AND correlation_id = $1`, m.Correlation))
			return n
		}, 0))
}

// begunSaga is a saga whose hold was sent, and the reply to it.
func begunSaga(t testing.TB, db *postgres.DB) inbox.Message {
	t.Helper()
	story, s := refund.Story(time.Minute, purse{}), saga.Saga{ID: uuid.Must(uuid.NewV7()).String(), Scope: uuid.NewString(), Correlation: uuid.NewString(), Subject: uuid.NewString(), Data: []byte(`{}`)}
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		if err := story.Open(t.Context(), tx, s); err != nil {
			return err
		}
		start := inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: story.Start, AggregateID: s.Subject, Payload: []byte(`{}`)}
		return (&saga.Orchestrator{Definition: story}).Handle(t.Context(), tx, []inbox.Message{start})
	}))
	payload, err := json.Marshal(saga.Reply{Schema: 1, Saga: s.ID, Step: refund.StepHold, Direction: saga.Do})
	require.NoError(t, err)
	return inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: event.CommandHoldRefund + ".done", Payload: payload, Scope: s.Scope, Correlation: s.Correlation, AggregateID: s.ID}
}

func TestTheProviderRefundsOnceWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	w := worldtest.Start(t, world.Options{})
	books := simulated.New(simulated.Config{URL: w.URL})
	inboxtest.RunAround(t,
		devtest.ConsumerOf(inbox.Config{Consumer: event.ConsumerProvider, Types: []string{event.CommandRefund}, Around: refund.Gateway{Provider: books}.Around()}),
		devtest.SampleOf(func(t testing.TB, _ *postgres.DB) inbox.Message { return commandFor(t, charge(t, books, "tok_ok")) }, func(t testing.TB, db *postgres.DB, m inbox.Message) (n int) {
			t.Helper()
			require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM outbox_events WHERE type = 'provider.refund.done' AND correlation_id = $1`, m.Correlation))
			c, err := patterns.Sagas.ReadCommand(inbox.Message{Type: m.Type, Payload: valid(m.Payload)})
			require.NoError(t, err)
			r, err := saga.DataOf[event.Refund](c)
			require.NoError(t, err)
			all, err := books.RefundsOfCharge(t.Context(), r.ProviderChargeID)
			require.NoError(t, err)
			return n + len(all)
		}, 2))
}

// valid undoes what the suite does to a payload's schema.
func valid(payload []byte) []byte {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(payload, &fields)
	fields["schema"] = []byte("1")
	out, _ := json.Marshal(fields)
	return out
}

func charge(t testing.TB, books *simulated.Client, token string) event.Refund {
	t.Helper()
	c, err := books.Charge(t.Context(), provider.Request{Key: uuid.NewString(), Reference: "pay_1", Amount: money.Of(8400, "EUR"), Token: token})
	require.NoError(t, err)
	return event.Refund{RefundID: uuid.New(), MerchantID: uuid.New(), PaymentID: uuid.New(), Amount: c.Amount, ProviderChargeID: c.ID}
}

func commandFor(t testing.TB, r event.Refund) inbox.Message {
	t.Helper()
	data, err := json.Marshal(r)
	require.NoError(t, err)
	payload, err := json.Marshal(saga.Command{Schema: 1, Saga: uuid.NewString(), Step: refund.StepRefund, Direction: saga.Do, Attempt: 1, Data: data})
	require.NoError(t, err)
	return inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: event.CommandRefund, Payload: payload, Scope: r.MerchantID.String(), Correlation: r.PaymentID.String()}
}
