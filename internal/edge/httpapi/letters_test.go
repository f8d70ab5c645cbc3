package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/retention"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/event"
	"payonce/once/retry"
)

// withLetters gives the edge dead letters and counts the wake-ups.
func withLetters(t *testing.T) (*edge, *int) {
	t.Helper()
	woken := 0
	e := newEdge(t, func(o *httpapi.Options) {
		o.Letters = event.DeadLetters(o.DB, 14*24*time.Hour)
		o.Wake = func() { woken++ }
	})
	return e, &woken
}

// bornDaysAgo is an event's id of another day.
func bornDaysAgo(days int) (id uuid.UUID) {
	id = uuid.Must(uuid.NewV7())
	ms := time.Now().AddDate(0, 0, -days).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id
}

// dies writes a letter of the edge's sandbox, or of nobody, and its alert.
func (e *edge) dies(merchant any, consumer, eventID string) string {
	e.t.Helper()
	id := uuid.Must(uuid.NewV7())
	payment := uuid.Must(uuid.NewV7())
	e.exec(`INSERT INTO dead_letters (id, merchant_id, consumer, event_id, type, class, reason, attempts, headers, payload, first_failed_at, last_failed_at)
		VALUES ($1, $2, $3, $4, 'payment.captured', 'permanent', 'a bug', 1,
		        jsonb_build_object('cloudEvents:subject', $5::text, 'payonce-aggregate-version', '1', 'payonce-correlation', $5::text), '{"schema":1}',
		        clock_timestamp(), clock_timestamp())`, id, merchant, consumer, eventID, payment.String())
	e.exec(`INSERT INTO alerts (id, merchant_id, kind, subject, facts) VALUES (uuid_v7(), $1, 'dead_letter', $2, '{}')`, merchant, consumer+"/"+eventID)
	return wire.PrefixLetter.ID(id)
}

func (e *edge) merchant() uuid.UUID {
	e.t.Helper()
	var current wire.Sandbox
	e.decode(e.get("/v1/sandboxes/current"), 200, &current)
	id, ok := wire.PrefixMerchant.Parse(current.MerchantID)
	if !ok {
		e.t.Fatal(current)
	}
	return id
}

const because = `{"reason":"the bug is fixed"}`

func (e *edge) asOperator(method, path, body string) reply {
	e.t.Helper()
	return e.send(method, path, map[string]string{"Authorization": "Bearer " + operatorToken, "Content-Type": "application/json"}, body)
}

func TestADeadLetterIsReplayedOnceWithItsReasonAndTheSecondTimeIs409(t *testing.T) {
	t.Parallel()
	e, woken := withLetters(t)
	id := uuid.Must(uuid.NewV7())
	path := "/v1/ops/dead-letters/" + e.dies(e.merchant(), "ledger", id.String())
	var detail wire.DeadLetterDetail
	e.decode(e.get(path), 200, &detail)
	if got := detail.Letter; got.State != "open" || got.EventID != wire.PrefixEvent.ID(id) || got.PaymentID == nil || len(got.Actions) != 2 || *detail.Payload != `{"schema":1}` {
		t.Errorf("%+v", detail)
	}
	for _, without := range []string{`{}`, `{"reason":""}`, `{"reason":"     "}`, `{"reason":"ok fine","who":"me"}`} {
		e.problem(e.post(path+"/replay", "", without), 400, "invalid-request")
	}
	var letter wire.DeadLetter
	e.decode(e.post(path+"/replay", "", because), 202, &letter)
	if letter.State != "replayed" || letter.ReplayNo != 1 || letter.ClosedAt == nil || len(letter.Actions) != 1 || *woken != 1 {
		t.Errorf("%+v, woken %d times", letter, *woken)
	}
	for _, verb := range []string{"replay", "apply", "discard"} {
		e.problem(e.post(path+"/"+verb, "", because), 409, "dead-letter-closed")
	}
	if n := e.count(`SELECT count(*) FROM outbox_events WHERE destination = 'ledger' AND event_id <> row_id AND replay_no = 1 AND published_at IS NULL`); n != 1 {
		t.Errorf("%d events are on their way", n)
	}
	if n := e.count(`SELECT count(*) FROM alerts WHERE kind = 'dead_letter' AND state = 'open'`); n != 0 {
		t.Errorf("%d alerts are open", n)
	}
	e.decode(e.get(path), 200, &detail)
	if d := detail.Decisions; len(d) != 1 || d[0].Who != wire.PrefixMerchant.ID(e.merchant()) || d[0].Reason != "the bug is fixed" || d[0].Action != "replay" {
		t.Errorf("%+v", d)
	}
}

