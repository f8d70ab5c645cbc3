package checkout_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once/idempotency"
)

// together calls f n times at once.
func together(n int, f func(i int)) {
	var start, end sync.WaitGroup
	start.Add(1)
	for i := range n {
		end.Go(func() {
			start.Wait()
			f(i)
		})
	}
	start.Done()
	end.Wait()
}

func TestFiftyCapturesOneKeyOneCharge(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		results := make([]checkout.Result, 50)
		errs := make([]error, 50)
		together(50, func(i int) { results[i], errs[i] = s.capture(payment, "K", "tok_ok") })
		replayed := 0
		for i, r := range results {
			require.NoError(t, errs[i])
			require.Equal(t, 200, r.Answer.Status)
			require.Equal(t, string(results[0].Answer.Body), string(r.Answer.Body), "every body is the same, byte for byte")
			if r.Replayed {
				replayed++
			}
		}
		require.Equal(t, 49, replayed)
		require.Equal(t, 1, s.charges(payment, "succeeded"))
		require.Equal(t, 1, s.events(payment, "payment.captured"))
		require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts WHERE payment_id = $1`, payment))
	})
}

func TestFiftyCapturesFiftyKeysOneCharge(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		results := make([]checkout.Result, 50)
		errs := make([]error, 50)
		together(50, func(i int) { results[i], errs[i] = s.capture(payment, uuid.NewString(), "tok_ok") })
		matched := 0
		for i, r := range results {
			require.NoError(t, errs[i])
			require.Equal(t, 200, r.Answer.Status)
			if r.Answer.Matched == "business-key" {
				matched++
			}
		}
		require.Equal(t, 49, matched)
		require.Equal(t, 1, s.charges(payment, "succeeded"))
		require.Equal(t, 1, s.events(payment, "payment.captured"))
	})
}

func TestTwoProcessesOneKeyOneCharge(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		one := open(t, form)
		payment := one.payment()
		// Another Service shares nothing with the first but the database.
		two := openIn(t, one.db, one.world, form)
		two.merchant = one.merchant
		both := []*shop{one, two}
		errs := make([]error, 20)
		together(20, func(i int) { _, errs[i] = both[i%2].capture(payment, "K", "tok_slow") })
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.Equal(t, 1, one.charges(payment, "succeeded"))
	})
}

func TestOneKeySentToTwoPaymentsAtOnceLeavesOneUntouched(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		for range 3 {
			payments := [2]uuid.UUID{s.payment(), s.payment()}
			key := uuid.NewString()
			var errs [2]error
			s.bothAtTheClaim(payments, func(i int) { _, errs[i] = s.capture(payments[i], key, "tok_ok") })
			winner := 0
			if errs[0] != nil {
				winner = 1
			}
			require.NoError(t, errs[winner])
			var mismatch *idempotency.MismatchError
			require.ErrorAs(t, errs[1-winner], &mismatch)
			require.Equal(t, []string{"/id"}, mismatch.Pointers)
			require.Equal(t, checkout.Captured, s.state(payments[winner]))
			require.Equal(t, checkout.RequiresCapture, s.state(payments[1-winner]), "the loser is untouched")
			require.Equal(t, 0, s.charges(payments[1-winner], "succeeded"))
			require.Equal(t, 0, s.count(`SELECT count(*) FROM payment_attempts WHERE payment_id = $1`, payments[1-winner]))
		}
	})
}

// bothAtTheClaim lets two captures go on together from the point where each has
// looked up its key, found nothing, and is about to claim its payment.
func (s *shop) bothAtTheClaim(payments [2]uuid.UUID, capture func(i int)) {
	s.t.Helper()
	done := make(chan struct{})
	require.NoError(s.t, postgres.InTx(context.Background(), s.db, func(tx postgres.Tx) error {
		if _, err := tx.Exec(context.Background(), `SELECT 1 FROM payments WHERE id IN ($1, $2) FOR UPDATE`, payments[0], payments[1]); err != nil {
			return err
		}
		go func() { together(2, capture); close(done) }()
		require.Eventually(s.t, func() bool {
			return s.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 2
		}, 10*time.Second, time.Millisecond)
		return nil
	}))
	<-done
}

func TestSameKeySameRequestGetsTheStoredBytes(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		first, err := s.capture(payment, "K", "tok_ok")
		require.NoError(t, err)
		require.False(t, first.Replayed)
		require.Equal(t, checkout.Executed, first.Fate)
		again, err := s.capture(payment, "K", "tok_ok")
		require.NoError(t, err)
		require.True(t, again.Replayed)
		require.Equal(t, checkout.Replayed, again.Fate)
		require.Equal(t, string(first.Answer.Body), string(again.Answer.Body))
	})
}

func TestSameKeyOtherRequestIsRefusedAndNamesTheField(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	_, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	other := s.captureOf(payment, "K", "tok_declined")
	_, err = s.Capture(t.Context(), other)
	var mismatch *idempotency.MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, []string{"/card_token"}, mismatch.Pointers)
}

func TestSameKeyStillRunningPastTheWaitIsInProgress(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	started, release := s.hold(realCharge)
	first := make(chan error, 1)
	go func() { _, err := s.capture(payment, "K", "tok_ok"); first <- err }()
	<-started
	impatient := s.captureOf(payment, "K", "tok_ok")
	impatient.Wait = 50 * time.Millisecond
	_, err := s.Capture(t.Context(), impatient)
	require.ErrorIs(t, err, idempotency.ErrInProgress)
	release()
	require.NoError(t, <-first)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestAnotherKeyAfterTheCaptureMatchesTheBusinessKey(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		_, err := s.capture(payment, "K1", "tok_ok")
		require.NoError(t, err)
		second, err := s.capture(payment, "K2", "tok_ok")
		require.NoError(t, err)
		require.Equal(t, checkout.Matched, second.Fate)
		require.Equal(t, "business-key", second.Answer.Matched)
		again, err := s.capture(payment, "K2", "tok_ok")
		require.NoError(t, err)
		require.True(t, again.Replayed, "the matched answer is stored under its own key")
		require.Equal(t, "business-key", again.Answer.Matched)
		require.Equal(t, 1, s.charges(payment, "succeeded"))
	})
}

func TestAnotherAmountIsRefusedBeforeAnyCallWhateverTheState(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	wrong := s.captureOf(payment, "K1", "tok_ok")
	wrong.Amount = money.Of(8401, "EUR")
	res, err := s.Capture(t.Context(), wrong)
	require.NoError(t, err)
	require.Equal(t, 422, res.Answer.Status)
	require.Empty(t, s.world.ChargesByReference(checkout.PaymentRef(payment)))
	require.Equal(t, checkout.RequiresCapture, s.state(payment))
	again, err := s.Capture(t.Context(), wrong)
	require.NoError(t, err)
	require.True(t, again.Replayed, "the refusal is stored")

	_, err = s.capture(payment, "K2", "tok_ok")
	require.NoError(t, err)
	wrong.Key = "K3"
	res, err = s.Capture(t.Context(), wrong)
	require.NoError(t, err)
	require.Equal(t, 422, res.Answer.Status, "also after the capture")
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestARefundedPaymentIsAlreadyCaptured(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	_, err := s.capture(payment, "K1", "tok_ok")
	require.NoError(t, err)
	s.exec(`UPDATE payments SET status = 'partially_refunded', refunded_minor = 100 WHERE id = $1`, payment)
	res, err := s.capture(payment, "K2", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 409, res.Answer.Status)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestAnotherKeyDuringTheRunGetsThatRunsOutcomeCapturedOrDeclined(t *testing.T) {
	t.Parallel()
	for token, status := range map[string]int{"tok_ok": 200, "tok_declined": 402} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			payment := s.payment()
			started, release := s.hold(realCharge)
			first, second := make(chan checkout.Result, 1), make(chan checkout.Result, 1)
			go func() { r, _ := s.capture(payment, "K1", token); first <- r }()
			<-started
			go func() { r, _ := s.capture(payment, "K2", token); second <- r }()
			require.Eventually(t, func() bool { return s.Waiting(payment) == 1 }, 10*time.Second, time.Millisecond)
			// The second has no row while it waits.
			require.Equal(t, 1, s.count(`SELECT count(*) FROM idempotency_keys WHERE subject_id = $1 OR key IN ('K1','K2')`, payment))
			release()
			one, two := <-first, <-second
			require.Equal(t, status, one.Answer.Status)
			require.Equal(t, status, two.Answer.Status)
			require.Equal(t, "business-key", two.Answer.Matched)
			require.Equal(t, 1, s.count(`SELECT count(*) FROM payment_attempts WHERE payment_id = $1`, payment), "waiting opens no attempt")
		})
	}
}

func TestADeclineIsStoredAndANewKeyOpensTheNextAttempt(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		declined, err := s.capture(payment, "K1", "tok_declined")
		require.NoError(t, err)
		require.Equal(t, 402, declined.Answer.Status)
		again, err := s.capture(payment, "K1", "tok_declined")
		require.NoError(t, err)
		require.True(t, again.Replayed)
		require.Equal(t, string(declined.Answer.Body), string(again.Answer.Body))

		paid, err := s.capture(payment, "K2", "tok_ok")
		require.NoError(t, err)
		require.Equal(t, 200, paid.Answer.Status)
		require.Equal(t, "2", field(t, paid, "attempt"))
		require.Equal(t, 1, s.charges(payment, "succeeded"))
		require.Equal(t, 1, s.charges(payment, "declined"))
		require.Equal(t, 1, s.events(payment, "payment.declined"))
		require.Equal(t, 1, s.events(payment, "payment.captured"))
	})
}

func TestAKeyPastItsTTLRunsAsNewAndTheBusinessKeyStillConverges(t *testing.T) {
	t.Parallel()
	s := open(t)
	payment := s.payment()
	_, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	s.expire()
	late, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, late.Answer.Status)
	require.Equal(t, "business-key", late.Answer.Matched)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestKeysOfTwoMerchantsNeverCollideAndNeverLeak(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		a := open(t, form)
		b := openIn(t, a.db, a.world, form)
		mine, theirs := a.payment(), b.payment()
		one, err := a.capture(mine, "K", "tok_ok")
		require.NoError(t, err)
		// Where their keys do collide, B would look for a row that it cannot see until it gives up.
		ctx, giveUp := context.WithTimeout(t.Context(), 20*time.Second)
		defer giveUp()
		other, err := b.Capture(ctx, b.captureOf(theirs, "K", "tok_ok"))
		require.NoError(t, err)
		require.False(t, other.Replayed)
		require.NotEqual(t, string(one.Answer.Body), string(other.Answer.Body))
		_, err = b.capture(mine, "K2", "tok_ok")
		require.ErrorIs(t, err, checkout.ErrNotFound)
	})
}

func TestAClientThatHangsUpDoesNotCancelWhatWasCharged(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		payment := s.payment()
		ctx, hangUp := context.WithCancel(context.Background())
		s.Provider = charging{Charger: s.Provider, charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
			hangUp()
			return real.Charge(ctx, r)
		}}
		_, err := s.Capture(ctx, s.captureOf(payment, "K", "tok_ok"))
		require.NoError(t, err)
		require.Equal(t, checkout.Captured, s.state(payment))
	})
}

func TestTheCardTokenIsErasedWithTheOutcome(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		s := open(t, form)
		for _, token := range []string{"tok_ok", "tok_declined"} {
			_, err := s.capture(s.payment(), uuid.NewString(), token)
			require.NoError(t, err)
		}
		require.Equal(t, 0, s.count(`SELECT count(*) FROM payment_attempts WHERE card_token IS NOT NULL`))
	})
}

func TestNoOrderIsPlacedTwiceForOneKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	place := checkout.PlaceOrder{Merchant: s.merchant, Key: "K-order", Email: "ada@example.org", Items: []checkout.OrderItem{{SKU: "concert-a", Quantity: 2}}}
	bodies := make([]string, 16)
	together(16, func(i int) {
		r, err := s.PlaceOrder(context.Background(), place)
		for errors.Is(err, idempotency.ErrInProgress) { // a busy machine: ask again, as a client does
			r, err = s.PlaceOrder(context.Background(), place)
		}
		if err == nil {
			bodies[i] = string(r.Answer.Body)
		}
	})
	for _, b := range bodies {
		require.Equal(t, bodies[0], b)
	}
	require.NotEmpty(t, bodies[0])
	require.Equal(t, 1, s.count(`SELECT count(*) FROM orders`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM payments`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox_events WHERE type = 'order.placed'`))

	// After the key's lifetime the order is still found by its request key.
	s.exec(`DELETE FROM idempotency_keys`)
	r, err := s.PlaceOrder(t.Context(), place)
	require.NoError(t, err)
	require.Equal(t, bodies[0], string(r.Answer.Body))
	place.Email = "eve@example.org"
	s.exec(`DELETE FROM idempotency_keys`)
	_, err = s.PlaceOrder(t.Context(), place)
	var mismatch *idempotency.MismatchError
	require.ErrorAs(t, err, &mismatch)
}
