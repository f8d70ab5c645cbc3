package world_test

import (
	"net/http"
	"strings"
	"testing"

	"payonce/internal/lab/world"
)

func TestBadInputIs400NamesItsParameterAndChargesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	swap := func(old, with string) string { return strings.Replace(oneCharge, old, with, 1) }
	for name, bad := range map[string]struct{ body, param string }{
		"zero":             {swap("4200", "0"), "amount_minor"},
		"negative":         {swap("4200", "-1"), "amount_minor"},
		"a cent too much":  {swap("4200", "100000000"), "amount_minor"},
		"a fraction":       {swap("4200", "42.5"), "amount_minor"},
		"a float":          {swap("4200", "4200.0"), "amount_minor"},
		"an exponent":      {swap("4200", "42e2"), "amount_minor"},
		"a string":         {swap("4200", `"4200"`), "amount_minor"},
		"beyond 64 bits":   {swap("4200", "99999999999999999999"), "amount_minor"},
		"null":             {swap("4200", "null"), "amount_minor"},
		"missing":          {`{"reference":"pay_1","currency":"EUR","token":"tok_ok"}`, "amount_minor"},
		"small letters":    {swap("EUR", "eur"), "currency"},
		"no such currency": {swap("EUR", "EUX"), "currency"},
		"empty currency":   {swap("EUR", ""), "currency"},
		"empty reference":  {swap("pay_1", ""), "reference"},
		"long reference":   {swap("pay_1", strings.Repeat("r", 256)), "reference"},
		"NUL":              {swap("pay_1", `a\u0000b`), "reference"},
		"a number":         {swap(`"pay_1"`, "1"), "reference"},
		"token null":       {swap(`"tok_ok"`, "null"), "token"},
		"unknown member":   {swap(`"token"`, `"extra":1,"token"`), "extra"},
		"other case":       {swap("amount_minor", "Amount_Minor"), "Amount_Minor"},
		"twice":            {swap(`"token"`, `"amount_minor":1,"token"`), "amount_minor"},
		"trailing":         {oneCharge + "{}", ""},
		"not closed":       {oneCharge[:len(oneCharge)-1], ""},
		"an array":         {"[" + oneCharge + "]", ""},
		"not JSON":         {"amount_minor=4200", ""},
		"not UTF-8":        {swap("pay_1", "pay_\xff"), ""},
	} {
		got := s.must("POST", "/v1/charges", bad.body, "Idempotency-Key", "k")
		if got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.status, got.body)
			continue
		}
		expect(t, got, http.StatusBadRequest, "invalid_request")
		body := decode[struct{ Error struct{ Param string } }](t, got.body)
		if body.Error.Param != bad.param {
			t.Errorf("%s: param %q, want %q", name, body.Error.Param, bad.param)
		}
	}
	if n := len(s.ChargesByKey("k")); n != 0 {
		t.Errorf("%d charges, want 0", n)
	}
}

func TestTheEdgesOfAnAmountAreCharged(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	for _, amount := range []string{"1", "99999999"} {
		expect(t, s.must("POST", "/v1/charges", strings.Replace(oneCharge, "4200", amount, 1)), http.StatusCreated, "")
	}
}

func TestEveryRefusalOfTheDoorHasItsOwnStatus(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	long := strings.Repeat("k", 256)
	big := `{"reference":"` + strings.Repeat("r", 70_000) + `"}`
	for name, call := range map[string]struct {
		got    reply
		status int
		code   string
	}{
		"key too long":  {s.must("POST", "/v1/charges", oneCharge, "Idempotency-Key", long), 400, "idempotency_key_invalid"},
		"key empty":     {s.must("POST", "/v1/charges", oneCharge, "Idempotency-Key", ""), 400, "idempotency_key_invalid"},
		"key twice":     {s.must("POST", "/v1/charges", oneCharge, "Idempotency-Key", "a", "Idempotency-Key", "b"), 400, "idempotency_key_invalid"},
		"key with gap":  {s.must("POST", "/v1/charges", oneCharge, "Idempotency-Key", "a b"), 400, "idempotency_key_invalid"},
		"basic auth":    {s.must("POST", "/v1/charges", oneCharge, "Authorization", "Basic eDp5"), 401, "unauthorized"},
		"empty bearer":  {s.must("GET", "/v1/charges", "", "Authorization", "Bearer "), 401, "unauthorized"},
		"no such path":  {s.must("GET", "/v1/nothing", ""), 404, "not_found"},
		"no such row":   {s.must("GET", "/v1/charges/ch_none", ""), 404, "not_found"},
		"no such mail":  {s.must("GET", "/mailbox/messages/msg_none", ""), 404, "not_found"},
		"delete":        {s.must("DELETE", "/v1/charges", ""), 405, "method_not_allowed"},
		"get cancel":    {s.must("PUT", "/v1/charges/cancel", ""), 405, "method_not_allowed"},
		"body too big":  {s.must("POST", "/v1/charges", big), 413, "body_too_large"},
		"cancel no key": {s.must("POST", "/v1/charges/cancel", `{}`), 400, "invalid_request"},
		"cancel empty":  {s.must("POST", "/v1/charges/cancel", `{"idempotency_key":""}`), 400, "invalid_request"},
		"limit zero":    {s.must("GET", "/v1/charges?limit=0", ""), 400, "invalid_request"},
		"limit huge":    {s.must("GET", "/v1/charges?limit=1001", ""), 400, "invalid_request"},
		"from no time":  {s.must("GET", "/v1/charges?created_from=yesterday", ""), 400, "invalid_request"},
		"lost key":      {s.must("GET", "/v1/charges?idempotency_key=", ""), 400, "invalid_request"},
		"lost ref":      {s.must("GET", "/v1/charges?reference=", ""), 400, "invalid_request"},
		"odd mood":      {s.must("POST", "/v1/behaviour", `{"outage":"sometimes"}`), 400, "invalid_request"},
		"odd latency":   {s.must("POST", "/v1/behaviour", `{"latency_ms":-1}`), 400, "invalid_request"},
	} {
		t.Log(name)
		expect(t, call.got, call.status, call.code)
	}
	// RFC 3339 has offsets that Postgres has not.
	if got := s.must("GET", "/v1/charges?created_from=2026-01-01T00:00:00%2B16:00", ""); got.status != http.StatusOK {
		t.Errorf("a time of a far zone: %d", got.status)
	}
}

func TestABodyOfAnotherTypeIs415(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	if got := s.must("POST", "/v1/charges", oneCharge, "Content-Type", "text/plain"); got.status != http.StatusUnsupportedMediaType {
		t.Errorf("got %d, want 415", got.status)
	}
}

func TestAMethodThatIsNotOfferedNamesTheOnesThatAre(t *testing.T) {
	t.Parallel()
	s := open(t, world.Options{})
	if got := s.must("DELETE", "/v1/charges", ""); got.header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow is %q", got.header.Get("Allow"))
	}
}
