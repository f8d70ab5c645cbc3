package httpapi_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/wire"
	"payonce/once/oncetest"
)

// What one client may take from the others, and what another site may do with a
// visitor's browser.

func TestAnAddressThatSendsForgedWebhooksIsNotReadAgainAndTheProviderStillIs(t *testing.T) {
	t.Parallel()
	const most = 20
	var log oncetest.Lines
	e := newEdge(t, receiving(t), func(o *httpapi.Options) {
		o.Limits = httpapi.Limits{PerSecond: 0.001, Burst: most}
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	if r := e.signed(chargeMessage("capture:pay_1:1")); r.Status != 200 {
		t.Fatalf("%d: %s", r.Status, r.Body)
	}
	h := map[string]string{"Content-Type": "application/json"}
	began := time.Now()
	for range most {
		e.problem(e.send("POST", "/v1/webhooks/provider", h, `{}`), 400, "webhook-malformed")
	}
	if n := strings.Count(log.String(), "a webhook was refused"); n < 1 || n > 1+int(time.Since(began).Seconds()) {
		t.Errorf("%d lines about %d forged webhooks:\n%s", n, most, log.String())
	}
	e.problem(e.send("POST", "/v1/webhooks/provider", h, `{}`), 429, "too-many-requests")
}

func TestOnlyItsOwnNamesAreAnswered(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) {
		o.PublicURL, o.Hosts = "https://Shop.example", []string{"api"}
		o.Lab = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	})
	for host, known := range map[string]bool{
		"shop.example": true, "SHOP.example:443": true, "api:8080": true, "localhost:8080": true, "127.0.0.1": true, "[::1]:8080": true, "a.localhost": true,
		"evil.example": false, "shop.example.evil.example": false, "localhost.evil.example": false, "xapi": false,
	} {
		for _, path := range []string{"/", "/v1/catalogue", "/v1/lab/faults", "/healthz"} {
			r := e.send("GET", path, map[string]string{"Host": host, "Authorization": "Bearer " + e.key, "Accept": "text/html"}, "")
			if (r.Status != 421) != known {
				t.Errorf("%s%s: %d", host, path, r.Status)
			}
		}
	}
	e.problem(e.send("GET", "/v1/catalogue", map[string]string{"Host": "evil.example"}, ""), 421, "misdirected-request")
}

func TestAPageOfAnotherSiteCannotDriveTheLaboratory(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) {
		o.Lab = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	})
	own := e.server.URL
	for _, one := range []struct {
		origin, site string
		status       int
	}{
		{"", "", 418}, {own, "same-origin", 418}, {"", "same-origin", 418}, {"", "none", 418},
		{"http://evil.example", "cross-site", 403}, {"http://evil.example", "", 403}, {"", "cross-site", 403}, {own, "same-site", 403}, {"null", "", 403},
		{"http://evil@" + own[len("http://"):], "", 403}, {own + "/x", "", 403},
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			h := map[string]string{"Authorization": "Bearer " + e.key}
			if one.origin != "" {
				h["Origin"] = one.origin
			}
			if one.site != "" {
				h["Sec-Fetch-Site"] = one.site
			}
			r := e.send(method, "/v1/lab/faults", h, "")
			if r.Status != one.status {
				t.Errorf("%s from %q, %q: %d", method, one.origin, one.site, r.Status)
			}
			if got := r.Header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("a page of %q may read the laboratory", got)
			}
		}
	}
	ask := map[string]string{"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
	if r := e.send("OPTIONS", "/v1/lab/faults", ask, ""); r.Status == 204 || r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the preflight was answered: %d %v", r.Status, r.Header)
	}
	if r := e.send("OPTIONS", "/v1/orders", ask, ""); r.Status != 204 {
		t.Errorf("the API's preflight: %d", r.Status)
	}
}

func TestAnAddressHasSoManyStreamsAndOneThatEndsMakesRoom(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.Limits.Streams = 2 })
	h := map[string]string{"Authorization": "Bearer " + e.key}
	end := e.streaming()
	e.streaming()
	e.problem(e.send("GET", "/v1/stream", h, ""), 429, "too-many-requests")
	end()
	eventually(t, "there is room again", func() bool {
		r, err := http.NewRequestWithContext(t.Context(), "GET", e.server.URL+"/v1/stream", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+e.key)
		res, err := raw.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode == 200
	})
}

// streaming opens a stream and returns what ends it.
func (e *edge) streaming() func() {
	e.t.Helper()
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(e.t.Context(), "tcp", e.server.Listener.Addr().String())
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = c.Close() })
	_, _ = fmt.Fprintf(c, "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", e.key)
	status := make([]byte, len("HTTP/1.1 200"))
	if _, err := c.Read(status); err != nil || string(status) != "HTTP/1.1 200" {
		e.t.Fatalf("%s %v", status, err)
	}
	return func() { _ = c.Close() }
}

