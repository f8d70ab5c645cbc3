package world_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"payonce/internal/lab/world"
)

func TestAChargeAnswers201WithEveryFieldAndTheSameRowIsListed(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	got := s.must("POST", "/v1/charges", oneCharge, "Idempotency-Key", "k1", "Authorization", "Bearer sk_any")
	expect(t, got, http.StatusCreated, "")
	if got.header.Get("Idempotent-Replayed") != "false" {
		t.Errorf("Idempotent-Replayed is %q on a first answer", got.header.Get("Idempotent-Replayed"))
	}
	charge := decode[world.Charge](t, got.body)
	if charge.Reference != "pay_1" || charge.IdempotencyKey == nil || *charge.IdempotencyKey != "k1" ||
		charge.AmountMinor != 4200 || charge.Currency != "EUR" || charge.Status != "succeeded" || charge.DeclineCode != nil {
		t.Errorf("charge is %s", got.body)
	}
	if at, err := time.Parse("2006-01-02T15:04:05.000Z", charge.CreatedAt); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("created_at is %q: %v", charge.CreatedAt, err)
	}
	if one := s.must("GET", "/v1/charges/"+charge.ID, ""); one.status != 200 || one.body != got.body {
		t.Errorf("by id: %d %s, want %s", one.status, one.body, got.body)
	}
	listed := s.ChargesByReference("pay_1")
	if len(listed) != 1 || listed[0].ID != charge.ID || listed[0].CreatedAt != charge.CreatedAt {
		t.Errorf("listed: %+v", listed)
	}
}

func TestTwoKeysChargeTwiceAndNoKeyChargesEveryTime(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for _, key := range []string{"k1", "k2", "", ""} {
		got, err := s.pay("tok_ok", key)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, got, http.StatusCreated, "")
		if _, marked := got.header["Idempotent-Replayed"]; marked != (key != "") {
			t.Errorf("key %q: Idempotent-Replayed present: %v", key, marked)
		}
	}
	if n := succeeded(s.ChargesByReference("pay_1")); n != 4 {
		t.Errorf("%d charges, want 4: the world must charge whoever asks", n)
	}
}

func TestOneKeyTwiceIsOneChargeAndTheSecondAnswerIsTheFirstByteForByte(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for _, token := range []string{"tok_ok", "tok_declined"} {
		first, second := s.twice(token, "key-"+token)
		if first.status != second.status || first.body != second.body {
			t.Errorf("%s: first %d %s, then %d %s", token, first.status, first.body, second.status, second.body)
		}
		if second.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: the replay is not marked", token)
		}
		if n := len(s.ChargesByKey("key-" + token)); n != 1 {
			t.Errorf("%s: %d charges, want 1", token, n)
		}
	}
}

func (s shop) twice(token, key string) (first, second reply) {
	s.t.Helper()
	var err error
	if first, err = s.pay(token, key); err != nil {
		s.t.Fatal(err)
	}
	if second, err = s.pay(token, key); err != nil {
		s.t.Fatal(err)
	}
	return first, second
}

func TestWhitespaceAndMemberOrderDoNotMakeAnotherRequest(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	s.must("POST", "/v1/charges", oneCharge, "Idempotency-Key", "k")
	again := s.must("POST", "/v1/charges",
		`{ "token":"tok_ok", "currency":"EUR", "amount_minor":4200, "reference":"pay_1" }`, "Idempotency-Key", "k")
	expect(t, again, http.StatusCreated, "")
	if again.header.Get("Idempotent-Replayed") != "true" {
		t.Error("the same request in another spelling was not replayed")
	}
}

func TestAKeyWithAnotherBodyIs422WhicheverFieldDiffers(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	s.must("POST", "/v1/charges", oneCharge, "Idempotency-Key", "k")
	for _, other := range []string{
		strings.Replace(oneCharge, "pay_1", "pay_2", 1), strings.Replace(oneCharge, "4200", "4201", 1),
		strings.Replace(oneCharge, "EUR", "USD", 1), with("tok_declined"), with("tok_slow"), with("tok_nobody"),
	} {
		expect(t, s.must("POST", "/v1/charges", other, "Idempotency-Key", "k"),
			http.StatusUnprocessableEntity, "idempotency_key_reused")
	}
	if n := len(s.ChargesByKey("k")); n != 1 {
		t.Errorf("%d charges, want 1", n)
	}
}

