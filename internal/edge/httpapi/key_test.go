package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"payonce/internal/edge/wire"
	"payonce/internal/shop/provider"
)

func TestAKeyIsGivenOnceAndInOneOfTwoForms(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	send := func(values ...string) reply {
		h := http.Header{"Authorization": {"Bearer " + e.key}, "Content-Type": {"application/json"}}
		if values != nil {
			h["Idempotency-Key"] = values
		}
		return e.sendAll("POST", "/v1/payments/"+o.Payment.ID+"/capture", h, strings.NewReader(captureBody(o.Payment, "tok_ok")))
	}
	for name, values := range map[string][]string{"missing": nil, "empty": {""}, "blank": {"  "}, "empty quotes": {`""`}} {
		r := send(values...)
		if r.Status != 400 || !strings.Contains(r.Body, "idempotency-key-missing") {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	for name, values := range map[string][]string{
		"256 bytes": {strings.Repeat("k", 256)}, "twice": {"a", "a"}, "a space": {"a b"}, "not ASCII": {"clé"}, "half a quote": {`"a`},
		"a quote inside": {`a"b`}, "parameters": {`"a";v=1`}, "an escape at the end": {`"a\"`}, "an unknown escape": {`"a\n"`},
	} {
		r := send(values...)
		if r.Status != 400 || !strings.Contains(r.Body, "idempotency-key-invalid") {
			t.Errorf("%s: %d %s", name, r.Status, r.Body)
		}
	}
	if r := send("%2F,one;key=1"); r.Status != 200 {
		t.Fatalf("odd, but visible: %d %s", r.Status, r.Body)
	}
	if r := send(`"%2F,one;key=1"`); r.Header.Get("Idempotent-Replayed") != "true" || r.Header.Get("Idempotency-Key") != `"%2F,one;key=1"` {
		t.Errorf("the quoted form is another key: %v", r.Header)
	}
	if r := send(strings.Repeat("k", 255)); r.Status != 200 || r.Header.Get("Payonce-Matched") != "business-key" {
		t.Errorf("255 bytes: %d %v", r.Status, r.Header)
	}
}

func TestTheFirstAnswerAndItsReplayDifferInFourHeadersOnly(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	first, again := e.capture(o.Payment, "k", "tok_ok"), e.capture(o.Payment, "k", "tok_ok")
	if first.Status != 200 || again.Status != 200 || first.Body != again.Body {
		t.Fatalf("%d %s\n%d %s", first.Status, first.Body, again.Status, again.Body)
	}
	if first.Header.Get("Idempotent-Replayed") != "false" || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("replayed: %q, then %q", first.Header.Get("Idempotent-Replayed"), again.Header.Get("Idempotent-Replayed"))
	}
	for _, h := range []http.Header{first.Header, again.Header} {
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Request-Id") == "" || h.Get("Idempotency-Key") != "k" || h.Get("RateLimit") == "" ||
			!strings.Contains(h.Get("Access-Control-Expose-Headers"), "Idempotent-Replayed") {
			t.Errorf("got %v", h)
		}
		for _, fresh := range []string{"X-Request-Id", "Date", "Ratelimit", "Idempotent-Replayed"} {
			h.Del(fresh)
		}
	}
	for name := range first.Header {
		if first.Header.Get(name) != again.Header.Get(name) {
			t.Errorf("%s: %q, then %q", name, first.Header.Get(name), again.Header.Get(name))
		}
	}
	if e.bank.calls != 1 {
		t.Errorf("the provider was called %d times", e.bank.calls)
	}
}

func TestAnOrderIsReplayedWithItsLocation(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	first, again := e.post("/v1/orders", "k", newOrder), e.post("/v1/orders", "k", " {\"email\":\"a@example.org\", \"items\":[{\"quantity\":2,\"sku\":\"concert-a\"}]}")
	if first.Status != 201 || first.Body != again.Body || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("%d %s\n%d %s", first.Status, first.Body, again.Status, again.Body)
	}
	if l := first.Header.Get("Location"); !strings.HasPrefix(l, "/v1/orders/ord_") || again.Header.Get("Location") != l {
		t.Errorf("Location %q, then %q", l, again.Header.Get("Location"))
	}
	p := e.problem(e.post("/v1/orders", "k", strings.Replace(newOrder, "2", "3", 1)), 422, "idempotency-key-reused")
	if len(*p.Errors) != 1 || *(*p.Errors)[0].Pointer != "/items/0/quantity" {
		t.Errorf("got %+v", p.Errors)
	}
	other := e.post("/v1/orders", "unknown", strings.Replace(newOrder, "concert-a", "concert-z", 1))
	e.problem(other, 422, "unknown-item")
	if r := e.post("/v1/orders", "unknown", strings.Replace(newOrder, "concert-a", "concert-z", 1)); r.Body != other.Body || r.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the refusal was not replayed: %s", r.Body)
	}
}

