package httpapi_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
)

func (e *edge) refund(p wire.Payment, key, rest string) reply {
	e.t.Helper()
	return e.post("/v1/refunds", key, fmt.Sprintf(`{"payment_id":%q,"reason":"changed my mind"%s}`, p.ID, rest))
}

// paid is a captured order.
func (e *edge) paid() wire.Order {
	e.t.Helper()
	o := e.order()
	if r := e.capture(o.Payment, "pay-"+o.ID, "tok_ok"); r.Status != 200 {
		e.t.Fatalf("%d %s", r.Status, r.Body)
	}
	return o
}

func TestARefundIsAcceptedReplayedListedAndShownWithItsSaga(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.paid()
	first, again := e.refund(o.Payment, "R", `,"amount_minor":3000`), e.refund(o.Payment, "R", `,"amount_minor":3000`)
	var made, read wire.Refund
	e.decode(first, 202, &made)
	if again.Body != first.Body || again.Header.Get("Idempotent-Replayed") != "true" || first.Header.Get("Location") != "/v1/refunds/"+made.ID {
		t.Errorf("%v %s", again.Header, again.Body)
	}
	e.decode(e.get("/v1/refunds/"+made.ID), 200, &read)
	if read != made || made.Status != wire.RefundStatusPending || made.AmountMinor != 3000 {
		t.Errorf("%+v, read %+v", made, read)
	}
	var rest wire.Refund
	e.decode(e.refund(o.Payment, "R2", ""), 202, &rest)
	if rest.AmountMinor != o.AmountMinor-3000 {
		t.Errorf("what is left is %d", rest.AmountMinor)
	}
	var list wire.RefundList
	e.decode(e.get("/v1/refunds?limit=1"), 200, &list)
	if len(list.Data) != 1 || list.Data[0].ID != rest.ID || list.NextCursor == nil {
		t.Errorf("%+v", list)
	}
	e.decode(e.get("/v1/refunds?limit=1&cursor="+*list.NextCursor), 200, &list)
	if len(list.Data) != 1 || list.Data[0].ID != made.ID {
		t.Errorf("%+v", list)
	}
	other := e.paid()
	for payment, want := range map[string]int{o.Payment.ID: 2, other.Payment.ID: 0, wire.PrefixPayment.ID(uuid.New()): 0} {
		if e.decode(e.get("/v1/refunds?payment_id="+payment), 200, &list); len(list.Data) != want {
			t.Errorf("%s has %d refunds, want %d", payment, len(list.Data), want)
		}
	}
	e.problem(e.get("/v1/refunds?payment_id=pay_1"), 400, "invalid-request")
	var saga wire.Saga
	e.decode(e.get("/v1/refunds/"+made.ID+"/saga"), 200, &saga)
	if saga.State != wire.SagaStateRunning || len(saga.Steps) != 4 || saga.Steps[1].Status != wire.SagaStepStatusSkipped || !saga.Steps[2].Pivot || saga.RefundID != made.ID {
		t.Errorf("%+v", saga)
	}
}

func TestEveryRefusalOfARefundHasItsProblem(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.paid()
	e.problem(e.refund(e.order().Payment, "early", ""), 409, "payment-not-captured")
	e.problem(e.refund(o.Payment, "much", `,"amount_minor":99999999`), 422, "refund-exceeds-captured")
	e.problem(e.refund(o.Payment, "", ""), 400, "idempotency-key-missing")
	e.problem(e.refund(o.Payment, "zero", `,"amount_minor":0`), 400, "invalid-request")
	e.problem(e.refund(wire.Payment{ID: wire.PrefixPayment.ID(uuid.New())}, "unknown", ""), 404, "not-found")
	if r := e.refund(o.Payment, "R", `,"amount_minor":1`); r.Status != 202 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	e.problem(e.refund(o.Payment, "R", `,"amount_minor":2`), 422, "idempotency-key-reused")
	if r := e.refund(o.Payment, "much", `,"amount_minor":99999999`); r.Header.Get("Idempotent-Replayed") != "true" {
		t.Error("a refusal that is an outcome is stored")
	}
	e.key = e.newKey()
	e.problem(e.refund(o.Payment, "R", ""), 404, "not-found")
	for _, path := range []string{"/v1/refunds/ref_1", "/v1/refunds/" + wire.PrefixRefund.ID(uuid.New()) + "/saga"} {
		e.problem(e.get(path), 404, "not-found")
	}
}

