package world_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"payonce/internal/lab/world"
)

func TestDuringAnOutageEveryProviderCallIs503AndNothingIsCharged(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	s.Behave(world.Behaviour{Outage: "unavailable"})
	for _, call := range [][3]string{
		{"POST", "/v1/charges", oneCharge}, {"POST", "/v1/charges/cancel", `{"idempotency_key":"k"}`},
		{"GET", "/v1/charges?reference=pay_1", ""}, {"GET", "/v1/charges/ch_1", ""}, {"GET", "/v1/balance", ""},
	} {
		got := s.must(call[0], call[1], call[2], "Idempotency-Key", "k")
		expect(t, got, http.StatusServiceUnavailable, "provider_unavailable")
		if got.header.Get("Retry-After") == "" {
			t.Errorf("%s %s: no Retry-After", call[0], call[1])
		}
	}
	s.Behave(world.Behaviour{})
	if n := len(s.ChargesByReference("pay_1")); n != 0 {
		t.Errorf("%d charges, want 0", n)
	}
	got, err := s.pay("tok_ok", "k")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, got, http.StatusCreated, "")
}

func TestAResetOrHangingOutageGivesNoAnswerAndChargesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{Hold: 100 * time.Millisecond})
	for _, outage := range []string{"reset", "hang"} {
		s.Behave(world.Behaviour{Outage: outage})
		got, err := s.pay("tok_ok", "k")
		noAnswer(t, got, err)
	}
	s.Behave(world.Behaviour{})
	if n := len(s.ChargesByReference("pay_1")); n != 0 {
		t.Errorf("%d charges, want 0", n)
	}
}

func TestLatencyDelaysACallAndAMoodEndsByItself(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	s := open(t, world.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	s.Behave(world.Behaviour{LatencyMS: 300, ForMS: 60_000})
	begun := time.Now()
	if _, err := s.pay("tok_ok", "slow"); err != nil || time.Since(begun) < 300*time.Millisecond {
		t.Errorf("took %s (%v), want at least 300ms", time.Since(begun), err)
	}
	ahead.Store(int64(time.Minute))
	got := decode[world.Behaviour](t, s.must("GET", "/v1/behaviour", "").body)
	if got != (world.Behaviour{Outage: "none", Charges: "none", MailOutage: "none", Webhooks: "none"}) {
		t.Errorf("after its minute the mood is %+v", got)
	}
}

func TestTheHookHearsEveryCallByItsKindWhileTheCallerWaits(t *testing.T) {
	t.Parallel()
	heard, proceed := make(chan string), make(chan bool)
	s := open(t, world.Options{OnCall: func(kind string) { heard <- kind; <-proceed }})
	for _, call := range [][4]string{
		{"charge", "POST", "/v1/charges", oneCharge}, {"cancel", "POST", "/v1/charges/cancel", `{"idempotency_key":"k"}`},
		{"charges", "GET", "/v1/charges?limit=1", ""}, {"charges", "GET", "/v1/charges/ch_1", ""}, {"balance", "GET", "/v1/balance", ""},
	} {
		answered := make(chan reply, 1)
		go func() {
			got, err := s.send(call[1], call[2], call[3])
			if err != nil {
				t.Errorf("%s: %v", call[0], err)
			}
			answered <- got
		}()
		if kind := soon(t, heard); kind != call[0] {
			t.Errorf("heard %q, want %q", kind, call[0])
		}
		select {
		case got := <-answered:
			t.Errorf("%s: answered %d before the hook was done", call[0], got.status)
		default:
		}
		proceed <- true
		<-answered
	}
}

// soon receives, or fails the test instead of hanging it.
func soon[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(15 * time.Second):
		t.Fatal("nothing came within 15 s")
		panic("unreachable")
	}
}
