package httpapi_test

import (
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/provider"
)

// apart is a payment that was declined here and charged there.
func (e *edge) apart() wire.Payment {
	e.t.Helper()
	p := e.order().Payment
	if r := e.capture(p, uuid.NewString(), "tok_declined"); r.Status != 402 {
		e.t.Fatalf("%d %s", r.Status, r.Body)
	}
	e.bank.mu.Lock()
	e.bank.charges[len(e.bank.charges)-1].Status = provider.Succeeded
	e.bank.mu.Unlock()
	e.problem(e.capture(p, uuid.NewString(), "tok_ok"), 409, "payment-needs-review")
	return p
}

func (e *edge) resolveAs(token string, p wire.Payment, body string) reply {
	e.t.Helper()
	return e.send("POST", "/v1/ops/payments/"+p.ID+"/resolve", map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"}, body)
}

func (e *edge) openAlerts() (n int) {
	e.t.Helper()
	var list wire.AlertList
	e.decode(e.get("/v1/ops/alerts"), 200, &list)
	for _, a := range list.Data {
		if a.State == wire.AlertStateOpen {
			n++
		}
	}
	return n
}

const accept = `{"decision":"accept_provider","reason":"the buyer's bank shows it"}`

func TestAPersonDecidesOnceWithAReasonAndTheAlertCloses(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	p := e.apart()
	if n := e.openAlerts(); n != 1 {
		t.Fatalf("%d open alerts, want 1", n)
	}
	e.problem(e.resolveAs(e.key, p, `{"decision":"keep_ours","reason":"we like it so"}`), 409, "books-still-apart")
	if n := e.openAlerts(); n != 1 {
		t.Errorf("%d open alerts after a refused decision, want 1", n)
	}
	var done wire.PaymentResolution
	e.decode(e.resolveAs(e.key, p, accept), 202, &done)
	if done.Payment.Status != wire.PaymentStatusCaptured || done.DecidedBy[:4] != "mer_" || done.AttemptNo != 1 {
		t.Errorf("%+v", done)
	}
	if n := e.openAlerts(); n != 0 {
		t.Errorf("%d open alerts after the decision, want 0", n)
	}
	e.problem(e.resolveAs(e.key, p, accept), 409, "nothing-to-resolve")
	if n := e.count(`SELECT count(*) FROM payment_resolutions WHERE reason = 'the buyer''s bank shows it' AND decided_by LIKE 'mer_%'`); n != 1 {
		t.Errorf("%d decisions written down, want 1", n)
	}
}

func TestADecisionIsTheOwnersOrTheOperatorsAndNeedsAReason(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	p := e.apart()
	e.problem(e.resolveAs(e.newKey(), p, accept), 404, "not-found")
	for _, body := range []string{`{"decision":"accept_provider"}`, `{"decision":"accept_provider","reason":""}`,
		`{"decision":"shrug","reason":"r"}`, `{"decision":"keep_ours","reason":"a\u0000b"}`} {
		e.problem(e.resolveAs(e.key, p, body), 400, "invalid-request")
	}
	if n := e.count(`SELECT count(*) FROM payment_resolutions`); n != 0 {
		t.Fatalf("%d decisions, want 0", n)
	}
	var done wire.PaymentResolution
	e.decode(e.resolveAs(operatorToken, p, accept), 202, &done)
	if done.DecidedBy != "operator" {
		t.Errorf("decided by %q", done.DecidedBy)
	}
}

func TestWhileTheProviderIsAwayNobodyDecidesAboutItsBooks(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	p := e.apart()
	e.bank.mu.Lock()
	e.bank.away = true
	e.bank.mu.Unlock()
	r := e.resolveAs(e.key, p, accept)
	if doc := e.problem(r, 503, "provider-unavailable"); doc.Executed == nil || *doc.Executed != "no" || r.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

// The checks count a difference as held only while an alert is open. A decision
// closes the alert, so it must leave no difference behind.
func TestAfterADecisionTheChecksHoldWithoutAnAlert(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	p := e.apart()
	aged := func() {
		e.exec(`UPDATE payment_attempts SET sent_at = sent_at - interval '1 hour', finished_at = finished_at - interval '1 hour'`)
	}
	held := func() map[string]bool {
		report, err := audit.New(audit.Options{DB: e.db, Books: e.bank, Mailbox: e.box}).CheckAll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ok := map[string]bool{}
		for _, i := range report.Invariants {
			ok[i.ID] = i.OK
		}
		return ok
	}
	aged()
	if !held()["charge_matches"] {
		t.Error("an open alert names the difference, yet charge_matches is red")
	}
	e.exec(`UPDATE alerts SET state = 'resolved'`)
	if held()["charge_matches"] {
		t.Error("nobody has decided and no alert is open, yet charge_matches is green")
	}
	e.exec(`UPDATE alerts SET state = 'open'`)
	if r := e.resolveAs(e.key, p, accept); r.Status != 202 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	aged()
	for _, id := range []string{"one_charge", "charge_matches", "stored_outcome", "no_lost_event"} {
		if !held()[id] {
			t.Errorf("%s is red after the decision", id)
		}
	}
	if got := e.capture(p, uuid.NewString(), "tok_ok"); got.Status != 200 {
		t.Errorf("a buyer who asks again gets %d %s", got.Status, got.Body)
	}
}
