package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
)

func slicesOf(rates ...float64) (all []slice) {
	for _, r := range rates {
		all = append(all, slice{PerSecond: r})
	}
	return all
}

func TestARatioIsTakenWithinEachRoundAndOnlyThenTheMedian(t *testing.T) {
	t.Parallel()
	// The machine halves after the second round: both suffer, the ratio does not.
	r := result{Contenders: []sides{
		{Name: "a", Slices: slicesOf(2000, 2200, 1000)}, {Name: "b", Slices: slicesOf(1000, 1000, 500)},
	}}
	got := r.compare(ratio{Of: "a", To: "b", Target: 2}).Seen
	if got != (spread{Median: 2, Min: 2, Max: 2.2}) {
		t.Errorf("2, 2.2 and 2 gave %+v", got)
	}
}

func TestAnEvenNumberOfRoundsHasItsMedianBetweenTheTwoInTheMiddle(t *testing.T) {
	t.Parallel()
	if got := spreadOf([]float64{4, 1, 3, 2}); got != (spread{Median: 2.5, Min: 1, Max: 4}) {
		t.Errorf("1, 2, 3 and 4 gave %+v", got)
	}
}

func TestOnlyUnder0Point6OfItsTargetIsALineFarBelow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seen    float64
		verdict string
		far     bool
	}{{0.85, "reached", false}, {0.84, "short", false}, {0.52, "short", false}, {0.50, "FAR BELOW", true}} {
		r := result{Ratios: []comparison{{Target: 0.85, Seen: spread{Median: c.seen}}}, Contenders: []sides{{Slices: []slice{{Idle: 0.9}}}}}
		if got := r.Ratios[0].verdict(); got != c.verdict || r.far() != c.far {
			t.Errorf("%.2f of 0.85 is %s, far %v; expected %s, %v", c.seen, got, r.far(), c.verdict, c.far)
		}
	}
}

func TestOnAMachineThatSomebodyElseUsesNoLineFails(t *testing.T) {
	t.Parallel()
	r := result{Title: "Capture", Ratios: []comparison{{Of: "a", To: "a", Target: 0.85, Seen: spread{Median: 0.1}}}, Contenders: []sides{{Name: "a", Slices: []slice{{Idle: 0.02}, {Idle: 0.9}, {Idle: 0}}}}}
	if r.far() || !strings.Contains(r.table(), "no measurement") {
		t.Errorf("far: %v\n%s", r.far(), r.table())
	}
}

func TestWaitingForTheDiskIsNotBeingIdle(t *testing.T) {
	t.Parallel()
	before := parseCPU("cpu  100 0 100 1000 0 0 0 0 0 0")
	after := parseCPU("cpu  110 0 110 1060 20 0 0 0 7 0") // guest time is in user time already
	if got := after.idleSince(before); got != 0.6 {
		t.Errorf("60 of 100 ticks were idle, 20 waited for the disk: %.2f", got)
	}
}

func TestAProcessIsReadWhateverItsName(t *testing.T) {
	t.Parallel()
	const line = "4711 (a) b (c) S 42 4711 4711 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 99"
	if p, ok := parseProcess(line); !ok || p != (process{pid: 4711, parent: 42, name: "a) b (c", ticks: 100}) {
		t.Errorf("%+v, %v", p, ok)
	}
	if _, ok := parseProcess("4711 (gone) Z"); ok {
		t.Error("half a line was read as a process")
	}
}

func TestOnlyDescendantsAreCounted(t *testing.T) {
	t.Parallel()
	all := map[int]process{1: {pid: 1}, 2: {pid: 2, parent: 1}, 3: {pid: 3, parent: 2}, 4: {pid: 4, parent: 1}, 5: {pid: 5, parent: 6}, 6: {pid: 6, parent: 5}}
	for pid, want := range map[int]bool{1: false, 2: true, 3: true, 4: false, 5: false} {
		if got := descends(all, all[pid], 2); got != want {
			t.Errorf("process %d descends from 2: %v", pid, got)
		}
	}
}