func TestAnEventPastTheReplayLimitIs409AndCanBeAppliedByItsBusinessKeyOrDiscarded(t *testing.T) {
	t.Parallel()
	e, _ := withLetters(t)
	merchant := e.merchant()
	apply := "/v1/ops/dead-letters/" + e.dies(merchant, "tickets", bornDaysAgo(15).String())
	e.problem(e.post(apply+"/replay", "", because), 409, "dead-letter-too-old")
	var letter wire.DeadLetter
	e.decode(e.post(apply+"/apply", "", because), 202, &letter)
	if n := e.count(`SELECT count(*) FROM outbox_events WHERE destination = 'tickets' AND past_window`); n != 1 {
		t.Errorf("%d events are on their way", n)
	}
	unkeyed := "/v1/ops/dead-letters/" + e.dies(merchant, "stranger", bornDaysAgo(15).String())
	e.problem(e.post(unkeyed+"/apply", "", because), 409, "dead-letter-no-business-key")
	e.decode(e.post(unkeyed+"/discard", "", because), 202, &letter)
	young := "/v1/ops/dead-letters/" + e.dies(merchant, "ledger", bornDaysAgo(13).String())
	e.problem(e.post(young+"/apply", "", because), 409, "dead-letter-still-replayable")
	hash := "/v1/ops/dead-letters/" + e.dies(merchant, "ledger", "sha256:"+strings.Repeat("a", 64))
	e.problem(e.post(hash+"/replay", "", because), 409, "dead-letter-unreadable")
	e.decode(e.post(hash+"/discard", "", because), 202, &letter)
	if letter.State != "discarded" || letter.EventAt != nil {
		t.Errorf("%+v", letter)
	}
}

func TestForeignLettersAreOnlyCountedAndThoseOfNobodyAreTheOperators(t *testing.T) {
	t.Parallel()
	e, _ := withLetters(t)
	mine := e.merchant()
	var own []string
	for range 3 {
		own = append(own, e.dies(mine, "email", uuid.Must(uuid.NewV7()).String()))
	}
	nobodys := e.dies(nil, "email", uuid.Must(uuid.NewV7()).String())
	owner := e.key
	e.key = e.newKey()
	foreign := e.dies(e.merchant(), "email", uuid.Must(uuid.NewV7()).String())
	e.key = owner

	var first, second wire.DeadLetterList
	e.decode(e.get("/v1/ops/dead-letters?limit=2"), 200, &first)
	if len(first.Data) != 2 || first.ForeignOpen != 2 || first.NextCursor == nil || first.Data[0].ID != own[2] {
		t.Fatalf("%+v", first)
	}
	e.decode(e.get("/v1/ops/dead-letters?limit=2&cursor="+*first.NextCursor), 200, &second)
	if len(second.Data) != 1 || second.NextCursor != nil || second.Data[0].ID != own[0] {
		t.Errorf("%+v", second)
	}
	for _, id := range []string{foreign, nobodys, "dlt_" + strings.Repeat("0", 32), "42"} {
		e.problem(e.get("/v1/ops/dead-letters/"+id), 404, "not-found")
		e.problem(e.post("/v1/ops/dead-letters/"+id+"/discard", "", because), 404, "not-found")
	}
	var letter wire.DeadLetter
	e.decode(e.asOperator("POST", "/v1/ops/dead-letters/"+nobodys+"/discard", because), 202, &letter)
	var all wire.DeadLetterList
	e.decode(e.asOperator("GET", "/v1/ops/dead-letters?state=discarded", ""), 200, &all)
	if len(all.Data) != 1 || all.Data[0].ID != nobodys || all.ForeignOpen != 0 {
		t.Errorf("%+v", all)
	}
	e.problem(e.get("/v1/ops/dead-letters?state=lost"), 400, "invalid-request")
	e.problem(e.get("/v1/ops/dead-letters?cursor=pay_1"), 400, "invalid-request")
}

// The key's memory ends; the payment's own does not.
func TestALateRetryAfterTheKeysTTLConvergesByBusinessKey(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	first := e.capture(o.Payment, "K", "tok_ok")
	e.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp() - interval '1 second'`)
	e.sweep()
	if n := e.count(`SELECT count(*) FROM idempotency_keys`); n != 0 {
		t.Fatalf("%d keys are left", n)
	}
	again := e.capture(o.Payment, "K", "tok_ok")
	if again.Status != 200 || again.Body != first.Body || again.Header.Get("Payonce-Matched") != "business-key" || again.Header.Get("Idempotent-Replayed") != "false" {
		t.Errorf("%+v", again)
	}
	if e.bank.calls != 1 || len(e.bank.charges) != 1 {
		t.Errorf("the provider was called %d times", e.bank.calls)
	}
	// An order, too, is found by the key it was placed with, for ever.
	placed := e.post("/v1/orders", "order-key", newOrder)
	e.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp() - interval '1 second'`)
	e.sweep()
	var one, two wire.Order
	e.decode(placed, 201, &one)
	e.decode(e.post("/v1/orders", "order-key", newOrder), 201, &two)
	if one.ID != two.ID {
		t.Errorf("a second order: %s and %s", one.ID, two.ID)
	}
}

// sweep is what a worker does every minute.
func (e *edge) sweep() {
	e.t.Helper()
	w := retention.Defaults()
	w.Retries = retry.Production.Whole()
	k, err := retention.New(retention.Config{DB: e.db, Windows: w, Now: time.Now})
	if err == nil {
		err = k.RunOnce(e.t.Context())
	}
	if err != nil {
		e.t.Fatal(err)
	}
}
