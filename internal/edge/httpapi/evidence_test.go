package httpapi_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/audit"
	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/observe"
	"payonce/internal/shop/provider"
)

func TestTwentyClicksAreTwentyAttemptsAndOneCharge(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	var clicks sync.WaitGroup
	for i := range 20 {
		clicks.Go(func() {
			key := "same"
			if i >= 15 {
				key = fmt.Sprintf("fresh-%d", i)
			}
			if r := e.capture(o.Payment, key, "tok_ok"); r.Status != 200 && r.Status != 409 {
				t.Errorf("%d %s", r.Status, r.Body)
			}
		})
	}
	clicks.Wait()
	var p wire.Proof
	eventually(t, "all twenty are journalled", func() bool {
		e.decode(e.get("/v1/payments/"+o.Payment.ID+"/proof"), 200, &p)
		n := int64(0)
		for _, c := range p.Attempts {
			n += c
		}
		return n == 20
	})
	if p.Attempts["executed"] != 1 || *p.Effects.Charges != 1 || *p.CountedBy.Charges != "provider" {
		t.Errorf("got %+v", p)
	}
	if p.Absorbed.Key != p.Attempts["replayed"]+p.Attempts["waited"] || p.Absorbed.BusinessKey != p.Attempts["matched"] ||
		1+p.Absorbed.Key+p.Absorbed.BusinessKey+p.Attempts["rejected"] != 20 {
		t.Errorf("got %+v", p)
	}
	var list wire.AttemptList
	e.decode(e.get("/v1/payments/"+o.Payment.ID+"/attempts?limit=15"), 200, &list)
	if len(list.Data) != 15 || list.NextCursor == nil {
		t.Fatalf("%d attempts, cursor %v", len(list.Data), list.NextCursor)
	}
	var rest wire.AttemptList
	e.decode(e.get("/v1/payments/"+o.Payment.ID+"/attempts?limit=15&cursor="+*list.NextCursor), 200, &rest)
	if len(rest.Data) != 5 || rest.NextCursor != nil || rest.Dropped != 0 {
		t.Errorf("%d attempts more, cursor %v", len(rest.Data), rest.NextCursor)
	}
}

func TestTheProofCountsWhatTheWorldSaysAndAdmitsWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	if r := e.capture(o.Payment, "k", "tok_ok"); r.Status != 200 {
		t.Fatal(r)
	}
	id, _ := wire.PrefixPayment.Parse(o.Payment.ID)
	var merchant uuid.UUID
	if err := e.db.Get(t.Context(), &merchant, `SELECT merchant_id FROM payments WHERE id = $1`, id); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		e.journal.Observe(t.Context(), observe.Event{Kind: observe.Delivered, Node: "ledger", Scope: merchant, Correlation: id})
	}
	e.journal.Observe(t.Context(), observe.Event{Kind: observe.Absorbed, Node: "ledger", Scope: merchant, Correlation: id})
	e.journal.Observe(t.Context(), observe.Event{Kind: observe.Sent, Node: "api", Scope: merchant, Correlation: id, Attempt: 1})
	e.box.mails = []audit.Mail{{MessageID: "<receipt." + o.Payment.ID + "@payonce>", Deliveries: 2}}
	var p wire.Proof
	e.decode(e.get("/v1/payments/"+o.Payment.ID+"/proof"), 200, &p)
	if *p.BrokerDeliveries != 3 || *p.Absorbed.Inbox != 1 || *p.Absorbed.Provider != 1 || *p.Effects.Mails != 1 || *p.CountedBy.Mails != "mailbox" ||
		*p.Effects.Charges != 1 || *p.Effects.Tickets != 0 || *p.Effects.LedgerTransactions != 0 || !p.Complete {
		t.Errorf("got %+v", p)
	}
	if *p.Expected.Tickets != 2 || *p.Expected.Charges != 1 || *p.Expected.Mails != 1 || *p.Expected.LedgerTransactions != 1 {
		t.Errorf("expected %+v", p.Expected)
	}
	// The journal forgets the beginning of the story: what is left of it is no count.
	e.exec(`DELETE FROM activity WHERE kind = 'committed' AND facts->>'operation' = 'order'`)
	e.decode(e.get("/v1/payments/"+o.Payment.ID+"/proof"), 200, &p)
	if p.BrokerDeliveries != nil || p.Absorbed.Inbox != nil || p.Absorbed.Provider != nil || p.Complete {
		t.Errorf("got %+v", p)
	}
}

