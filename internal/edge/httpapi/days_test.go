package httpapi_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/retention"
	"payonce/internal/edge/wire"
)

// A partition that is detached is there and takes no rows; one that is dropped is
// made again by a worker.
func TestWithoutAPartitionForTodayOrTomorrowNothingIsChargedAndTheAlertNamesIt(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"outbox_events", "consumer_inbox"} {
		for away, day := range []string{"today", "tomorrow"} {
			t.Run(table+" of "+day, func(t *testing.T) {
				t.Parallel()
				e := newEdge(t)
				p, other := e.order().Payment, e.order().Payment
				part := table + "_" + time.Now().UTC().AddDate(0, 0, away).Format("20060102")
				var bound string
				if err := e.db.Get(t.Context(), &bound, `SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = $1`, part); err != nil {
					t.Fatal(err)
				}
				e.exec(`ALTER TABLE ` + table + ` DETACH PARTITION ` + part)
				key := uuid.NewString()
				for _, token := range []string{"tok_ok", "tok_ok", "tok_declined"} {
					r := e.capture(p, key, token)
					if doc := e.problem(r, 503, "unavailable"); doc.Executed == nil || *doc.Executed != "no" || r.Header.Get("Retry-After") == "" {
						t.Errorf("%d %s", r.Status, r.Body)
					}
				}
				if e.bank.calls != 0 {
					t.Errorf("the provider was called %d times", e.bank.calls)
				}
				if part == "outbox_events_"+time.Now().UTC().Format("20060102") {
					e.problem(e.post("/v1/orders", uuid.NewString(), newOrder), 503, "unavailable")
				}
				if n := e.count(`SELECT count(*) FROM alerts WHERE state = 'open' AND kind = 'partition_missing' AND subject = $1`, part); n != 1 {
					t.Errorf("%d alerts name the partition", n)
				}
				e.sweep() // it cannot be made while it is there
				if n := e.count(`SELECT count(*) FROM alerts WHERE state = 'open' AND kind = $1`, retention.AlertMissing.Name); n != 1 {
					t.Errorf("%d alerts are open while it is missing", n)
				}
				e.exec(`ALTER TABLE ` + table + ` ATTACH PARTITION ` + part + ` ` + bound)
				if r := e.capture(p, key, "tok_ok"); r.Status != 200 || e.bank.calls != 1 {
					t.Errorf("%d %s, %d calls", r.Status, r.Body, e.bank.calls)
				}
				e.sweep()
				if n := e.count(`SELECT count(*) FROM alerts WHERE state = 'open'`); n != 0 {
					t.Errorf("%d alerts are open after it is there again", n)
				}
				e.exec(`DROP TABLE ` + table + "_" + time.Now().UTC().AddDate(0, 0, 1).Format("20060102"))
				e.problem(e.capture(other, uuid.NewString(), "tok_ok"), 503, "unavailable")
				e.sweep()
				if r := e.capture(other, uuid.NewString(), "tok_ok"); r.Status != 200 {
					t.Errorf("after a worker has made it: %d %s", r.Status, r.Body)
				}
			})
		}
	}
}

