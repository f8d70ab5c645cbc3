package tickets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/tickets"
	"payonce/once/inbox"
	"payonce/once/retry"
)

func newID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// placeSQL stands for checkout, which alone writes orders.
const placeSQL = `
WITH merchant AS (
  INSERT INTO merchants (id, api_key_hash) VALUES ($1::uuid, decode(replace($1::text, '-', ''), 'hex'))
)
INSERT INTO orders (id, merchant_id, request_key, status, email, amount_minor, currency, items)
VALUES ($2, $1::uuid, 'test', 'paid', 'a@example.org', 100, 'EUR', '[]')`

// paid is an order of lines with these quantities, placed and paid.
func paid(t testing.TB, db *postgres.DB, quantities ...int) event.PaymentCaptured {
	t.Helper()
	e := event.PaymentCaptured{
		Schema: event.SchemaVersion, MerchantID: newID(t), OrderID: newID(t), PaymentID: newID(t), AttemptNo: 1,
		Amount: money.Of(100, "EUR"), ProviderChargeID: "ch_1", Email: "a@example.org",
	}
	for _, q := range quantities {
		e.Lines = append(e.Lines, event.Line{SKU: "concert-a", Name: "A", Quantity: q, UnitAmountMinor: 100})
	}
	err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), placeSQL, e.MerchantID, e.OrderID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// delivered is a new message about the event.
func delivered(t testing.TB, e event.PaymentCaptured) inbox.Message {
	t.Helper()
	payload, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return inbox.Message{EventID: newID(t).String(), Type: event.TypePaymentCaptured, Payload: payload, Scope: e.MerchantID.String(), Correlation: e.PaymentID.String()}
}

func handle(ctx context.Context, db *postgres.DB, c tickets.Consumer, batch ...inbox.Message) error {
	return postgres.InTx(ctx, db, func(tx postgres.Tx) error { return c.Handle(ctx, tx, batch) })
}

func ofOrder(t testing.TB, db *postgres.DB, order uuid.UUID) []tickets.Ticket {
	t.Helper()
	all, err := tickets.Box{DB: db}.OfOrder(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

type announced struct {
	AggregateType    string    `db:"aggregate_type"`
	AggregateID      uuid.UUID `db:"aggregate_id"`
	AggregateVersion int64     `db:"aggregate_version"`
	Type             string    `db:"type"`
	MerchantID       uuid.UUID `db:"merchant_id"`
	CorrelationID    uuid.UUID `db:"correlation_id"`
	Payload          []byte    `db:"payload"`
}

func news(t testing.TB, db *postgres.DB) []announced {
	t.Helper()
	var all []announced
	err := db.Select(t.Context(), &all, `SELECT aggregate_type, aggregate_id, aggregate_version, type, merchant_id, correlation_id, payload FROM outbox_events ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAnOrderOfTwoAndThreeGetsFiveTicketsWithFiveCodesAndOneEvent(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	e := paid(t, db, 2, 3)
	if err := handle(t.Context(), db, tickets.Consumer{}, delivered(t, e)); err != nil {
		t.Fatal(err)
	}
	var seats [][2]int
	var ids []uuid.UUID
	codes := map[string]bool{}
	readable := regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$`)
	for _, ticket := range ofOrder(t, db, e.OrderID) {
		seats, ids, codes[ticket.Code] = append(seats, [2]int{ticket.Line, ticket.Number}), append(ids, ticket.ID), true
		if !readable.MatchString(ticket.Code) {
			t.Errorf("code %q", ticket.Code)
		}
		if ticket.Status != tickets.Issued || ticket.PaymentID != e.PaymentID {
			t.Errorf("ticket %+v", ticket)
		}
	}
	if want := [][2]int{{1, 1}, {1, 2}, {2, 1}, {2, 2}, {2, 3}}; !slices.Equal(seats, want) || len(codes) != 5 {
		t.Errorf("want seats %v with a code each, got %v with %d codes", want, seats, len(codes))
	}

	events := news(t, db)
	if len(events) != 1 {
		t.Fatalf("want 1 event, got %d", len(events))
	}
	n := events[0]
	if n.Type != event.TypeTicketsIssued || n.AggregateType != "order" || n.AggregateID != e.OrderID || n.AggregateVersion != 2 ||
		n.MerchantID != e.MerchantID || n.CorrelationID != e.PaymentID {
		t.Errorf("event %+v", n)
	}
	issued, err := event.Decode[event.TicketsIssued](n.Payload)
	if err != nil {
		t.Fatal(err)
	}
	byID := func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(ids, byID)
	slices.SortFunc(issued.TicketIDs, byID)
	if !slices.Equal(ids, issued.TicketIDs) {
		t.Errorf("the event names %v, there are %v", issued.TicketIDs, ids)
	}
}

func TestSixteenWorkersWithTenOrdersInOtherOrdersIssueEachOnce(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	var orders []event.PaymentCaptured
	for range 10 {
		orders = append(orders, paid(t, db, 1, 2))
	}
	var workers sync.WaitGroup
	failed := make(chan error, 16)
	for i := range 16 {
		var batch []inbox.Message
		for _, e := range orders {
			batch = append(batch, delivered(t, e), delivered(t, e)) // and a twin beside it
		}
		if i%2 == 1 {
			slices.Reverse(batch)
		}
		workers.Go(func() { failed <- handle(t.Context(), db, tickets.Consumer{}, batch...) })
	}
	workers.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			t.Errorf("a worker failed: %v", err)
		}
	}
	for _, e := range orders {
		if n := len(ofOrder(t, db, e.OrderID)); n != 3 {
			t.Errorf("want 3 tickets, got %d", n)
		}
	}
	if n := len(news(t, db)); n != 10 {
		t.Errorf("want 10 events, got %d", n)
	}
}