func TestAnAttemptThatItsProcessCouldNotJournalIsCountedAndListedOnce(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	if r := e.capture(o.Payment, "k", "tok_ok"); r.Status != 200 {
		t.Fatal(r)
	}
	id, _ := wire.PrefixPayment.Parse(o.Payment.ID)
	count := func() (p wire.Proof, list wire.AttemptList) {
		e.decode(e.get("/v1/payments/"+o.Payment.ID+"/proof"), 200, &p)
		e.decode(e.get("/v1/payments/"+o.Payment.ID+"/attempts"), 200, &list)
		return p, list
	}
	// Taken over from one that sleeps: what it journals when it wakes is the same attempt.
	e.exec(`UPDATE payment_attempts SET fence = 2 WHERE payment_id = $1`, id)
	if p, list := count(); len(p.Attempts) != 1 || p.Attempts["executed"] != 1 || len(list.Data) != 1 {
		t.Errorf("one that woke: %v, %d listed", p.Attempts, len(list.Data))
	}
	// Taken over from one that was killed: it journalled nothing.
	e.exec(`DELETE FROM attempts WHERE payment_id = $1 AND operation = 'capture'`, id)
	p, list := count()
	if len(p.Attempts) != 1 || p.Attempts["interrupted"] != 1 || len(list.Data) != 1 {
		t.Fatalf("one that was killed: %v, %d listed", p.Attempts, len(list.Data))
	}
	if a := list.Data[0]; a.Fate != "interrupted" || a.StatusCode != 0 || a.IdempotencyKey != "k" || len(a.TraceID) != 32 {
		t.Errorf("got %+v", a)
	}
	// And of a payment whose attempts are past their age, none is invented.
	e.exec(`DELETE FROM attempts WHERE payment_id = $1`, id)
	if p, list := count(); len(p.Attempts) != 0 || len(list.Data) != 0 {
		t.Errorf("past their age: %v, %d listed", p.Attempts, len(list.Data))
	}
}

func TestTheQuestionWhatBecameOfAChargeIsNoRepeatedCharge(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	if r := e.capture(o.Payment, "k", "tok_ok"); r.Status != 200 {
		t.Fatal(r)
	}
	id, _ := wire.PrefixPayment.Parse(o.Payment.ID)
	var merchant uuid.UUID
	if err := e.db.Get(t.Context(), &merchant, `SELECT merchant_id FROM payments WHERE id = $1`, id); err != nil {
		t.Fatal(err)
	}
	e.journal.Observe(t.Context(), observe.Event{Kind: observe.Sent, Node: "api", Scope: merchant, Correlation: id, Attempt: 1, Detail: "recovery"})
	var p wire.Proof
	e.decode(e.get("/v1/payments/"+o.Payment.ID+"/proof"), 200, &p)
	if *p.Absorbed.Provider != 0 {
		t.Errorf("absorbed by the provider: %d", *p.Absorbed.Provider)
	}
}

func TestWithoutAMailboxMailsAreUnknownAndNotNone(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(o *httpapi.Options) { o.Mailbox = nil })
	o := e.order()
	var p wire.Proof
	e.decode(e.get("/v1/payments/"+o.Payment.ID+"/proof"), 200, &p)
	if p.Effects.Mails != nil || p.CountedBy.Mails != nil || p.Complete || *p.Effects.Charges != 0 || *p.Expected.Charges != 0 {
		t.Errorf("got %+v", p)
	}
}

// partial is a provider of whose lists one cannot be read to its end.
type partial struct {
	provider.Books
	charges, refunds bool
}

func (p partial) ChargesByReference(ctx context.Context, reference string) ([]provider.Charge, error) {
	charges, err := p.Books.ChargesByReference(ctx, reference)
	if p.charges {
		return nil, provider.ErrIncomplete
	}
	return append(charges, provider.Charge{ID: "ch_other", Status: provider.Succeeded}), err
}

func (p partial) RefundsOfCharge(ctx context.Context, charge string) ([]provider.Refund, error) {
	if p.refunds {
		return nil, provider.ErrIncomplete
	}
	return p.Books.RefundsOfCharge(ctx, charge)
}