func TestADeclineIs402AndStaysInTheBooksAsDeclined(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	got, err := s.pay("tok_declined", "k")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, got, http.StatusPaymentRequired, "card_declined")
	body := decode[struct {
		Error struct {
			DeclineCode string `json:"decline_code"`
		}
		Charge world.Charge
	}](t, got.body)
	listed := s.ChargesByReference("pay_1")
	if body.Error.DeclineCode != "insufficient_funds" || len(listed) != 1 || listed[0].ID != body.Charge.ID ||
		listed[0].Status != "declined" || *listed[0].DeclineCode != "insufficient_funds" {
		t.Errorf("answer %s, books %+v", got.body, listed)
	}
}

func TestAnUnknownTokenIs402LeavesNoChargeAndItsKeyIsFree(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for _, token := range []string{"tok_nobody", "", "tok_OK", "tok_ok "} {
		got, err := s.pay(token, "k")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, got, http.StatusPaymentRequired, "invalid_token")
	}
	if n := len(s.ChargesByReference("pay_1")); n != 0 {
		t.Errorf("%d charges, want 0", n)
	}
	got, err := s.pay("tok_ok", "k")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, got, http.StatusCreated, "")
}

func TestFiftyAtOnceWithOneKeyAreOneChargeAndEveryAnswerIs201WithItsBytesOr409(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	replies := s.crowd(50, func(int) string { return "k" }, "tok_ok")
	var first string
	for _, got := range replies {
		switch {
		case got.status == http.StatusConflict:
			expect(t, got, http.StatusConflict, "idempotency_key_in_progress")
		case first == "":
			first = got.body
		case got.body != first:
			t.Errorf("two different answers:\n%s%s", first, got.body)
		}
	}
	if n := len(s.ChargesByReference("pay_1")); n != 1 || first == "" {
		t.Errorf("%d charges, want 1; answer %q", n, first)
	}
}

func TestFiftyAtOnceWithFiftyKeysAreFiftyCharges(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for _, got := range s.crowd(50, func(i int) string { return fmt.Sprint("k", i) }, "tok_ok") {
		expect(t, got, http.StatusCreated, "")
	}
	if n := succeeded(s.ChargesByReference("pay_1")); n != 50 {
		t.Errorf("%d charges, want 50", n)
	}
}

func (s shop) crowd(n int, key func(int) string, token string) []reply {
	s.t.Helper()
	replies := make([]reply, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			got, err := s.pay(token, key(i))
			if err != nil {
				s.t.Errorf("request %d: %v", i, err)
			}
			replies[i] = got
		})
	}
	all.Wait()
	return replies
}

func TestATwinOfARunningKeyIs409AndAnotherBodyMeanwhileIs422(t *testing.T) {
	t.Parallel()
	begun := make(chan string, 10)
	s := open(t, world.Options{Slow: 3 * time.Second, OnCall: func(kind string) { begun <- kind }})
	replies := make(chan reply, 2)
	for range 2 {
		go func() {
			got, err := s.pay("tok_slow", "k")
			if err != nil {
				t.Errorf("no answer: %v", err)
			}
			replies <- got
		}()
	}
	soon(t, begun)
	soon(t, begun)
	twin := <-replies // the refusal comes at once, the charge after three seconds
	expect(t, twin, http.StatusConflict, "idempotency_key_in_progress")
	if twin.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", twin.header.Get("Retry-After"))
	}
	other, err := s.pay("tok_ok", "k")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, other, http.StatusUnprocessableEntity, "idempotency_key_reused")
	expect(t, <-replies, http.StatusCreated, "")
	if n := len(s.ChargesByKey("k")); n != 1 {
		t.Errorf("%d charges, want 1", n)
	}
}

func TestTheStoredAnswerAndTheRowAgreeOnTheTimeToTheMillisecond(t *testing.T) {
	t.Parallel()
	// Postgres would round this up to the next second.
	late := time.Date(2026, 11, 23, 20, 0, 0, 999_999_900, time.UTC)
	s := open(t, world.Options{Now: func() time.Time { return late }})
	got, err := s.pay("tok_ok", "k")
	if err != nil {
		t.Fatal(err)
	}
	charge := decode[world.Charge](t, got.body)
	if listed := s.ChargesByKey("k"); charge.CreatedAt != "2026-11-23T20:00:00.999Z" || listed[0].CreatedAt != charge.CreatedAt {
		t.Errorf("answered %s, listed %s", charge.CreatedAt, listed[0].CreatedAt)
	}
}