func TestAnotherPaymentOrOtherSeatsOfAnIssuedOrderAreAContradictionAndChangeNothing(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	e := paid(t, db, 2)
	if err := handle(t.Context(), db, tickets.Consumer{}, delivered(t, e)); err != nil {
		t.Fatal(err)
	}
	before := ofOrder(t, db, e.OrderID)
	for name, spoil := range map[string]func(*event.PaymentCaptured){
		"another payment": func(e *event.PaymentCaptured) { e.PaymentID = newID(t) },
		"one seat more":   func(e *event.PaymentCaptured) { e.Lines = []event.Line{{Quantity: 3}} },
		"one seat fewer":  func(e *event.PaymentCaptured) { e.Lines = []event.Line{{Quantity: 1}} },
		"other lines":     func(e *event.PaymentCaptured) { e.Lines = []event.Line{{Quantity: 1}, {Quantity: 1}} },
	} {
		other := e
		spoil(&other)
		err := handle(t.Context(), db, tickets.Consumer{}, delivered(t, other))
		if !errors.Is(err, tickets.ErrContradiction) || retry.ClassOf(err) != retry.ClassPermanent {
			t.Errorf("%s: want a permanent contradiction, got %v", name, err)
		}
	}
	if after := ofOrder(t, db, e.OrderID); !slices.Equal(after, before) {
		t.Errorf("the tickets changed: %+v", after)
	}
	if n := len(news(t, db)); n != 1 {
		t.Errorf("want 1 event, got %d", n)
	}
}

func TestWhatCannotBeReadIsRefusedForGood(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	for name, c := range map[string]struct {
		spoil func(*event.PaymentCaptured)
		want  error
	}{
		"a newer schema":         {func(e *event.PaymentCaptured) { e.Schema = 2 }, tickets.ErrUnknownEvent},
		"no lines":               {func(e *event.PaymentCaptured) { e.Lines = nil }, tickets.ErrUnknownEvent},
		"no seats":               {func(e *event.PaymentCaptured) { e.Lines[0].Quantity = 0 }, tickets.ErrUnknownEvent},
		"two billion seats":      {func(e *event.PaymentCaptured) { e.Lines[0].Quantity = 2_000_000_000 }, tickets.ErrUnknownEvent},
		"nobody's":               {func(e *event.PaymentCaptured) { e.MerchantID = uuid.Nil }, tickets.ErrUnknownEvent},
		"an order nobody placed": {func(e *event.PaymentCaptured) { e.OrderID = newID(t) }, tickets.ErrUnknownOrder},
	} {
		e := paid(t, db, 1)
		c.spoil(&e)
		err := handle(t.Context(), db, tickets.Consumer{}, delivered(t, e))
		if !errors.Is(err, c.want) || retry.ClassOf(err) != retry.ClassPermanent {
			t.Errorf("%s: want %v for good, got %v", name, c.want, err)
		}
	}
	other := delivered(t, paid(t, db, 1))
	other.Type = "order.placed"
	if err := handle(t.Context(), db, tickets.Consumer{}, other); retry.ClassOf(err) != retry.ClassPermanent {
		t.Errorf("another type: want a permanent error, got %v", err)
	}
}

// zeros is chance that always draws the same.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestACodeThatWasDrawnTwiceIsBadLuckAndNotPoison(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	unlucky := tickets.Consumer{Chance: zeros{}}
	if err := handle(t.Context(), db, unlucky, delivered(t, paid(t, db, 1))); err != nil {
		t.Fatal(err)
	}
	err := handle(t.Context(), db, unlucky, delivered(t, paid(t, db, 1)))
	if err == nil || retry.ClassOf(err) != retry.ClassTransient {
		t.Errorf("want a transient error, got %v", err)
	}
	if n := len(news(t, db)); n != 1 {
		t.Errorf("want the news of 1 order, got %d", n)
	}
}