func TestAProofWithoutTheProvidersWholeListCountsNoCharges(t *testing.T) {
	t.Parallel()
	for _, part := range []partial{{charges: true}, {refunds: true}} {
		e := newEdge(t, func(o *httpapi.Options) { part.Books = o.Books; o.Books = part })
		o := e.order()
		if r := e.capture(o.Payment, "k", "tok_ok"); r.Status != 200 {
			t.Fatal(r)
		}
		var p wire.Proof
		e.decode(e.get("/v1/payments/"+o.Payment.ID+"/proof"), 200, &p)
		if p.Effects.Charges != nil || p.CountedBy.Charges != nil || p.Complete || *p.Expected.Charges != 1 {
			t.Errorf("got %+v", p)
		}
	}
}

func TestEachRefusalIsAnAttemptWithItsFate(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	e.capture(o.Payment, "k", "tok_ok")
	e.capture(o.Payment, "k", "tok_ok")
	e.capture(o.Payment, "k", "tok_other")
	e.capture(o.Payment, "k2", "tok_ok")
	e.post("/v1/payments/"+o.Payment.ID+"/capture", "", captureBody(o.Payment, "tok_ok"))
	e.post("/v1/payments/"+o.Payment.ID+"/capture", "k3", `{`)
	eventually(t, "six captures are journalled", func() bool {
		e.flush()
		return e.count(`SELECT count(*) FROM attempts WHERE operation = 'capture'`) == 6
	})
	for fate, n := range map[string]int{"executed": 1, "replayed": 1, "matched": 1, "rejected": 3} {
		if got := e.count(`SELECT count(*) FROM attempts WHERE operation = 'capture' AND fate = $1`, fate); got != n {
			t.Errorf("%s: %d", fate, got)
		}
	}
	if n := e.count(`SELECT count(*) FROM attempts WHERE operation = 'order' AND fate = 'executed' AND trace_id <> ''`); n != 1 {
		t.Errorf("%d orders", n)
	}
}

func TestListsAreCutByCursorsThatNeitherRepeatNorHide(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	made := map[string]bool{}
	for range 5 {
		made[e.order().ID] = true
	}
	cursor, pages := "", 0
	for {
		var list wire.OrderList
		e.decode(e.get("/v1/orders?limit=2"+cursor), 200, &list)
		pages++
		for _, o := range list.Data {
			if !made[o.ID] {
				t.Errorf("%s came twice, or from nowhere", o.ID)
			}
			delete(made, o.ID)
		}
		e.order() // meanwhile
		if list.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *list.NextCursor
	}
	if len(made) != 0 || pages != 3 {
		t.Errorf("%d orders were hidden in %d pages", len(made), pages)
	}
	for _, query := range []string{"limit=0", "limit=101", "limit=x", "limit=1.5", "limit=", "cursor=42", "cursor=pay_00000000000000000000000000000000"} {
		p := e.problem(e.get("/v1/orders?"+query), 400, "invalid-request")
		if p.Errors == nil || (*p.Errors)[0].Parameter == nil {
			t.Errorf("%s: %+v", query, p)
		}
	}
	var payments wire.PaymentList
	e.decode(e.get("/v1/payments?limit=3"), 200, &payments)
	if len(payments.Data) != 3 || payments.NextCursor == nil {
		t.Errorf("got %+v", payments)
	}
}

func TestProcessesQueuesAndAuditSpeakTheContract(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.exec(`INSERT INTO heartbeats (process, instance, pid, broker_ok, started_at, beat_at) VALUES ('relay', 'r', 1, true, now(), clock_timestamp()), ('worker', 'w', 2, false, now(), clock_timestamp() - interval '4 seconds')`)
	e.exec(`INSERT INTO queue_samples (queue, ready, consumers, sampled_at) VALUES ('ledger', 3, 1, now())`)
	e.order()
	var processes wire.ProcessList
	e.decode(e.get("/v1/processes"), 200, &processes)
	states := ""
	for _, p := range processes.Data {
		states += fmt.Sprintf("%s %s %d, ", p.Process, p.State, p.Instances)
	}
	if states != "api down 0, relay up 1, worker down 0, rabbitmq up 1, " {
		t.Errorf("got %s", states)
	}
	var queues wire.QueueList
	e.decode(e.get("/v1/ops/queues"), 200, &queues)
	if len(queues.Data) != 1 || queues.Outbox.Unpublished != 1 || queues.Outbox.OldestSeconds == nil {
		t.Errorf("got %+v", queues)
	}
	var report wire.Audit
	e.decode(e.get("/v1/audit"), 200, &report)
	if !report.Ok || len(report.Invariants) != 13 {
		t.Errorf("got %+v", report)
	}
}
