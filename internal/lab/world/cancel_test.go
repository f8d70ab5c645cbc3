package world_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"payonce/internal/lab/world"
)

func (s shop) cancel(key string) world.Cancellation {
	s.t.Helper()
	got := s.must("POST", "/v1/charges/cancel", `{"idempotency_key":"`+key+`"}`, "Idempotency-Key", "cancel:"+key)
	expect(s.t, got, http.StatusOK, "")
	return decode[world.Cancellation](s.t, got.body)
}

func TestATombstoneRefusesALateArrivalForEverAndKeepsItAsCancelled(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	if c := s.cancel("k"); c.Outcome != "cancelled" || c.Charge != nil || c.IdempotencyKey != "k" {
		t.Fatalf("cancellation %+v", c)
	}
	first, second := s.twice("tok_ok", "k")
	expect(t, first, http.StatusGone, "charge_cancelled")
	if second.status != first.status || second.body != first.body || second.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("first %d %s, then %d %s", first.status, first.body, second.status, second.body)
	}
	charges := s.ChargesByKey("k")
	if len(charges) != 1 || charges[0].Status != "cancelled" || charges[0].DeclineCode != nil {
		t.Errorf("books: %+v, want one cancelled charge", charges)
	}
	if c := s.cancel("k"); c.Outcome != "cancelled" || c.Charge == nil || c.Charge.ID != charges[0].ID {
		t.Errorf("a second cancel says %+v", c)
	}
	got, err := s.pay("tok_slow", "k")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, got, http.StatusUnprocessableEntity, "idempotency_key_reused")
}

func TestACancelThatComesTooLateSaysWhatHappenedAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for token, outcome := range map[string]string{"tok_ok": "charged", "tok_declined": "declined"} {
		first, err := s.pay(token, token)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if c := s.cancel(token); c.Outcome != outcome || c.Charge == nil || *c.Charge.IdempotencyKey != token {
				t.Errorf("%s: cancellation %+v, want %s", token, c, outcome)
			}
		}
		again, err := s.pay(token, token)
		if err != nil || again.body != first.body {
			t.Errorf("%s: the stored answer changed to %s (%v)", token, again.body, err)
		}
	}
}

func TestACancelDuringASlowChargeWinsAndTheChargeFindsTheTombstone(t *testing.T) {
	t.Parallel()
	begun := make(chan string, 10)
	s := open(t, world.Options{Slow: time.Second, OnCall: func(kind string) { begun <- kind }})
	replied := make(chan reply, 1)
	go func() {
		got, err := s.pay("tok_slow", "k")
		if err != nil {
			t.Errorf("no answer: %v", err)
		}
		replied <- got
	}()
	soon(t, begun)
	if c := s.cancel("k"); c.Outcome != "cancelled" {
		t.Fatalf("cancellation %+v", c)
	}
	expect(t, <-replied, http.StatusGone, "charge_cancelled")
	if n := succeeded(s.ChargesByKey("k")); n != 0 {
		t.Errorf("%d charges, want 0", n)
	}
}

func TestAHundredRacesBetweenChargeAndCancelAgreeEachTime(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for i := range 100 {
		key := fmt.Sprint("race-", i)
		var charged reply
		var cancelled world.Cancellation
		var both sync.WaitGroup
		both.Go(func() { charged, _ = s.pay("tok_ok", key) })
		both.Go(func() { cancelled = s.cancel(key) })
		both.Wait()
		live := succeeded(s.ChargesByKey(key))
		switch {
		case charged.status == 201 && cancelled.Outcome == "charged" && live == 1:
		case charged.status == 410 && cancelled.Outcome == "cancelled" && live == 0:
		default:
			t.Fatalf("%s: charge %d, cancel %s, live charges %d", key, charged.status, cancelled.Outcome, live)
		}
	}
}