func TestThousandsAreGrouped(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{7: "7", 999.4: "999", 12345.6: "12,346", 1234567: "1,234,567"} {
		if got := thousands(f); got != want {
			t.Errorf("%v is written %s, expected %s", f, got, want)
		}
	}
}

// The product's own adapter is the judge: what it cannot read as a charge would
// make every capture of the bench an unknown one.
func TestTheInstantProviderChargesOnceForOneKeyAskedTwice(t *testing.T) {
	t.Parallel()
	p, err := newInstant()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.server.Close() })
	client := simulated.New(simulated.Config{URL: p.URL})
	request := provider.Request{Key: "capture:pay_1:1", Reference: "pay_1", Amount: money.Of(8400, "EUR"), Token: cardToken}
	first, err := client.Charge(t.Context(), request)
	if err != nil || first.Status != provider.Succeeded || first.Amount != request.Amount || first.Reference != "pay_1" {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := client.Charge(t.Context(), request)
	if err != nil || again.ID != first.ID || p.count() != 1 {
		t.Errorf("the second answer is %+v (%v), and there are %d charges", again, err, p.count())
	}
}

func TestAnAnswerThatIsNoCaptureIsAnErrorAndNoNumber(t *testing.T) {
	t.Parallel()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
	}), ReadHeaderTimeout: time.Second}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	l := newLoad("http://"+listener.Addr().String(), "", nil, []job{{payment: uuid.New()}})
	l.run(1, time.Minute)
	if !errors.Is(l.problem(), errAnswer) || l.captured() != 0 {
		t.Errorf("429 gave %d captures and %v", l.captured(), l.problem())
	}
}

func TestARequestOfTheLoadIsOneTheStandardLibraryReads(t *testing.T) {
	t.Parallel()
	j := job{payment: uuid.New(), merchant: uuid.New()}
	l := newLoad("http://127.0.0.1:1", "", []sandbox{{merchant: j.merchant, key: "sk_test_1"}}, []job{j})
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(l.requests[0])))
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		AmountMinor int64 `json:"amount_minor"`
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil || body.AmountMinor != amount() {
		t.Errorf("the body asks for %d: %v", body.AmountMinor, err)
	}
	if req.Header.Get("Authorization") != "Bearer sk_test_1" || req.Header.Get("Idempotency-Key") == "" || !strings.HasSuffix(req.URL.Path, "/capture") {
		t.Errorf("%s %s with %v", req.Method, req.URL, req.Header)
	}
}

func TestAThousandClientsComeFromAThousandAddresses(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		a := nextAddress()
		if !a.IP.IsLoopback() || seen[a.IP.String()] || a.IP.String() == "127.0.0.1" {
			t.Fatalf("%s came twice, or is nobody's own", a.IP)
		}
		seen[a.IP.String()] = true
	}
}

func TestThePictureNamesEveryContender(t *testing.T) {
	t.Parallel()
	var picture bytes.Buffer
	err := drawSVG(&picture, result{Title: "Capture", Unit: "captures per second", Contenders: []sides{
		{Name: "F1", Slices: slicesOf(1, 2, 3)}, {Name: "http-instant", Slices: slicesOf(4)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"<svg", "F1", "http-instant", "captures per second"} {
		if !strings.Contains(picture.String(), name) {
			t.Errorf("the picture lacks %q", name)
		}
	}
}

// A capture's event is found among the parameters of the statement that folds it in,
// whatever stands before it.
func TestTheExampleEventIsACapturesEvent(t *testing.T) {
	t.Parallel()
	_, payload, trace, err := example()
	if err != nil || !bytes.Contains(payload, []byte(`"payment_id"`)) || strings.Contains(trace, "{") {
		t.Errorf("%q, %q, %v", payload, trace, err)
	}
}