func TestAPersonDecidesAboutAStuckSagaOnce(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	var made wire.Refund
	e.decode(e.refund(e.paid().Payment, "R", ""), 202, &made)
	var saga wire.Saga
	e.decode(e.get("/v1/refunds/"+made.ID+"/saga"), 200, &saga)
	at := "/v1/ops/sagas/" + saga.ID
	resolve := func() reply { return e.post(at+"/resolve", "", `{"outcome":"completed","reason":"seen at the bank"}`) }
	e.problem(e.post(at+"/retry", "", ""), 409, "saga-not-stuck")
	e.problem(resolve(), 409, "saga-not-stuck")

	stuck := func() {
		e.exec(`UPDATE sagas SET state = 'stuck', position = 3`)
		e.exec(`UPDATE saga_steps SET status = 'done' WHERE position < 3`)
		e.exec(`UPDATE saga_steps SET status = 'started', started_at = clock_timestamp() WHERE position = 3`)
	}
	stuck()
	e.decode(e.post(at+"/retry", "", ""), 202, &saga)
	e.problem(e.post(at+"/retry", "", ""), 409, "saga-not-stuck")
	if saga.State != wire.SagaStateRunning || e.count(`SELECT count(*) FROM outbox_events WHERE type = 'ledger.settle_refund'`) != 1 {
		t.Errorf("%+v", saga)
	}
	stuck()
	e.problem(e.post(at+"/resolve", "", `{"outcome":"compensated","reason":"no"}`), 409, "saga-past-pivot")
	e.problem(e.post(at+"/resolve", "", `{"outcome":"completed"}`), 400, "invalid-request")
	key := e.key
	e.key = e.newKey()
	e.problem(resolve(), 404, "not-found")
	e.key = key
	e.decode(resolve(), 202, &saga)
	e.problem(resolve(), 409, "saga-not-stuck")
	if saga.State != wire.SagaStateCompleted || *saga.ResolvedReason != "seen at the bank" || saga.ResolvedBy == nil {
		t.Errorf("%+v", saga)
	}
	e.decode(e.get("/v1/refunds/"+made.ID), 200, &made)
	if made.Status != wire.RefundStatusSucceeded {
		t.Errorf("%+v", made)
	}
	var list wire.SagaList
	e.decode(e.get("/v1/ops/sagas"), 200, &list)
	if len(list.Data) != 1 || list.Data[0].ID != saga.ID {
		t.Errorf("%+v", list)
	}
}

func TestATicketIsUsedOnceAndSomebodyElsesNever(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.paid()
	id := uuid.Must(uuid.NewV7())
	e.exec(`INSERT INTO tickets (id, merchant_id, order_id, payment_id, line, number, code)
SELECT $1, merchant_id, order_id, id, 1, 1, 'AAAA' FROM payments WHERE 'pay_' || replace(id::text, '-', '') = $2`, id, o.Payment.ID)
	in := "/v1/tickets/" + wire.PrefixTicket.ID(id) + "/check-in"
	var used wire.Ticket
	e.decode(e.post(in, "", ""), 200, &used)
	if used.Status != wire.TicketStatusUsed {
		t.Errorf("%+v", used)
	}
	e.problem(e.post(in, "", ""), 409, "ticket-used")
	e.exec(`UPDATE tickets SET status = 'void'`)
	e.problem(e.post(in, "", ""), 409, "ticket-void")
	e.key = e.newKey()
	e.problem(e.post(in, "", ""), 404, "not-found")
}
