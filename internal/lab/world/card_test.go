package world_test

import (
	"net/http"
	"testing"
	"time"

	"payonce/internal/lab/world"
)

// impatient is a shop with a short deadline, so that a lost answer is lost
// soon.
func impatient(t *testing.T, options world.Options) shop {
	return open(t, options).waiting(300 * time.Millisecond)
}

// patient gives the deadline back.
func (s shop) patient() shop {
	return s.waiting(20 * time.Second)
}

func TestTokSlowIsChargedAfterItsTimeAndAlsoWhenTheCallerHasLeft(t *testing.T) {
	t.Parallel()
	s := impatient(t, world.Options{Slow: 700 * time.Millisecond})
	begun := time.Now()
	got, err := s.patient().pay("tok_slow", "patient")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, got, http.StatusCreated, "")
	if took := time.Since(begun); took < 700*time.Millisecond {
		t.Errorf("took %s, want at least 700ms", took)
	}
	got, err = s.pay("tok_slow", "left")
	noAnswer(t, got, err)
	eventually(t, "the charge of a caller who left", func() bool { return succeeded(s.ChargesByKey("left")) == 1 })
}

func TestTokTimeoutBeforeChargesNothingAndTheNextTryWorks(t *testing.T) {
	t.Parallel()
	s := impatient(t, world.Options{})
	got, err := s.pay("tok_timeout_before", "k")
	noAnswer(t, got, err)
	if n := len(s.ChargesByReference("pay_1")); n != 0 {
		t.Fatalf("%d charges, want 0", n)
	}
	got, err = s.patient().pay("tok_timeout_before", "k")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, got, http.StatusCreated, "")
	if got.header.Get("Idempotent-Replayed") != "false" || len(s.ChargesByKey("k")) != 1 {
		t.Errorf("replayed %q, charges %+v", got.header.Get("Idempotent-Replayed"), s.ChargesByKey("k"))
	}
}

func TestTokTimeoutAfterChargesOnceAndTheNextTryGetsTheLostAnswer(t *testing.T) {
	t.Parallel()
	s := impatient(t, world.Options{})
	got, err := s.pay("tok_timeout_after", "k")
	noAnswer(t, got, err)
	charged := s.ChargesByKey("k")
	if succeeded(charged) != 1 {
		t.Fatalf("charges after the lost answer: %+v, want one", charged)
	}
	got, err = s.patient().pay("tok_timeout_after", "k")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, got, http.StatusCreated, "")
	if decode[world.Charge](t, got.body).ID != charged[0].ID || got.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("second try: %s", got.body)
	}
	if n := len(s.ChargesByReference("pay_1")); n != 1 {
		t.Errorf("%d charges, want 1", n)
	}
}

func TestTokTimeoutAfterWithoutAKeyChargesTheRetryAgain(t *testing.T) {
	t.Parallel()
	s := impatient(t, world.Options{})
	got, err := s.pay("tok_timeout_after", "")
	noAnswer(t, got, err)
	got, err = s.patient().pay("tok_timeout_after", "")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, got, http.StatusCreated, "")
	if n := succeeded(s.ChargesByReference("pay_1")); n != 2 {
		t.Errorf("%d charges, want 2: without a key nobody protects the caller", n)
	}
}

func TestAHeldConnectionIsCutAfterTheHoldForACallerWhoWaits(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{Hold: 200 * time.Millisecond})
	begun := time.Now()
	got, err := s.pay("tok_timeout_after", "k")
	noAnswer(t, got, err)
	if took := time.Since(begun); took < 200*time.Millisecond || took > 10*time.Second {
		t.Errorf("cut after %s, want 200ms", took)
	}
}

func TestATryThatFailsWith500Or429ChargesNothingAndTheNextTryWorks(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for token, want := range map[string]struct {
		status int
		code   string
	}{
		"tok_500_then_ok": {http.StatusInternalServerError, "provider_error"},
		"tok_429_then_ok": {http.StatusTooManyRequests, "rate_limited"},
	} {
		for _, key := range []string{"a-" + token, "b-" + token} { // each key has its own first try
			first, second := s.twice(token, key)
			expect(t, first, want.status, want.code)
			if want.status == 429 && first.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After is %q", first.header.Get("Retry-After"))
			}
			expect(t, second, http.StatusCreated, "")
			if n := len(s.ChargesByKey(key)); n != 1 {
				t.Errorf("%s: %d charges, want 1", key, n)
			}
		}
	}
}

func TestTok500AlwaysNeverCharges(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for range 5 {
		got, err := s.pay("tok_500_always", "k")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, got, http.StatusInternalServerError, "provider_error")
	}
	if n := len(s.ChargesByReference("pay_1")); n != 0 {
		t.Errorf("%d charges, want 0", n)
	}
}

// eventually polls a condition until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 15 s: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}