func TestAReplayToAQueueThatIsGoneIsRefusedAndOneThatWaitsIsTakenBack(t *testing.T) {
	t.Parallel()
	e, _ := withLetters(t)
	id := uuid.Must(uuid.NewV7())
	path := "/v1/ops/dead-letters/" + e.dies(e.merchant(), "ledger", id.String())
	open := func(kind string) int {
		return e.count(`SELECT count(*) FROM alerts WHERE state = 'open' AND kind = $1`, kind)
	}
	waiting := func() int {
		return e.count(`SELECT count(*) FROM outbox_events WHERE destination = 'ledger' AND published_at IS NULL`)
	}
	e.problem(e.post(path+"/take-back", "", because), 409, "dead-letter-sent")
	// Gone: others are seen by the sampler, this one is not.
	e.exec(`INSERT INTO queue_samples (queue, ready, consumers, sampled_at) VALUES ('tickets', 0, 1, clock_timestamp())`)
	e.problem(e.post(path+"/replay", "", because), 409, "queue-unavailable")
	// There, and takes nothing.
	e.exec(`INSERT INTO queue_samples (queue, ready, consumers, sampled_at) VALUES ('ledger', 0, 1, clock_timestamp())`)
	e.exec(`INSERT INTO alerts (id, kind, subject, facts) VALUES (uuid_v7(), 'refused', '/ledger', '{}')`)
	e.exec(`INSERT INTO outbox_events (row_id, event_id, destination, aggregate_type, aggregate_id, aggregate_version, type, payload, traceparent, partition_no)
	        VALUES (uuid_v7(), uuid_v7(), 'ledger', 'payment', uuid_v7(), 1, 'payment.captured', '{}', '', 0)`)
	e.problem(e.post(path+"/replay", "", because), 409, "queue-unavailable")
	if open("dead_letter") != 1 || waiting() != 1 {
		t.Error("a refused replay has changed something")
	}
	e.exec(`DELETE FROM outbox_events WHERE destination = 'ledger'`)
	e.exec(`UPDATE alerts SET state = 'resolved' WHERE kind = 'refused'`)
	var letter wire.DeadLetter
	e.decode(e.post(path+"/replay", "", because), 202, &letter)
	if len(letter.Actions) != 1 || letter.Actions[0] != "take_back" {
		t.Errorf("a replay that waits can be taken back: %v", letter.Actions)
	}
	// Then the queue goes, and the relay says so.
	e.exec(`INSERT INTO alerts (id, kind, subject, facts) VALUES (uuid_v7(), 'unroutable', '/ledger', '{}')`)
	e.decode(e.post(path+"/take-back", "", because), 202, &letter)
	if letter.State != "open" || letter.ClosedAt != nil || waiting() != 0 || open("dead_letter") != 1 || open("unroutable") != 0 {
		t.Errorf("%+v, %d wait, %d and %d alerts", letter, waiting(), open("dead_letter"), open("unroutable"))
	}
	e.problem(e.post(path+"/take-back", "", because), 409, "dead-letter-sent")
	e.decode(e.post(path+"/replay", "", because), 202, &letter)
	e.exec(`UPDATE outbox_events SET published_at = clock_timestamp() WHERE destination = 'ledger'`)
	e.problem(e.post(path+"/take-back", "", because), 409, "dead-letter-sent")
	if letter.ReplayNo != 2 {
		t.Errorf("%+v", letter)
	}
	var detail wire.DeadLetterDetail
	e.decode(e.get(path), 200, &detail)
	var list wire.DeadLetterList
	e.decode(e.get("/v1/ops/dead-letters?state=replayed"), 200, &list)
	if len(list.Data) != 1 || len(list.Data[0].Actions)+len(detail.Letter.Actions) != 0 {
		t.Errorf("one that has left cannot: %v, %v", list.Data, detail.Letter.Actions)
	}
	if d := detail.Decisions; len(d) != 3 || d[1].Action != "take_back" || d[1].Reason != "the bug is fixed" {
		t.Errorf("%+v", d)
	}
}

func TestOnlyTheOperatorHasAConsumersEventsSentAgainAndTakesThemBack(t *testing.T) {
	t.Parallel()
	e, woken := withLetters(t)
	e.capture(e.order().Payment, uuid.NewString(), "tok_ok")
	e.exec(`UPDATE outbox_events SET published_at = clock_timestamp()`)
	far := time.FixedZone("", 16*60*60) // RFC 3339 has such an offset, Postgres has not
	body := func(consumer string, from, until time.Time) string {
		return `{"consumer":"` + consumer + `","from":"` + from.In(far).Format(time.RFC3339) + `","until":"` + until.UTC().Format(time.RFC3339) + `","reason":"purged"}`
	}
	hour := time.Now().Add(-time.Hour)
	soon := time.Now().Add(time.Hour)
	e.problem(e.post("/v1/ops/events/resend", "", body("ledger", hour, soon)), 403, "operator-required")
	e.problem(e.asOperator("POST", "/v1/ops/events/resend", body("stranger", hour, soon)), 400, "invalid-request")
	e.problem(e.asOperator("POST", "/v1/ops/events/resend", body("ledger", soon, hour)), 400, "invalid-request")
	e.problem(e.asOperator("POST", "/v1/ops/events/resend", body("ledger", hour.AddDate(0, 0, -15), soon)), 409, "dead-letter-too-old")
	var sent wire.EventResend
	e.decode(e.asOperator("POST", "/v1/ops/events/resend", body("ledger", hour, soon)), 202, &sent)
	if sent.Queued != 1 || !sent.Complete || sent.Consumer != "ledger" || *woken != 1 {
		t.Errorf("%+v, woken %d times", sent, *woken)
	}

	e.problem(e.post("/v1/ops/events/take-back", "", body("ledger", hour, soon)), 403, "operator-required")
	e.problem(e.asOperator("POST", "/v1/ops/events/take-back", body("stranger", hour, soon)), 400, "invalid-request")
	e.problem(e.asOperator("POST", "/v1/ops/events/take-back", body("ledger", soon, hour)), 400, "invalid-request")
	e.problem(e.asOperator("POST", "/v1/ops/events/take-back", body("tickets", hour, soon)), 409, "dead-letter-sent")
	var back wire.EventTakeBack
	e.decode(e.asOperator("POST", "/v1/ops/events/take-back", body("ledger", hour, soon)), 202, &back)
	if back.TakenBack != 1 || back.Consumer != "ledger" || e.count(`SELECT count(*) FROM outbox_events WHERE destination = 'ledger'`) != 0 {
		t.Errorf("%+v", back)
	}
	e.problem(e.asOperator("POST", "/v1/ops/events/take-back", body("ledger", hour, soon)), 409, "dead-letter-sent")
}