func TestAnAddressThatNoReceiptReachesIsRefusedAtTheOrderAndItsKeyStaysFree(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	place := func(key, email string) reply {
		body, err := json.Marshal(map[string]any{"items": []map[string]any{{"sku": "concert-a", "quantity": 2}}, "email": email})
		if err != nil {
			t.Fatal(err)
		}
		return e.post("/v1/orders", key, string(body))
	}
	refused := []string{
		"foo..bar@example.jp", ".a@example.org", "a.@example.org", strings.Repeat("\u00fc", 200) + "@example.org", "a\u0085b@example.org", "\u00fc@example.org",
		"a@ex\u00e4mple.org", "", "a", "@example.org", "a@", "a@b@example.org", "a b@example.org", "A <a@example.org>", "a@example..org", "a@-example.org", "a@[127.0.0.1]",
		"a@example.org\r\nBcc: b@example.org", strings.Repeat("a", 65) + "@example.org", "a@" + strings.Repeat("b", 64) + ".org", "a@" + strings.Repeat("example.", 40) + "org",
	}
	for _, email := range refused {
		p := e.problem(place("k", email), 400, "invalid-request")
		for _, place := range *p.Errors {
			if *place.Pointer != "/email" {
				t.Errorf("%q: %s was named", email, *place.Pointer)
			}
		}
	}
	if n := e.count(`SELECT count(*) FROM orders`) + e.count(`SELECT count(*) FROM idempotency_keys`); n != 0 {
		t.Errorf("%d rows are left of refused orders", n)
	}
	for i, email := range []string{"plain@example.org", "a'b@example.org", "a.b+c@mail.example.org", "A_1@localhost"} {
		key := "k"
		if i > 0 {
			key = email
		}
		var o wire.Order
		e.decode(place(key, email), 201, &o)
		if o.Email != email {
			t.Errorf("%q became %q", email, o.Email)
		}
	}
}

func TestAReusedKeyNamesTheFieldsAndHidesTheirValues(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o, other := e.order(), e.order()
	if r := e.capture(o.Payment, "k", "tok_secret1"); r.Status != 200 {
		t.Fatal(r)
	}
	r := e.capture(o.Payment, "k", "tok_secret2")
	p := e.problem(r, 422, "idempotency-key-reused")
	if len(*p.Errors) != 1 || *(*p.Errors)[0].Pointer != "/card_token" || strings.Contains(r.Body, "secret") {
		t.Errorf("got %s", r.Body)
	}
	p = e.problem(e.capture(other.Payment, "k", "tok_secret1"), 422, "idempotency-key-reused")
	if len(*p.Errors) != 1 || *(*p.Errors)[0].Parameter != "payment_id" {
		t.Errorf("got %+v", *p.Errors)
	}
	if r := e.post("/v1/orders", "k", newOrder); r.Status != 422 {
		t.Errorf("another operation: %d", r.Status)
	}
}

func TestADeclineIsAnOutcomeAndASecondKeyIsASecondAttempt(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	first, again := e.capture(o.Payment, "k", "tok_declined"), e.capture(o.Payment, "k", "tok_declined")
	p := e.problem(first, 402, "payment-declined")
	if *p.DeclineCode != "insufficient_funds" || p.Payment.AttemptNo != 1 || first.Body != again.Body || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Fatalf("%s\n%s", first.Body, again.Body)
	}
	if r := e.capture(o.Payment, "k2", "tok_ok"); r.Status != 200 || !strings.Contains(r.Body, `"attempt_no":2`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func TestWhoWaitsLongerThanItSaidIsToldToAskAgain(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.bank.hold = make(chan struct{})
	o := e.order()
	var first reply
	var running sync.WaitGroup
	running.Go(func() { first = e.capture(o.Payment, "k", "tok_ok") })
	eventually(t, "the first is at the provider", func() bool { e.bank.mu.Lock(); defer e.bank.mu.Unlock(); return e.bank.calls == 1 })
	h := map[string]string{"Authorization": "Bearer " + e.key, "Content-Type": "application/json", "Idempotency-Key": "k", "Prefer": "respond-async, wait=0"}
	r := e.send("POST", "/v1/payments/"+o.Payment.ID+"/capture", h, captureBody(o.Payment, "tok_ok"))
	e.problem(r, 409, "idempotency-key-in-progress")
	if r.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
	}
	if record := e.get("/v1/idempotency-keys/k"); record.Status != 200 || !strings.Contains(record.Body, `"status":"running"`) {
		t.Errorf("%d %s", record.Status, record.Body)
	}
	close(e.bank.hold)
	running.Wait()
	if first.Status != 200 || e.capture(o.Payment, "k", "tok_ok").Body != first.Body {
		t.Errorf("the first: %d %s", first.Status, first.Body)
	}
}