func TestAVisitorWhoOnlyLooksLeavesNoRow(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	const rows = `SELECT count(*) FROM merchants`
	before := e.count(rows)
	c := e.visit(nil)
	own := map[string]string{"Cookie": c.Name + "=" + c.Value, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", "Idempotency-Key": "k"}
	e.send("HEAD", "/", nil, "")
	if r := e.send("GET", "/v1/payments", own, ""); r.Status != 200 {
		t.Fatalf("%d: %s", r.Status, r.Body)
	}
	if n := e.count(rows) - before; n != 0 {
		t.Errorf("looking left %d rows", n)
	}
	if r := e.send("POST", "/v1/orders", own, newOrder); r.Status != 201 {
		t.Fatalf("%d: %s", r.Status, r.Body)
	}
	if n := e.count(rows) - before; n != 1 {
		t.Errorf("an order left %d merchants", n)
	}
	// The key that a visitor is shown is good.
	shy := e.visit(nil)
	var sandbox wire.Sandbox
	e.decode(e.send("GET", "/v1/sandboxes/current", map[string]string{"Cookie": shy.Name + "=" + shy.Value}, ""), 200, &sandbox)
	if r := e.send("GET", "/v1/payments", map[string]string{"Authorization": "Bearer " + sandbox.APIKey}, ""); r.Status != 200 {
		t.Errorf("%d: %s", r.Status, r.Body)
	}
}

func TestASandboxThatWasRemovedAsEmptyIsMadeAgainByItsCookie(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	c := e.visit(nil)
	order := func() reply {
		return e.send("POST", "/v1/orders", map[string]string{"Cookie": c.Name + "=" + c.Value, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", "Idempotency-Key": "k"}, newOrder)
	}
	var sandbox wire.Sandbox // with it the process believes the cookie
	e.decode(e.send("GET", "/v1/sandboxes/current", map[string]string{"Cookie": c.Name + "=" + c.Value}, ""), 200, &sandbox)
	e.send("GET", "/v1/payments", map[string]string{"Cookie": c.Name + "=" + c.Value}, "")
	e.exec(`DELETE FROM merchants WHERE api_key_hash <> $1`, caller.Hash(e.key))
	e.problem(order(), 503, "unavailable")
	if r := order(); r.Status != 201 {
		t.Errorf("%d: %s", r.Status, r.Body)
	}
}

func TestSandboxesHaveABucketOfTheirOwn(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.Limits.SandboxesPerSecond, o.Limits.SandboxBurst = 0.001, 3 })
	for range 2 { // the test's own was the first
		e.newKey()
	}
	e.problem(e.send("POST", "/v1/sandboxes", nil, ""), 429, "too-many-requests")
	c := e.visit(nil)
	h := map[string]string{"Cookie": c.Name + "=" + c.Value, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", "Idempotency-Key": "k"}
	e.problem(e.send("POST", "/v1/orders", h, newOrder), 429, "too-many-requests")
	if r := e.get("/v1/catalogue"); r.Status != 200 {
		t.Errorf("who has a sandbox is turned away too: %d", r.Status)
	}
}

func TestACardsNumberIsNoTokenAndGoesNowhere(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	for _, number := range []string{"4242424242424242", "4242-4242-4242-4242", "378282246310005"} {
		r := e.capture(o.Payment, uuid.NewString(), number)
		p := e.problem(r, 400, "invalid-request")
		if p.Errors == nil || len(*p.Errors) != 1 || *(*p.Errors)[0].Pointer != "/card_token" || strings.Contains(r.Body, "4242") {
			t.Errorf("%s: %s", number, r.Body)
		}
	}
	if n := e.count(`SELECT count(*) FROM payment_attempts`); n != 0 {
		t.Errorf("%d attempts", n)
	}
}

func TestOnlyAProxyOfOursNamesTheClient(t *testing.T) {
	t.Parallel()
	_, loopback, err := net.ParseCIDR("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	for name, proxies := range map[string][]*net.IPNet{"none": nil, "ours": {loopback}} {
		e := newEdge(t, func(o *httpapi.Options) {
			o.Limits = httpapi.Limits{PerSecond: 0.001, Burst: 3, Proxies: proxies}
		})
		from := func(client string) int {
			return e.send("GET", "/v1/catalogue", map[string]string{"X-Forwarded-For": client}, "").Status
		}
		for range 5 {
			from("2001:db8:1:2::1")
		}
		same, other := from("2001:db8:1:2:9::9"), from("192.0.2.7")
		if same != 429 || (other == 401) != (proxies != nil) {
			t.Errorf("proxies %s: the same household got %d, another one %d", name, same, other)
		}
	}
}
