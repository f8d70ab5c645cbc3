package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/wire"
)

// visit opens the first page as a browser and returns its cookie.
func (e *edge) visit(header map[string]string) *http.Cookie {
	e.t.Helper()
	if header == nil {
		header = map[string]string{}
	}
	header["Accept"] = "text/html"
	r := e.send("GET", "/", header, "")
	if r.Status != 200 || r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		e.t.Fatalf("%d %v", r.Status, r.Header)
	}
	cookies := (&http.Response{Header: r.Header}).Cookies()
	if len(cookies) == 0 {
		return nil
	}
	return cookies[0]
}

func TestTheFirstPageGivesABrowserOneSandbox(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	c := e.visit(nil)
	if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" {
		t.Fatalf("got %+v", c)
	}
	cookie := c.Name + "=" + c.Value
	if again := e.visit(map[string]string{"Cookie": cookie}); again != nil {
		t.Errorf("the second visit got another sandbox: %v", again)
	}
	var mine wire.Sandbox
	e.decode(e.send("GET", "/v1/sandboxes/current", map[string]string{"Cookie": cookie}, ""), 200, &mine)
	var same wire.Sandbox
	e.decode(e.send("GET", "/v1/sandboxes/current", map[string]string{"Authorization": "Bearer " + mine.APIKey}, ""), 200, &same)
	if mine != same {
		t.Errorf("cookie: %+v, key: %+v", mine, same)
	}
	for name, broken := range map[string]string{"forged": cookie[:len(cookie)-1] + "x", "an API key": "payonce_sandbox=" + mine.APIKey, "garbage": "payonce_sandbox=%00"} {
		if fresh := e.visit(map[string]string{"Cookie": broken}); fresh == nil || fresh.Value == c.Value {
			t.Errorf("%s: %v", name, fresh)
		}
		e.problem(e.send("GET", "/v1/catalogue", map[string]string{"Cookie": broken}, ""), 401, "authentication-required")
	}
}

func TestBehindTLSTheCookieIsSecure(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.PublicURL = "https://shop.example" })
	if c := e.visit(map[string]string{"Host": "shop.example"}); c == nil || !c.Secure {
		t.Errorf("got %+v", c)
	}
}

func TestACookiesPostComesFromTheSameOriginOrNotAtAll(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.PublicURL = "https://shop.example" })
	c := e.visit(nil)
	own := e.server.URL
	for _, one := range []struct {
		name, origin, site string
		status             int
	}{
		{"neither header", "", "", 403},
		{"another origin", "https://evil.example", "", 403},
		{"another origin that claims", "https://evil.example", "same-origin", 403},
		{"own origin, another site", own, "cross-site", 403},
		{"a sibling domain", own, "same-site", 403},
		{"a typed address", "", "none", 403},
		{"null", "null", "", 403},
		{"another scheme", strings.Replace(own, "http:", "https:", 1), "", 403},
		{"own origin", own, "", 201},
		{"own origin, said twice", own, "same-origin", 201},
		{"the site alone", "", "same-origin", 201},
		{"the public address", "https://shop.example", "same-origin", 201},
	} {
		h := map[string]string{"Cookie": c.Name + "=" + c.Value, "Content-Type": "application/json", "Idempotency-Key": uuid.NewString()}
		if one.origin != "" {
			h["Origin"] = one.origin
		}
		if one.site != "" {
			h["Sec-Fetch-Site"] = one.site
		}
		r := e.send("POST", "/v1/orders", h, newOrder)
		if r.Status != one.status {
			t.Errorf("%s: expected %d, got %d %s", one.name, one.status, r.Status, r.Body)
		}
		if one.status == 403 {
			e.problem(r, 403, "cross-site-request")
		}
	}
	h := map[string]string{"Cookie": c.Name + "=" + c.Value, "Origin": "https://evil.example"}
	if r := e.send("GET", "/v1/catalogue", h, ""); r.Status != 200 {
		t.Errorf("reading: %d", r.Status)
	}
}

func TestOnlyAKeyThatTheDatabaseHasOpensASandbox(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	tokens := caller.NewTokens([]byte("secret"), "")
	unknown := tokens.APIKey(uuid.New()) // its MAC is right, its merchant does not exist
	for name, authorization := range map[string]string{
		"unknown": "Bearer " + unknown, "no scheme": e.key, "another scheme": "Basic " + e.key, "empty": "Bearer ", "forged": "Bearer " + e.key[:len(e.key)-1] + "!",
	} {
		r := e.send("GET", "/v1/catalogue", map[string]string{"Authorization": authorization}, "")
		e.problem(r, 401, "authentication-required")
		if r.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
	twice := http.Header{"Authorization": {"Bearer " + e.key, "Bearer " + e.key}}
	if r := e.sendAll("GET", "/v1/catalogue", twice, http.NoBody); r.Status != 401 {
		t.Errorf("two headers: %d", r.Status)
	}
	if n := e.count(`SELECT count(*) FROM merchants WHERE encode(api_key_hash, 'escape') LIKE '%sk_test%'`); n != 0 {
		t.Error("a key is stored in the clear")
	}
	c := e.visit(nil)
	h := map[string]string{"Authorization": "Bearer wrong", "Cookie": c.Name + "=" + c.Value}
	if r := e.send("GET", "/v1/catalogue", h, ""); r.Status != 401 {
		t.Errorf("a wrong bearer fell back to the cookie: %d", r.Status)
	}
}

func TestTheSameKeyInTwoSandboxesIsTwoOrders(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	mine := e.post("/v1/orders", "k", newOrder)
	first := e.key
	e.key = e.newKey()
	theirs := e.post("/v1/orders", "k", strings.Replace(newOrder, "a@", "b@", 1))
	if mine.Status != 201 || theirs.Status != 201 || mine.Body == theirs.Body || theirs.Header.Get("Idempotent-Replayed") != "false" {
		t.Fatalf("%d %s\n%d %s", mine.Status, mine.Body, theirs.Status, theirs.Body)
	}
	var list wire.OrderList
	e.decode(e.get("/v1/orders"), 200, &list)
	if len(list.Data) != 1 || list.Data[0].Email != "b@example.org" {
		t.Errorf("the list holds %+v", list.Data)
	}
	e.key = first
}

func TestTheOperatorSeesWhatIsGlobalAndHasNoSandbox(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.Production = true })
	e.exec(`INSERT INTO alerts (id, merchant_id, kind, subject, facts) VALUES (uuid_v7(1), NULL, 'mail_server_away', 'mailer', '{"error":"x"}'), (uuid_v7(2), $1, 'dead_letter', 's', '[1]')`, uuid.New())
	operator := map[string]string{"Authorization": "Bearer " + operatorToken}
	e.problem(e.get("/v1/ops/queues"), 403, "operator-required")
	if r := e.send("GET", "/v1/ops/queues", operator, ""); r.Status != 200 {
		t.Errorf("queues: %d %s", r.Status, r.Body)
	}
	var mine, all wire.AlertList
	e.decode(e.get("/v1/ops/alerts"), 200, &mine)
	e.decode(e.send("GET", "/v1/ops/alerts", operator, ""), 200, &all)
	if len(mine.Data) != 0 || mine.ForeignOpen != 2 || len(all.Data) != 2 || all.ForeignOpen != 0 {
		t.Errorf("mine: %+v, all: %+v", mine, all)
	}
	for _, path := range []string{"/v1/orders", "/v1/payments", "/v1/sandboxes/current", "/v1/stream", "/v1/idempotency-keys/k"} {
		e.problem(e.send("GET", path, operator, ""), 403, "operator-required")
	}
}
