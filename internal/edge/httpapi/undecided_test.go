package httpapi_test

import (
	"testing"

	"payonce/internal/edge/wire"
	"payonce/internal/shop/provider"
)

func (e *edge) undecided(rest string) wire.PaymentList {
	e.t.Helper()
	var list wire.PaymentList
	e.decode(e.get("/v1/payments?undecided=true"+rest), 200, &list)
	return list
}

func TestTheUndecidedPaymentsAreListedHoweverManyAreDecided(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	if list := e.undecided(""); len(list.Data) != 0 || list.NextCursor != nil {
		t.Errorf("%+v", list)
	}
	doubt, running := e.order(), e.order()
	e.bank.failing(provider.ErrInDoubt)
	if r := e.capture(doubt.Payment, "doubt", "tok_ok"); r.Status != 202 {
		t.Fatal(r)
	}
	e.bank.failing(nil)
	// Decided ones and untouched ones, more than a page of them, all newer.
	declined := e.order()
	e.capture(declined.Payment, "declined", "tok_declined")
	e.paid()
	e.order()
	e.exec(`
WITH o AS (
  INSERT INTO orders (id, merchant_id, request_key, status, email, amount_minor, currency, items)
  SELECT gen_random_uuid(), merchant_id, 'many-' || n, 'awaiting_payment', email, amount_minor, currency, items
    FROM generate_series(1, 120) AS n, (SELECT * FROM orders LIMIT 1) AS one RETURNING *
)
INSERT INTO payments (id, merchant_id, order_id, status, amount_minor, currency)
SELECT ('ffffffff' || substr(id::text, 9))::uuid, merchant_id, id, 'requires_capture', amount_minor, currency FROM o`)
	// A charge is on its way for as long as the provider has, so it is the last to begin.
	hold, answered := make(chan struct{}), make(chan reply, 1)
	e.bank.mu.Lock()
	e.bank.hold = hold
	calls := e.bank.calls
	e.bank.mu.Unlock()
	go func() { answered <- e.capture(running.Payment, "running", "tok_ok") }()
	eventually(t, "the charge is on its way", func() bool { e.bank.mu.Lock(); defer e.bank.mu.Unlock(); return e.bank.calls > calls })
	e.bank.mu.Lock()
	e.bank.hold = nil
	e.bank.mu.Unlock()

	first := e.undecided("&limit=1")
	if len(first.Data) != 1 || first.Data[0].ID != running.Payment.ID || first.Data[0].Status != wire.PaymentStatusCapturing || first.NextCursor == nil {
		t.Fatalf("%+v", first)
	}
	second := e.undecided("&limit=1&cursor=" + *first.NextCursor)
	if len(second.Data) != 1 || second.Data[0].ID != doubt.Payment.ID || second.Data[0].Status != wire.PaymentStatusInDoubt || second.NextCursor != nil {
		t.Errorf("%+v", second)
	}
	mine := e.key
	e.key = e.newKey()
	if list := e.undecided(""); len(list.Data) != 0 {
		t.Errorf("a stranger sees %+v", list)
	}
	e.key = mine
	close(hold)
	<-answered
	e.capture(doubt.Payment, "doubt", "tok_ok")
	if list := e.undecided(""); len(list.Data) != 0 {
		t.Errorf("decided by now: %+v", list)
	}
	var all wire.PaymentList
	if e.decode(e.get("/v1/payments?undecided=false&limit=100"), 200, &all); len(all.Data) != 100 {
		t.Errorf("%d of all", len(all.Data))
	}
	e.problem(e.get("/v1/payments?undecided=perhaps"), 400, "invalid-request")
}

func TestTwoTabsTwoCardsTheSecondIsSentOnceTheFirstIsDeclined(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o, hold, answered := e.order(), make(chan struct{}), make(chan reply, 1)
	e.bank.hold = hold
	go func() { answered <- e.capture(o.Payment, "tab-1", "tok_declined") }()
	eventually(t, "the charge is on its way", func() bool { e.bank.mu.Lock(); defer e.bank.mu.Unlock(); return e.bank.calls == 1 })
	e.problem(e.capture(o.Payment, "tab-2", "tok_ok"), 409, "idempotency-key-in-progress")
	close(hold)
	e.problem(<-answered, 402, "payment-declined")
	var paid wire.Payment
	r := e.capture(o.Payment, "tab-2", "tok_ok")
	if e.decode(r, 200, &paid); paid.AttemptNo != 2 || r.Header.Get("Payonce-Matched") != "" {
		t.Errorf("%+v %v", paid, r.Header)
	}
	third := e.capture(o.Payment, "tab-3", "tok_slow")
	if e.decode(third, 200, &paid); paid.AttemptNo != 2 || third.Header.Get("Payonce-Matched") != "other-card" {
		t.Errorf("%+v %v", paid, third.Header)
	}
}
