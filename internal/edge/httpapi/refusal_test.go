package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/httpapi"
)

// A request that is wrong in every way is refused for the first reason; each
// step takes that reason away and meets the next.
func TestAWrongRequestIsRefusedInTheFixedOrder(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	path := "/v1/payments/" + o.Payment.ID + "/capture"
	missing := "/v1/payments/pay_" + strings.Repeat("0", 32) + "/capture"
	large := strings.Repeat(" ", 70_000)
	if r := e.capture(o.Payment, "used", "tok_ok"); r.Status != 200 {
		t.Fatal(r)
	}
	bearer := "Bearer " + e.key
	json := "application/json"
	for _, step := range []struct {
		name, method, path, contentType, authorization, key, body string
		status                                                    int
		slug                                                      string
	}{
		{"404 route", "DELETE", "/v1/nothing", "text/plain", "", "", large, 404, "not-found"},
		{"405", "DELETE", missing, "text/plain", "", "", large, 405, "method-not-allowed"},
		{"413", "POST", missing, "text/plain", "", "", large, 413, "body-too-large"},
		{"415", "POST", missing, "text/plain", "", "", "{", 415, "unsupported-media-type"},
		{"401", "POST", missing, json, "", "", "{", 401, "authentication-required"},
		{"400 key", "POST", missing, json, bearer, "", "{", 400, "idempotency-key-missing"},
		{"400 body", "POST", missing, json, bearer, "used", "{", 400, "invalid-request"},
		{"404 id", "POST", missing, json, bearer, "used", captureBody(o.Payment, "tok_ok"), 404, "not-found"},
		{"404 malformed id", "POST", "/v1/payments/42/capture", json, bearer, "used", captureBody(o.Payment, "tok_ok"), 404, "not-found"},
		{"422 key reused", "POST", path, json, bearer, "used", captureBody(o.Payment, "tok_slow"), 422, "idempotency-key-reused"},
		{"the business", "POST", path, json, bearer, "new", strings.Replace(captureBody(o.Payment, "tok_ok"), "8400", "8401", 1), 422, "amount-mismatch"},
	} {
		h := http.Header{"Content-Type": {step.contentType}}
		if step.authorization != "" {
			h.Set("Authorization", step.authorization)
		}
		if step.key != "" {
			h.Set("Idempotency-Key", step.key)
		}
		r := e.sendAll(step.method, step.path, h, strings.NewReader(step.body))
		if r.Status != step.status {
			t.Errorf("%s: expected %d, got %d: %s", step.name, step.status, r.Status, r.Body)
			continue
		}
		e.problem(r, step.status, step.slug)
	}
}

func TestAnAddressIsCountedBeforeItIsKnownWhoAsks(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.Limits = httpapi.Limits{PerSecond: 0.5, Burst: 3} })
	// One token of the address went to POST /v1/sandboxes.
	for range 2 {
		if r := e.get("/v1/catalogue"); r.Status != 200 {
			t.Fatal(r)
		}
	}
	h := map[string]string{"Content-Type": "application/json"}
	e.problem(e.send("POST", "/v1/orders", h, newOrder), 429, "too-many-requests")
	h["Authorization"] = "Bearer " + e.key
	r := e.send("POST", "/v1/orders", h, newOrder)
	e.problem(r, 429, "too-many-requests")
	if r.Header.Get("Retry-After") != "2" || r.Header.Get("RateLimit-Policy") != `"requests";q=3;w=6` || r.Header.Get("RateLimit") != `"requests";r=0;t=6` {
		t.Errorf("got %v", r.Header)
	}
	if n := e.count(`SELECT count(*) FROM orders`); n != 0 {
		t.Errorf("%d orders", n)
	}
}

func TestAHundredClicksAtOnceMeetNoLimit(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for i := range 300 {
		if r := e.post("/v1/orders", "k", `{}`); r.Status != 400 {
			t.Fatalf("request %d: %d %s", i, r.Status, r.Body)
		}
	}
}

func TestA405NamesWhatIsAllowed(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for path, allow := range map[string]string{
		"/v1/orders": "GET, POST", "/v1/audit": "GET", "/v1/payments/x/capture": "POST", "/v1/sandboxes": "POST",
	} {
		r := e.send("PUT", path, nil, "")
		e.problem(r, 405, "method-not-allowed")
		got := strings.Join(r.Header.Values("Allow"), ", ")
		for method := range strings.SplitSeq(allow, ", ") {
			if !strings.Contains(got, method) {
				t.Errorf("%s: Allow is %q, expected %q", path, got, allow)
			}
		}
	}
}

