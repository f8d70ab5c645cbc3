package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
)

func TestAPaymentsStoryIsReadPageByPageOldestFirstByItsOwnerOnly(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.paid()
	e.capture(o.Payment, "pay-"+o.ID, "tok_ok")
	at := "/v1/payments/" + o.Payment.ID + "/activity"
	var whole wire.ActivityList
	e.decode(e.get(at+"?limit=100"), 200, &whole)
	var kinds []string
	for _, a := range whole.Data {
		kinds = append(kinds, string(a.Kind))
	}
	if !slices.Contains(kinds, "replayed") || slices.Index(kinds, "claimed") < 0 || slices.Index(kinds, "claimed") > slices.Index(kinds, "replayed") {
		t.Fatalf("%q", kinds)
	}
	var read []wire.Activity
	for cursor := ""; ; {
		var part wire.ActivityList
		e.decode(e.get(at+"?limit=2"+cursor), 200, &part)
		read = append(read, part.Data...)
		if part.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *part.NextCursor
	}
	if len(read) != len(whole.Data) || read[len(read)-1].ID != whole.Data[len(read)-1].ID {
		t.Errorf("in pages %d events, at once %d", len(read), len(whole.Data))
	}
	e.problem(e.get(at+"?cursor=last"), 400, "invalid-request")
	e.problem(e.get("/v1/payments/"+wire.PrefixPayment.ID(uuid.New())+"/activity"), 404, "not-found")
	e.key = e.newKey()
	e.problem(e.get(at), 404, "not-found")
}

func TestASandboxSeesTheRowsBehindItsPaymentsAndNobodyElses(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o, other := e.paid(), e.paid()
	e.decode(e.refund(o.Payment, "R", ""), 202, &wire.Refund{})
	rowsOf := func(query string) (n map[string]int, body string) {
		r := e.get("/v1/rows" + query)
		var list wire.TableList
		e.decode(r, 200, &list)
		n = map[string]int{}
		for _, table := range list.Data {
			n[table.Table] = len(table.Rows)
			for _, row := range table.Rows {
				if len(row) != len(table.Columns) {
					t.Errorf("%s: %d values in %d columns", table.Table, len(row), len(table.Columns))
				}
			}
		}
		return n, r.Body
	}
	all, body := rowsOf("")
	want := map[string]int{"payments": 2, "payment_attempts": 2, "idempotency_keys": 5, "sagas": 1, "saga_steps": 4, "ledger_entries": 0}
	for table, n := range want {
		if all[table] != n {
			t.Errorf("%d rows of %s, want %d", all[table], table, n)
		}
	}
	if all["outbox_events"] < 5 || strings.Contains(body, "tok_ok") {
		t.Errorf("%d events, or a secret, in %s", all["outbox_events"], body)
	}
	one, _ := rowsOf("?payment_id=" + other.Payment.ID)
	if one["payments"] != 1 || one["sagas"] != 0 || one["idempotency_keys"] != 2 {
		t.Errorf("of one payment: %v", one)
	}
	e.problem(e.get("/v1/rows?payment_id=pay_1"), 400, "invalid-request")
	e.key = e.newKey()
	for _, query := range []string{"", "?payment_id=" + o.Payment.ID} {
		foreign, _ := rowsOf(query)
		for table, n := range foreign {
			if n != 0 {
				t.Errorf("a stranger sees %d rows of %s", n, table)
			}
		}
	}
}

func TestAResetGivesAnEmptySandboxAndDeletesNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	old := e.visit(nil)
	as := func(c *http.Cookie, method, path string) reply {
		return e.send(method, path, map[string]string{"Cookie": c.Name + "=" + c.Value, "Sec-Fetch-Site": "same-origin"}, "")
	}
	var before, fresh wire.Sandbox
	e.decode(as(old, "GET", "/v1/sandboxes/current"), 200, &before)
	r := as(old, "POST", "/v1/sandboxes/current/reset")
	e.decode(r, 201, &fresh)
	cookies := (&http.Response{Header: r.Header}).Cookies()
	if fresh.MerchantID == before.MerchantID || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("%+v after %+v, cookies %v", fresh, before, cookies)
	}
	var now wire.Sandbox
	if e.decode(as(cookies[0], "GET", "/v1/sandboxes/current"), 200, &now); now.MerchantID != fresh.MerchantID {
		t.Errorf("the new cookie is %s, want %s", now.MerchantID, fresh.MerchantID)
	}
	e.problem(as(old, "GET", "/v1/sandboxes/current"), 401, "authentication-required")
	e.problem(e.send("GET", "/v1/payments", map[string]string{"Authorization": "Bearer " + before.APIKey}, ""), 401, "authentication-required")
	if again := e.visit(map[string]string{"Cookie": old.Name + "=" + old.Value}); again == nil || again.Value == old.Value {
		t.Errorf("a page that is opened with a revoked cookie gives no other: %v", again)
	}
	e.problem(e.send("POST", "/v1/sandboxes/current/reset", map[string]string{"Cookie": cookies[0].Name + "=" + cookies[0].Value, "Sec-Fetch-Site": "cross-site"}, ""), 403, "cross-site-request")
	e.problem(e.send("POST", "/v1/sandboxes/current/reset", nil, ""), 401, "authentication-required")
}

func TestTheCatalogueOfEventsIsServed(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	var list wire.EventTypeList
	e.decode(e.get("/v1/event-types"), 200, &list)
	i := slices.IndexFunc(list.Data, func(d wire.EventType) bool { return d.Type == "payment.captured" })
	if i < 0 || fmt.Sprint(list.Data[i].Readers) != "[ledger tickets email]" || !slices.Contains(list.Data[i].Fields, "provider_charge_id") {
		t.Errorf("%+v", list.Data)
	}
}
