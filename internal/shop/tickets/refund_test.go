package tickets_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/tickets"
	"payonce/once/inbox"
	"payonce/once/retry"
	"payonce/once/saga"
	"payonce/once/saga/sagatest"
)

// refundOf is a refund of an order with two issued tickets.
func refundOf(t testing.TB, db *postgres.DB) event.Refund {
	t.Helper()
	e := paid(t, db, 2)
	if err := handle(t.Context(), db, tickets.Consumer{}, delivered(t, e)); err != nil {
		t.Fatal(err)
	}
	return event.Refund{RefundID: newID(t), MerchantID: e.MerchantID, PaymentID: e.PaymentID, OrderID: e.OrderID, Amount: e.Amount}
}

func someRefund(t testing.TB, db *postgres.DB) (scope, correlation uuid.UUID, data any) {
	r := refundOf(t, db)
	return r.MerchantID, r.PaymentID, r
}

func usedRefund(t testing.TB, db *postgres.DB) (scope, correlation uuid.UUID, data any) {
	t.Helper()
	r := refundOf(t, db)
	if _, err := (tickets.Door{DB: db}).CheckIn(t.Context(), r.MerchantID, ofOrder(t, db, r.OrderID)[1].ID); err != nil {
		t.Fatal(err)
	}
	return r.MerchantID, r.PaymentID, r
}

// voided is 1 when all of an order's tickets are void, and 0 when none is.
func voided(t testing.TB, db *postgres.DB, _ uuid.UUID, data json.RawMessage) (n int) {
	t.Helper()
	var r event.Refund
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	all := ofOrder(t, db, r.OrderID)
	for _, one := range all {
		if one.Status == tickets.Void {
			n++
		}
	}
	if n != 0 && n != len(all) {
		t.Errorf("%d of %d tickets are void", n, len(all))
	}
	return n / len(all)
}

func TestTicketsAreVoidedOnceReinstatedOnceAndAUsedOneRefusesForAll(t *testing.T) {
	t.Parallel()
	sagatest.Run(t, tickets.Refunds, devtest.Step{
		Do: event.CommandVoidTickets, Undo: event.CommandReinstateTickets,
		New: someRefund, Refused: usedRefund, Effects: voided,
	}.Sample())
}

func voidCommand(t testing.TB, r event.Refund) inbox.Message {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(saga.Command{Schema: 1, Saga: newID(t).String(), Step: "void", Direction: saga.Do, Attempt: 1, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return inbox.Message{EventID: newID(t).String(), Type: event.CommandVoidTickets, Payload: payload, Scope: r.MerchantID.String(), Correlation: r.PaymentID.String()}
}

func TestAVoidBeforeTheTicketsAreIssuedIsTransient(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	err := handle(t.Context(), db, tickets.Consumer{}, voidCommand(t, event.Refund{RefundID: newID(t), OrderID: newID(t)}))
	if err == nil || retry.ClassOf(err) != retry.ClassTransient {
		t.Errorf("got %v", err)
	}
}

func TestTwentyCheckInsOfOneTicketLetOnePersonIn(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	r := refundOf(t, db)
	ticket := ofOrder(t, db, r.OrderID)[0].ID
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		in, used int
	)
	for range 20 {
		wg.Go(func() {
			_, err := tickets.Door{DB: db}.CheckIn(context.Background(), r.MerchantID, ticket)
			var before *tickets.UsedError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				in++
			case errors.As(err, &before) && !before.At.IsZero():
				used++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in != 1 || used != 19 {
		t.Errorf("%d came in, %d were refused", in, used)
	}
}

func TestAVoidTicketAnUnknownOneAndSomebodyElsesLetNobodyIn(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	r := refundOf(t, db)
	ticket := ofOrder(t, db, r.OrderID)[0].ID
	door := tickets.Door{DB: db}
	if _, err := door.CheckIn(t.Context(), newID(t), ticket); !errors.Is(err, tickets.ErrNotFound) {
		t.Errorf("somebody else's: %v", err)
	}
	if _, err := door.CheckIn(t.Context(), r.MerchantID, newID(t)); !errors.Is(err, tickets.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
	if err := handle(t.Context(), db, tickets.Consumer{}, voidCommand(t, r)); err != nil {
		t.Fatal(err)
	}
	if _, err := door.CheckIn(t.Context(), r.MerchantID, ticket); !errors.Is(err, tickets.ErrVoid) {
		t.Errorf("void: %v", err)
	}
}