func TestOnlyUncompressedUTF8JSONIsRead(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for name, header := range map[string]http.Header{
		"none":            {},
		"form":            {"Content-Type": {"application/x-www-form-urlencoded"}},
		"like json":       {"Content-Type": {"application/json5"}},
		"a suffix":        {"Content-Type": {"application/vnd.x+json"}},
		"another charset": {"Content-Type": {"application/json; charset=latin1"}},
		"unreadable":      {"Content-Type": {"application/json; =;"}},
		"twice":           {"Content-Type": {"application/json", "text/plain"}},
		"gzip":            {"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}},
	} {
		header.Set("Authorization", "Bearer "+e.key)
		header.Set("Idempotency-Key", "k")
		r := e.sendAll("POST", "/v1/orders", header, strings.NewReader(newOrder))
		if r.Status != 415 {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	h := http.Header{"Content-Type": {"application/json; charset=UTF-8"}, "Authorization": {"Bearer " + e.key}, "Idempotency-Key": {"k"}}
	if r := e.sendAll("POST", "/v1/orders", h, strings.NewReader(newOrder)); r.Status != 201 {
		t.Errorf("UTF-8: %d %s", r.Status, r.Body)
	}
}

func TestABodyOf64KiBIsReadAndOneByteMoreIsNot(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	h := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + e.key}, "Idempotency-Key": {"k"}}
	exact := newOrder + strings.Repeat(" ", 65_536-len(newOrder))
	if r := e.sendAll("POST", "/v1/orders", h, strings.NewReader(exact)); r.Status != 201 {
		t.Errorf("65,536 bytes: %d %s", r.Status, r.Body)
	}
	if r := e.sendAll("POST", "/v1/orders", h, strings.NewReader(exact+" ")); r.Status != 413 {
		t.Errorf("65,537 bytes: %d %s", r.Status, r.Body)
	}
	// Chunked: no length is announced. The reader is no type that has one.
	unsized := struct{ *strings.Reader }{strings.NewReader(exact + " ")}
	if r := e.sendAll("POST", "/v1/orders", h, struct{ readOnly }{readOnly{unsized}}); r.Status != 413 {
		t.Errorf("65,537 bytes in chunks: %d %s", r.Status, r.Body)
	}
}

type readOnly struct {
	from interface{ Read([]byte) (int, error) }
}

func (r readOnly) Read(b []byte) (int, error) { return r.from.Read(b) }

func TestEveryIDThatNamesNothingIs404(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	stranger := e.newKey()
	ids := []string{
		"42", "pay_", "ord_" + o.Payment.ID[4:], strings.ToUpper(o.Payment.ID), o.Payment.ID + "0", "pay_" + strings.Repeat("f", 32),
		"%2e%2e", "%00", "pay_%F0%9F%92%A3", uuid.NewString(), "'%20OR%201=1--", o.Payment.ID + "%0a",
	}
	for _, id := range ids {
		for _, path := range []string{"/v1/payments/" + id, "/v1/payments/" + id + "/attempts", "/v1/payments/" + id + "/proof", "/v1/orders/" + id} {
			if r := e.get(path); r.Status != 404 || r.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %d %s", path, r.Status, r.Body)
			}
		}
	}
	h := map[string]string{"Authorization": "Bearer " + stranger, "Content-Type": "application/json", "Idempotency-Key": "k"}
	for _, path := range []string{"/v1/payments/" + o.Payment.ID, "/v1/payments/" + o.Payment.ID + "/proof", "/v1/payments/" + o.Payment.ID + "/attempts", "/v1/orders/" + o.ID} {
		e.problem(e.send("GET", path, h, ""), 404, "not-found")
	}
	e.problem(e.send("POST", "/v1/payments/"+o.Payment.ID+"/capture", h, captureBody(o.Payment, "tok_ok")), 404, "not-found")
	if e.bank.calls != 0 {
		t.Errorf("the provider was called %d times", e.bank.calls)
	}
}

func TestAPanicIsAProblemDocumentThatSaysNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) {
		o.Lab = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("sk_live_secret in a stack") })
	})
	r := e.get("/v1/lab/anything")
	p := e.problem(r, 500, "internal-error")
	if strings.Contains(r.Body, "secret") || p.RequestID == nil {
		t.Error(r.Body)
	}
}

func TestWhileTheDatabaseIsAwayItIs503WithTheSameKeyInMind(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	e.gate.close()
	for name, r := range map[string]reply{
		"order":   e.post("/v1/orders", "k", newOrder),
		"capture": e.capture(o.Payment, "k", "tok_ok"),
	} {
		p := e.problem(r, 503, "unavailable")
		if r.Header.Get("Retry-After") != "1" || p.Executed == nil || *p.Executed != "no" || r.Header.Get("Idempotency-Key") != "k" {
			t.Errorf("%s: %v %s", name, r.Header, r.Body)
		}
		if strings.Contains(r.Body, "sql") || strings.Contains(r.Body, "pq") {
			t.Errorf("%s tells about the inside: %s", name, r.Body)
		}
	}
	if r := e.get("/healthz"); r.Status != 200 {
		t.Errorf("alive: %d", r.Status)
	}
	e.gate.open()
	eventually(t, "the same key works", func() bool { return e.capture(o.Payment, "k", "tok_ok").Status == 200 })
}

func TestTheGinContextDoesNotOutliveItsRequest(t *testing.T) {
	t.Parallel()
	got := make(chan context.Context, 1)
	e := newEdge(t, func(o *httpapi.Options) {
		o.Lab = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got <- r.Context()
			w.WriteHeader(http.StatusNoContent)
		})
	})
	e.get("/v1/lab/x")
	if ctx := <-got; ctx.Done() == nil {
		t.Error("the context has no Done")
	}
}
