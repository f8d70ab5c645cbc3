package httpapi_test

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/wire"
)

func TestPagesAreServedToBrowsersAndProblemsToPrograms(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, one := range []struct {
		path, accept string
		status       int
		media, cache string
	}{
		{"/", "text/html", 200, "text/html; charset=utf-8", "no-cache"},
		{"/", "*/*", 200, "text/html; charset=utf-8", "no-cache"},
		{"/index.html", "", 200, "text/html; charset=utf-8", "no-cache"},
		{"/x-ray", "text/html,*/*", 200, "text/html; charset=utf-8", "no-cache"},
		{"/favicon.svg", "", 200, "image/svg+xml", "no-cache"},
		{"/assets/index-1a2b3c4d.js", "", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/gone-00000000.js", "text/html", 404, "application/problem+json", "no-store"},
		{"/x-ray", "application/json", 404, "application/problem+json", "no-store"},
		{"/.secret", "", 404, "application/problem+json", "no-store"},
		{"/../../etc/passwd", "", 404, "application/problem+json", "no-store"},
		{"/v1", "text/html", 404, "application/problem+json", "no-store"},
		{"/v1/nothing", "text/html", 404, "application/problem+json", "no-store"},
		{"/v1/lab/bursts", "text/html", 404, "application/problem+json", "no-store"},
	} {
		r := e.send("GET", one.path, map[string]string{"Accept": one.accept, "Accept-Encoding": "identity"}, "")
		if r.Status != one.status || r.Header.Get("Content-Type") != one.media || r.Header.Get("Cache-Control") != one.cache {
			t.Errorf("%s for %q: %d %q %q", one.path, one.accept, r.Status, r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"))
		}
		if csp := r.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") ||
			r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", one.path, r.Header)
		}
		resources := "same-origin"
		if one.path != "/v1/lab/bursts" && strings.HasPrefix(one.path, "/v1/") {
			resources = "cross-origin" // with a key a page of another origin may ask, but drive no laboratory
		}
		if r.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" || r.Header.Get("Cross-Origin-Resource-Policy") != resources ||
			!strings.Contains(r.Header.Get("Permissions-Policy"), "camera=()") {
			t.Errorf("%s: %v", one.path, r.Header)
		}
	}
}

func TestATwinThatWasCompressedInAdvanceIsSentToWhoTakesIt(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for accept, want := range map[string]string{"gzip, br": "br", "br;q=0, gzip": "", "identity": ""} {
		r := e.send("GET", "/", map[string]string{"Accept-Encoding": accept}, "")
		if r.Header.Get("Content-Encoding") != want || r.Header.Get("Vary") != "Accept-Encoding" || (want == "br") != (r.Body == "brotli of the page") {
			t.Errorf("%q: %v %q", accept, r.Header, r.Body)
		}
	}
}

func TestEveryProblemHasItsPageAndTheDocsNameEveryCall(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, k := range wire.Kinds {
		r := e.send("GET", k.Type(), nil, "")
		if r.Status != 200 || !strings.Contains(r.Body, html.EscapeString(k.Title)) || r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d", k.Type(), r.Status)
		}
	}
	docs := e.send("GET", "/docs", nil, "")
	for _, call := range []string{"/v1/payments/{payment_id}/capture", "Idempotency-Key", "card_token", "idempotency-key-reused", "/v1/stream", "/readyz"} {
		if !strings.Contains(docs.Body, call) {
			t.Errorf("the docs do not name %s", call)
		}
	}
	if strings.Contains(docs.Body, "<script") || strings.Contains(docs.Body, "style=") || strings.Contains(docs.Body, "http://") || strings.Contains(docs.Body, "https://") {
		t.Error("the docs hold a script, an inline style or a foreign address")
	}
	for path, media := range map[string]string{"/openapi.yaml": "application/yaml", "/docs/reference.css": "text/css; charset=utf-8", "/problems": "text/html; charset=utf-8"} {
		if r := e.send("GET", path, nil, ""); r.Status != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), media) {
			t.Errorf("%s: %d %s", path, r.Status, r.Header.Get("Content-Type"))
		}
	}
	if r := e.send("GET", "/lab.yaml", nil, ""); r.Status != 404 {
		t.Errorf("a default build describes the laboratory: %d", r.Status)
	}
}

func TestHEADIsGETWithoutABodyAndAPreflightIsAnswered(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, path := range []string{"/", "/healthz", "/docs", "/openapi.yaml"} {
		if r := e.send("HEAD", path, nil, ""); r.Status != 200 || r.Body != "" {
			t.Errorf("%s: %d %q", path, r.Status, r.Body)
		}
	}
	r := e.send("OPTIONS", "/v1/orders", map[string]string{"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}, "")
	if r.Status != 204 || !strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") || r.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", r.Status, r.Header)
	}
}

func TestALabBuildsRoutesNeedACaller(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) {
		o.Lab = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	})
	e.problem(e.send("GET", "/v1/lab/bursts", nil, ""), 401, "authentication-required")
	if r := e.get("/v1/lab/bursts"); r.Status != http.StatusTeapot {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := e.send("GET", "/lab.yaml", nil, ""); r.Status != 200 {
		t.Errorf("%d", r.Status)
	}
}

func TestMetricsCountByRouteAndNotByPath(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.PublicMetrics = true })
	e.get("/v1/payments/anything-at-all")
	if r := newEdge(t).send("GET", "/metrics", nil, ""); r.Status != 404 {
		t.Errorf("anybody may count: %d", r.Status)
	}
	r := e.send("GET", "/metrics", nil, "")
	if !strings.Contains(r.Body, `payonce_http_requests_total{method="GET",route="/v1/payments/:payment_id",status="404"} 1`) || strings.Contains(r.Body, "anything-at-all") {
		t.Errorf("got %s", r.Body)
	}
}
