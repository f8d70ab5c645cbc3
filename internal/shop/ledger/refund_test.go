package ledger_test

import (
	"encoding/json"
	"errors"
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
	"payonce/once/saga"
	"payonce/once/saga/sagatest"
)

// bookedRefund is a refund of a payment whose capture of 84.00 EUR is booked.
func bookedRefund(minor int64) func(t testing.TB, db *postgres.DB) (scope, correlation uuid.UUID, data any) {
	return func(t testing.TB, db *postgres.DB) (uuid.UUID, uuid.UUID, any) {
		t.Helper()
		r := event.Refund{RefundID: newID(t), MerchantID: newID(t), PaymentID: newID(t), OrderID: newID(t), Amount: money.Of(minor, "EUR")}
		if err := handle(t.Context(), db, captured(t, r.MerchantID, r.PaymentID, money.Of(8400, "EUR"))); err != nil {
			t.Fatal(err)
		}
		return r.MerchantID, r.PaymentID, r
	}
}

func command(t testing.TB, kind string, direction saga.Direction, of uuid.UUID, step string, r event.Refund) inbox.Message {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(saga.Command{Schema: 1, Saga: of.String(), Step: step, Direction: direction, Attempt: 1, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return inbox.Message{EventID: newID(t).String(), Type: kind, Payload: payload, Scope: r.MerchantID.String(), Correlation: r.PaymentID.String()}
}

// held counts the holds of a refund that were not released.
func held(t testing.TB, db *postgres.DB, _ uuid.UUID, data json.RawMessage) (n int) {
	t.Helper()
	var r event.Refund
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	const holds = `SELECT (SELECT count(*) FROM ledger_transactions WHERE business_key = $1) - (SELECT count(*) FROM ledger_transactions WHERE business_key = $2)`
	if err := db.Get(t.Context(), &n, holds, ledger.RefundKey(ledger.KindHold, r), ledger.RefundKey(ledger.KindRelease, r)); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheHoldIsDoneOnceReleasedOnceAndRefusedWhenTheBookHoldsLess(t *testing.T) {
	t.Parallel()
	sagatest.Run(t, ledger.Refunds, devtest.Step{
		Do: event.CommandHoldRefund, Undo: event.CommandReleaseRefund,
		New: bookedRefund(8400), Refused: bookedRefund(8401), Effects: held,
	}.Sample())
}

func balances(t testing.TB, db *postgres.DB) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for _, account := range []string{ledger.ProviderClearing, ledger.Revenue, ledger.RefundsHeld} {
		sums, err := ledger.Book{DB: db}.Balance(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		all[account] = sums["EUR"]
	}
	return all
}

func TestARefundIsHeldAndThenSettledAgainstTheProvider(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	_, _, data := bookedRefund(3000)(t, db)
	r, of := data.(event.Refund), newID(t)
	if err := handle(t.Context(), db, command(t, event.CommandHoldRefund, saga.Do, of, "hold", r)); err != nil {
		t.Fatal(err)
	}
	if got := balances(t, db); got[ledger.ProviderClearing] != 8400 || got[ledger.Revenue] != -5400 || got[ledger.RefundsHeld] != -3000 {
		t.Errorf("held: %v", got)
	}
	for range 2 {
		if err := handle(t.Context(), db, command(t, event.CommandSettleRefund, saga.Do, of, "settle", r)); err != nil {
			t.Fatal(err)
		}
	}
	if got := balances(t, db); got[ledger.ProviderClearing] != 5400 || got[ledger.Revenue] != -5400 || got[ledger.RefundsHeld] != 0 {
		t.Errorf("settled: %v", got)
	}
}

func TestASettlementWithoutAHoldIsRefusedAndPostsNothing(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	_, _, data := bookedRefund(3000)(t, db)
	if err := handle(t.Context(), db, command(t, event.CommandSettleRefund, saga.Do, newID(t), "settle", data.(event.Refund))); err != nil {
		t.Fatal(err)
	}
	var reply string
	if err := db.Get(t.Context(), &reply, `SELECT type FROM outbox_events`); err != nil || reply != "ledger.settle_refund.failed" {
		t.Errorf("%s, %v", reply, err)
	}
	if got := balances(t, db); got[ledger.ProviderClearing] != 8400 {
		t.Errorf("settled: %v", got)
	}
}

func TestAHoldBeforeItsCaptureIsBookedIsTransient(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	r := event.Refund{RefundID: newID(t), MerchantID: newID(t), PaymentID: newID(t), Amount: money.Of(1, "EUR")}
	err := handle(t.Context(), db, command(t, event.CommandHoldRefund, saga.Do, newID(t), "hold", r))
	if retry.ClassOf(err) != retry.ClassTransient || err == nil {
		t.Errorf("got %v", err)
	}
}

func TestACaptureAndACommandInOneBatchAreBothApplied(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	r := event.Refund{RefundID: newID(t), MerchantID: newID(t), PaymentID: newID(t), Amount: money.Of(8400, "EUR")}
	if err := handle(t.Context(), db, command(t, event.CommandHoldRefund, saga.Do, newID(t), "hold", r), captured(t, r.MerchantID, r.PaymentID, r.Amount)); err != nil {
		t.Fatal(err)
	}
	if got := balances(t, db); got[ledger.RefundsHeld] != -8400 {
		t.Errorf("%v", got)
	}
}

func TestTwentyHoldsOfHalfAPaymentAtOnceAreTwo(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	_, _, data := bookedRefund(4200)(t, db)
	var wg sync.WaitGroup
	for range 20 {
		r := data.(event.Refund)
		r.RefundID = newID(t)
		m := command(t, event.CommandHoldRefund, saga.Do, newID(t), "hold", r)
		wg.Go(func() {
			if err := handle(t.Context(), db, m); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := balances(t, db); got[ledger.RefundsHeld] != -8400 || got[ledger.Revenue] != 0 {
		t.Errorf("held: %v", got)
	}
}

// The race of the test above, in slow motion: the second hold looks at what is
// left while the first is not committed yet.
func TestAHoldWaitsForAnotherOfItsPaymentThatIsNotCommittedYet(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	_, _, data := bookedRefund(8400)(t, db)
	hold := func() inbox.Message {
		r := data.(event.Refund)
		r.RefundID = newID(t)
		return command(t, event.CommandHoldRefund, saga.Do, newID(t), "hold", r)
	}
	first, second := hold(), hold()
	ended := make(chan error, 1)
	err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		if err := (ledger.Consumer{}).Handle(t.Context(), tx, []inbox.Message{first}); err != nil {
			return err
		}
		go func() { ended <- handle(t.Context(), db, second) }()
		waitsOrEnded(t, db, ended)
		return nil
	})
	if err := errors.Join(err, <-ended); err != nil {
		t.Fatal(err)
	}
	if got := balances(t, db); got[ledger.RefundsHeld] != -8400 || got[ledger.Revenue] != 0 {
		t.Errorf("held: %v", got)
	}
}

// waitsOrEnded returns when somebody waits for a lock, or has not waited at all.
func waitsOrEnded(t *testing.T, db *postgres.DB, ended chan error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		var waiting int
		if err := db.Get(t.Context(), &waiting, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`); err != nil {
			t.Error(err)
			return
		}
		if waiting > 0 || len(ended) > 0 {
			return
		}
	}
	t.Error("the second hold neither waits nor ends")
}