func TestInDoubtIs202WithAPlaceToLook(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.bank.fail = provider.ErrInDoubt
	o := e.order()
	r := e.capture(o.Payment, "k", "tok_ok")
	if r.Status != 202 || r.Header.Get("Location") != "/v1/payments/"+o.Payment.ID || r.Header.Get("Retry-After") == "" || !strings.Contains(r.Body, `"status":"in_doubt"`) {
		t.Fatalf("%d %v %s", r.Status, r.Header, r.Body)
	}
}

func TestAProviderThatWasNotReachedIs503AndTheKeyIsFree(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	for slug, fail := range map[string]error{"provider-unavailable": provider.ErrNotSent, "provider-refused": provider.ErrRefused} {
		e.bank.fail = fail
		r := e.capture(o.Payment, "k", "tok_ok")
		p := e.problem(r, 503, slug)
		if r.Header.Get("Retry-After") == "" || *p.Executed != "no" {
			t.Errorf("%s: %v %s", slug, r.Header, r.Body)
		}
	}
	e.bank.fail = nil
	if r := e.capture(o.Payment, "k", "tok_ok"); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

// Whatever its clock says, a key whose charge is in doubt is neither free nor
// gone because it was looked at.
func TestALookAtAnExpiredKeyChangesNothing(t *testing.T) {
	t.Parallel()
	for _, looks := range []int{0, 2} {
		e := newEdge(t)
		o := e.order()
		e.bank.fail = provider.ErrInDoubt
		if r := e.capture(o.Payment, "k", "tok_declined"); r.Status != 202 {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		e.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp() - interval '1 second'`)
		for range looks {
			if r := e.get("/v1/idempotency-keys/k"); r.Status != 200 || !strings.Contains(r.Body, `"status":"running"`) {
				t.Errorf("%d %s", r.Status, r.Body)
			}
		}
		e.sweep()
		e.bank.fail = nil
		first, again := e.capture(o.Payment, "k", "tok_declined"), e.capture(o.Payment, "k", "tok_declined")
		p := e.problem(first, 402, "payment-declined")
		if p.Payment.AttemptNo != 1 || again.Body != first.Body || again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%d looks: %s, then %s", looks, first.Body, again.Body)
		}
		if n := e.count(`SELECT count(*) FROM payment_attempts`); n != 1 {
			t.Errorf("%d looks: %d attempts", looks, n)
		}
		// With its answer it ends as all do.
		e.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp() - interval '1 second'`)
		for range looks {
			e.problem(e.get("/v1/idempotency-keys/k"), 404, "not-found")
		}
		if n := e.count(`SELECT count(*) FROM idempotency_keys WHERE key = 'k'`); n != 1 {
			t.Errorf("%d looks left %d rows", looks, n)
		}
	}
}

func TestAKeysRecordNeverShowsTheBody(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	if r := e.capture(o.Payment, "a/b", "tok_ok"); r.Status != 200 {
		t.Fatal(r)
	}
	r := e.get("/v1/idempotency-keys/a%2Fb")
	if r.Status != 200 || !strings.Contains(r.Body, `"status":"completed"`) || !strings.Contains(r.Body, o.Payment.ID) || strings.Contains(r.Body, "ch_") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	e.problem(e.get("/v1/idempotency-keys/never-used"), 404, "not-found")
	stranger := e.newKey()
	e.problem(e.send("GET", "/v1/idempotency-keys/a%2Fb", map[string]string{"Authorization": "Bearer " + stranger}, ""), 404, "not-found")
}
