package world_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"payonce/internal/lab/world"
)

// charged makes a charge of 42.00 EUR with a card and returns its id.
func (s shop) charged(token string) string {
	s.t.Helper()
	got, err := s.pay(token, "charge-with-"+token)
	if err != nil || got.status != 201 {
		s.t.Fatalf("charging answered %d %s: %v", got.status, got.body, err)
	}
	return decode[world.Charge](s.t, got.body).ID
}

func (s shop) refund(charge, key string, amount int) (reply, error) {
	s.t.Helper()
	body := fmt.Sprintf(`{"charge_id":%q,"reference":"ref_1","amount_minor":%d}`, charge, amount)
	if key == "" {
		return s.send("POST", "/v1/refunds", body)
	}
	return s.send("POST", "/v1/refunds", body, "Idempotency-Key", key)
}

func (s shop) mustRefund(charge, key string, amount int) reply {
	s.t.Helper()
	got, err := s.refund(charge, key, amount)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func (s shop) refunds() []world.Refund {
	s.t.Helper()
	type page struct{ Data []world.Refund }
	return decode[page](s.t, s.must("GET", "/v1/refunds?reference=ref_1", "").body).Data
}

func (s shop) balance() int64 {
	s.t.Helper()
	type page struct{ Data []world.Balance }
	all := decode[page](s.t, s.must("GET", "/v1/balance", "").body).Data
	if len(all) != 1 {
		s.t.Fatalf("balances %+v", all)
	}
	return all[0].AmountMinor
}

func TestOneKeyTwiceIsOneRefundAndTheSecondAnswerIsTheFirstByteForByte(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	charge := s.charged("tok_ok")
	first, second := s.mustRefund(charge, "refund:ref_1", 1200), s.mustRefund(charge, "refund:ref_1", 1200)
	if first.status != 201 || first.body != second.body || second.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%d %s, then %d %s", first.status, first.body, second.status, second.body)
	}
	expect(t, s.mustRefund(charge, "refund:ref_1", 1300), 422, "idempotency_key_reused")
	if n := len(s.refunds()); n != 1 {
		t.Errorf("%d refunds", n)
	}
	if left := s.balance(); left != 3000 {
		t.Errorf("the balance is %d, not 3000", left)
	}
}

func TestTwoKeysRefundTwiceAndNoKeyRefundsEveryTime(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	charge := s.charged("tok_ok")
	for _, key := range []string{"a", "b", "", ""} {
		if got := s.mustRefund(charge, key, 1000); got.status != 201 {
			t.Errorf("key %q: %d %s", key, got.status, got.body)
		}
	}
	if left := s.balance(); left != 200 {
		t.Errorf("the balance is %d, not 200", left)
	}
}

func TestTwentyRefundsAtOnceOfHalfAChargeGiveBackTwoHalves(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	charge := s.charged("tok_ok")
	var (
		wg sync.WaitGroup
		mu sync.Mutex
		by = map[int]int{}
	)
	for i := range 20 {
		wg.Go(func() {
			got, err := s.refund(charge, fmt.Sprint("k", i), 2100)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			by[got.status]++
		})
	}
	wg.Wait()
	if by[201] != 2 || by[402] != 18 {
		t.Errorf("answers %v", by)
	}
	if left := s.balance(); left != 0 {
		t.Errorf("the balance is %d, not 0", left)
	}
}

func TestARefundOfARefusingCardIs402StaysInTheBooksAndMovesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	charge := s.charged("tok_refund_declined")
	first := s.mustRefund(charge, "k", 4200)
	expect(t, first, 402, "refund_declined")
	if second := s.mustRefund(charge, "k", 4200); second.body != first.body {
		t.Errorf("the second answer is %s", second.body)
	}
	all := s.refunds()
	if len(all) != 1 || all[0].Status != "declined" || *all[0].DeclineCode != "refund_not_possible" || s.balance() != 4200 {
		t.Errorf("%+v, balance %d", all, s.balance())
	}
}

func TestARefundWhoseAnswerIsLostIsInTheBooksAndTheNextTryGetsItsAnswer(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{Hold: 200 * time.Millisecond})
	charge := s.charged("tok_refund_timeout_after")
	got, err := s.refund(charge, "k", 4200)
	noAnswer(t, got, err)
	if n := len(s.refunds()); n != 1 {
		t.Fatalf("%d refunds after the lost answer", n)
	}
	if again := s.mustRefund(charge, "k", 4200); again.status != 201 || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%d %s", again.status, again.body)
	}
	if n := len(s.refunds()); n != 1 || s.balance() != 0 {
		t.Errorf("%d refunds, balance %d", n, s.balance())
	}
}

func TestARefundOfNoLiveChargeIs404AndItsKeyIsFree(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	expect(t, s.mustRefund("ch_unknown", "k", 1), 404, "charge_not_found")
	if got := s.mustRefund(s.charged("tok_ok"), "k", 1); got.status != 201 {
		t.Errorf("%d %s", got.status, got.body)
	}
}
