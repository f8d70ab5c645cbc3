package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/ledger"
	"payonce/internal/shop/money"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// captured is a payment.captured event as a consumer gets it. Each call is a
// new event, also for the same payment.
func captured(t testing.TB, merchant, payment uuid.UUID, amount money.Money) inbox.Message {
	t.Helper()
	payload, err := json.Marshal(event.PaymentCaptured{
		Schema: event.SchemaVersion, MerchantID: merchant, OrderID: uuid.New(), PaymentID: payment, AttemptNo: 1,
		Amount: amount, ProviderChargeID: "ch_" + payment.String(), Email: "a@example.org",
		Lines:      []event.Line{{SKU: "concert-a", Name: "A", Quantity: 1, UnitAmountMinor: amount.AmountMinor}},
		CapturedAt: time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	return inbox.Message{EventID: newID(t).String(), Type: event.TypePaymentCaptured, Payload: payload, Scope: merchant.String(), Correlation: payment.String()}
}

func newID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func handle(ctx context.Context, db *postgres.DB, batch ...inbox.Message) error {
	return postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		return ledger.Consumer{}.Handle(ctx, tx, slices.Clone(batch))
	})
}

func TestACapturedPaymentIsOneTransactionOfADebitAndACredit(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	payment := newID(t)
	if err := handle(t.Context(), db, captured(t, newID(t), payment, money.Of(8400, "EUR"))); err != nil {
		t.Fatal(err)
	}
	got, err := ledger.Book{DB: db}.OfPayment(t.Context(), payment)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("want 1 transaction, got %d", len(got))
	}
	if want := "capture:" + event.PaymentName(payment); got[0].BusinessKey != want {
		t.Errorf("want business key %s, got %s", want, got[0].BusinessKey)
	}
	want := []ledger.Entry{{Account: ledger.ProviderClearing, AmountMinor: 8400, Currency: "EUR"}, {Account: ledger.Revenue, AmountMinor: -8400, Currency: "EUR"}}
	if !slices.Equal(got[0].Entries, want) {
		t.Errorf("want entries %v, got %v", want, got[0].Entries)
	}
	balance, err := ledger.Book{DB: db}.Balance(t.Context(), ledger.ProviderClearing)
	if err != nil {
		t.Fatal(err)
	}
	if balance["EUR"] != 8400 {
		t.Errorf("want the provider to owe 8400, got %v", balance)
	}
}

func TestFiftyEventsOfOnePaymentAreOneTransaction(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	merchant, payment := newID(t), newID(t)
	var batch []inbox.Message
	for range 25 {
		batch = append(batch, captured(t, merchant, payment, money.Of(100, "EUR")))
	}
	if err := handle(t.Context(), db, batch...); err != nil {
		t.Fatal(err)
	}
	for range 25 {
		if err := handle(t.Context(), db, captured(t, merchant, payment, money.Of(100, "EUR"))); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, db, payment); n != 1 {
		t.Errorf("want 1 transaction, got %d", n)
	}
}

func TestTheSameCauseWithAnotherAmountIsAContradictionAndChangesNothing(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	merchant, payment := newID(t), newID(t)
	if err := handle(t.Context(), db, captured(t, merchant, payment, money.Of(100, "EUR"))); err != nil {
		t.Fatal(err)
	}
	for name, amount := range map[string]money.Money{"more": money.Of(101, "EUR"), "another currency": money.Of(100, "USD")} {
		err := handle(t.Context(), db, captured(t, merchant, payment, amount))
		if !errors.Is(err, ledger.ErrContradiction) {
			t.Errorf("%s: want a contradiction, got %v", name, err)
		}
		mustBePermanent(t, err)
	}
	got, err := ledger.Book{DB: db}.OfPayment(t.Context(), payment)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Entries[0].AmountMinor != 100 {
		t.Errorf("the book changed: %+v", got)
	}
}

func TestSixteenWorkersWithTheSameTwentyPaymentsInOtherOrdersPostEachOnce(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	merchants := []uuid.UUID{newID(t), newID(t), newID(t)}
	var batch []inbox.Message
	var payments []uuid.UUID
	for i := range 20 {
		payments = append(payments, newID(t))
		batch = append(batch, captured(t, merchants[i%3], payments[i], money.Of(int64(i+1), "EUR")))
	}
	var workers sync.WaitGroup
	failed := make(chan error, 16)
	for i := range 16 {
		mine := slices.Clone(batch)
		if i%2 == 1 {
			slices.Reverse(mine)
		}
		workers.Go(func() { failed <- handle(t.Context(), db, mine...) })
	}
	workers.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			t.Errorf("a worker failed: %v", err)
		}
	}
	for _, payment := range payments {
		if n := count(t, db, payment); n != 1 {
			t.Errorf("want 1 transaction, got %d", n)
		}
	}
	var accounts int
	if err := db.Get(t.Context(), &accounts, `SELECT count(*) FROM ledger_accounts`); err != nil {
		t.Fatal(err)
	}
	if accounts != 6 {
		t.Errorf("want 2 accounts for each of 3 merchants, got %d", accounts)
	}
}

func TestWhatCannotBeReadIsRefusedForGood(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	good := func() inbox.Message { return captured(t, newID(t), newID(t), money.Of(100, "EUR")) }
	for name, spoil := range map[string]func(*inbox.Message){
		"another type":   func(m *inbox.Message) { m.Type = "order.placed" },
		"a newer schema": func(m *inbox.Message) { m.Payload = []byte(`{"schema":2}`) },
		"no JSON":        func(m *inbox.Message) { m.Payload = []byte("\x00\xff") },
		"another shape":  func(m *inbox.Message) { m.Payload = []byte(`{"schema":1,"amount":"eight"}`) },
		"nobody's payment": func(m *inbox.Message) {
			m.Payload = []byte(`{"schema":1,"amount":{"amount_minor":1,"currency":"EUR"}}`)
		},
		"no amount":   func(m *inbox.Message) { *m = captured(t, newID(t), newID(t), money.Of(0, "EUR")) },
		"no currency": func(m *inbox.Message) { *m = captured(t, newID(t), newID(t), money.Of(100, "eur")) },
	} {
		t.Run(name, func(t *testing.T) {
			bad := good()
			spoil(&bad)
			err := handle(t.Context(), db, good(), bad)
			if !errors.Is(err, ledger.ErrUnknownEvent) {
				t.Errorf("want ErrUnknownEvent, got %v", err)
			}
			mustBePermanent(t, err)
		})
	}
	var n int
	if err := db.Get(t.Context(), &n, `SELECT count(*) FROM ledger_transactions`); err != nil {
		t.Fatal(err)
	}
	if n != 0 {
		t.Errorf("a refused batch left %d transactions", n)
	}
}

func mustBePermanent(t testing.TB, err error) {
	t.Helper()
	if class := retry.ClassOf(err); class != retry.ClassPermanent {
		t.Errorf("want a permanent error, got a %s one: %v", class, err)
	}
}

func count(t testing.TB, db *postgres.DB, payment uuid.UUID) int {
	t.Helper()
	n, err := ledger.Book{DB: db}.CountOfPayment(t.Context(), payment)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
