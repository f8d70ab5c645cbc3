package httpapi_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/alerts"
	"payonce/internal/edge/delivery"
	"payonce/internal/edge/httpapi"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/alert"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/email"
	"payonce/internal/shop/event"
	"payonce/once/message"
	"payonce/once/outbox"
	"payonce/once/retry"
)

// ends has what ends each kind that a person does not end, run with the code that
// production runs: it raises the alert k and brings its end about.
var ends = map[string]func(e *edge, k alert.Kind){
	"provider_contradiction": byTheDecision,
	"provider_amount":        byTheDecision,
	"provider_in_doubt":      byTheDecision,
	"provider_unlisted":      byTheDecision,
	"provider_refused":       byTheDecision,

	"saga_stuck": func(e *edge, k alert.Kind) {
		p := e.order().Payment
		e.capture(p, uuid.NewString(), "tok_ok")
		if r := e.post("/v1/refunds", uuid.NewString(), `{"payment_id":"`+p.ID+`","reason":"test"}`); r.Status != 202 {
			e.t.Fatal(r.Body)
		}
		e.exec(`UPDATE sagas SET state = 'stuck', position = 0`)
		var id uuid.UUID
		if err := e.db.Get(e.t.Context(), &id, `SELECT id FROM sagas`); err != nil {
			e.t.Fatal(err)
		}
		e.raise(k, wire.PrefixSaga.ID(id))
		var saga wire.Saga
		e.decode(e.post("/v1/ops/sagas/"+wire.PrefixSaga.ID(id)+"/resolve", "", `{"outcome":"compensated","reason":"a test"}`), 202, &saga)
	},
	"dead_letter": func(e *edge, _ alert.Kind) {
		var letter wire.DeadLetter
		id := e.dies(e.merchant(), "ledger", uuid.Must(uuid.NewV7()).String())
		e.decode(e.post("/v1/ops/dead-letters/"+id+"/discard", "", because), 202, &letter)
	},
	"retry_unroutable": func(e *edge, k alert.Kind) {
		e.raise(k, "payonce.dead/ledger")
		if err := retry.EndReturned(e.t.Context(), e.db.Once(), alert.Troubles{}, "payonce.dead/ledger"); err != nil {
			e.t.Fatal(err)
		}
	},
	"unroutable": byTheRelay,
	"refused":    byTheRelay,

	"outbox_age":        func(e *edge, k alert.Kind) { e.raise(k, "outbox_events"); e.sweep() },
	"partition_missing": func(e *edge, k alert.Kind) { e.raise(k, "outbox_events_20200102"); e.sweep() },
	"event_not_applied": func(e *edge, k alert.Kind) {
		e.raise(k, "ledger")
		if err := (delivery.Watch{DB: e.db, Patience: time.Hour}).RunOnce(e.t.Context()); err != nil {
			e.t.Fatal(err)
		}
	},
	"partition_kept": func(e *edge, k alert.Kind) { e.raise(k, "outbox_events_20200102"); e.sweep() },

	"mail_server_away": func(e *edge, k alert.Kind) { e.owedMail("queued"); e.raise(k, "mailer"); e.sendMails() },
	"mail_late":        func(e *edge, k alert.Kind) { e.raise(k, e.owedMail("queued")); e.sendMails() },
	"mail_failed": func(e *edge, k alert.Kind) {
		var a wire.Alert
		id := e.raise(k, e.owedMail("failed"))
		e.decode(e.post("/v1/ops/alerts/"+id+"/send-mail", "", because), 202, &a)
		e.sendMails()
	},
}

// byTheDecision resolves the payment's alert with the decision about the payment.
func byTheDecision(e *edge, k alert.Kind) {
	p := e.apart()
	e.raise(k, p.ID)
	var done wire.PaymentResolution
	e.decode(e.resolveAs(e.key, p, accept), 202, &done)
}

// byTheRelay publishes an event of the route, in a house of the relay's own.
func byTheRelay(e *edge, k alert.Kind) {
	route := patterns.Relays.Exchange + "/thing.happened"
	dsn := devtest.DSN(e.t)
	db, err := postgres.Open(e.t.Context(), postgres.Config{DSN: dsn, AppName: "relay"})
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := k.RaiseAlone(e.t.Context(), db, uuid.Nil, route, struct{}{}); err != nil {
		e.t.Fatal(err)
	}
	if err := postgres.InTx(e.t.Context(), db, func(tx postgres.Tx) error {
		return patterns.Append(e.t.Context(), tx, outbox.Event{ID: uuid.Must(uuid.NewV7()).String(), AggregateType: "thing", AggregateID: uuid.NewString(),
			AggregateVersion: 1, Type: "thing.happened", Payload: []byte("{}")})
	}); err != nil {
		e.t.Fatal(err)
	}
	relay, err := outbox.NewRelay(patterns.Relay(outbox.Config{DB: db.Once(), Publisher: taker{}, Poll: 5 * time.Millisecond}, nil))
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(e.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	eventually(e.t, k.Name+" is resolved by the relay", func() bool {
		n, err := alert.Count(e.t.Context(), db, route, k)
		return err == nil && n == 0
	})
	stop()
	<-ended
}

// taker is a broker that takes everything.
type taker struct{}

func (taker) Send(_ context.Context, _ message.Message, done func(error)) error {
	done(nil)
	return nil
}

// raise raises an alert of the edge's sandbox and returns its public id.
func (e *edge) raise(k alert.Kind, subject string) string {
	e.t.Helper()
	return e.raiseFor(e.merchant(), k, subject)
}

func (e *edge) raiseFor(merchant uuid.UUID, k alert.Kind, subject string) string {
	e.t.Helper()
	if err := k.RaiseAlone(e.t.Context(), e.db, merchant, subject, map[string]any{"reason": "a test"}); err != nil {
		e.t.Fatal(err)
	}
	var id uuid.UUID
	if err := e.db.Get(e.t.Context(), &id, `SELECT id FROM alerts WHERE state = 'open' AND kind = $1 AND subject = $2`, k.Name, subject); err != nil {
		e.t.Fatal(err)
	}
	return wire.PrefixAlert.ID(id)
}

// owedMail is a mail of the edge's sandbox, by its Message-ID.
func (e *edge) owedMail(status string) string {
	e.t.Helper()
	payment := uuid.Must(uuid.NewV7())
	id := "<receipt." + event.PaymentName(payment) + "@payonce>"
	e.exec(`INSERT INTO emails (id, merchant_id, payment_id, template, business_key, message_id, recipient, subject, body, status)
		VALUES (uuid_v7(), $1, $2, 'receipt', $3, $4, 'a@example.org', 'Your receipt', 'text', $5)`, e.merchant(), payment, event.PaymentName(payment), id, status)
	return id
}

// postman is a mail server: it refuses the addresses that it is given.
type postman struct {
	refuses map[string]bool
	to      []string
}

func (p *postman) Send(_ context.Context, m email.Mail) error {
	if p.refuses[m.To] {
		return email.ErrRefused
	}
	p.to = append(p.to, m.To)
	return nil
}

func (p *postman) Close() error { return nil }

// sendMails runs a mailer until no mail is queued.
func (e *edge) sendMails(refuses ...string) []string {
	e.t.Helper()
	p := &postman{refuses: map[string]bool{}}
	for _, address := range refuses {
		p.refuses[address] = true
	}
	ctx, stop := context.WithCancel(e.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- email.NewMailer(email.Config{DB: e.db, Sender: p, Poll: 5 * time.Millisecond}).Run(ctx)
	}()
	eventually(e.t, "no mail is queued", func() bool { return e.count(`SELECT count(*) FROM emails WHERE status = 'queued'`) == 0 })
	stop()
	<-ended
	return p.to
}

func TestEachKindOfAlertHasWhatEndsIt(t *testing.T) {
	t.Parallel()
	for _, k := range alerts.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, func(o *httpapi.Options) {
				o.Letters = event.DeadLetters(o.DB, 14*24*time.Hour)
			})
			end, known := ends[k.Name]
			person := func(e *edge, k alert.Kind) {
				var a wire.Alert
				e.decode(e.post("/v1/ops/alerts/"+e.raise(k, k.PersonAbout+"a subject")+"/resolve", "", because), 202, &a)
			}
			switch {
			case k.ByPerson:
				end = person
			case !known:
				t.Fatal("no case here ends it")
			}
			if k.PersonAbout != "" {
				person(e, k)
			}
			end(e, k)
			if n := e.count(`SELECT count(*) FROM alerts WHERE state = 'open'`); n != 0 {
				t.Errorf("%d alerts are open", n)
			}
		})
	}
}

func TestAPersonEndsOnlyWhatNoProgramCanSeeTheEndOfOnceAndWithAReason(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, k := range alerts.Kinds() {
		path := "/v1/ops/alerts/" + e.raise(k, "a subject of "+k.Name)
		if !k.ByPerson {
			e.problem(e.post(path+"/resolve", "", because), 409, "alert-ends-otherwise")
			continue
		}
		for _, without := range []string{`{}`, `{"reason":""}`, `{"reason":"     "}`} {
			e.problem(e.post(path+"/resolve", "", without), 400, "invalid-request")
		}
		e.problem(e.send("POST", path+"/resolve", map[string]string{"Authorization": "Bearer " + e.newKey(), "Content-Type": "application/json"}, because), 404, "not-found")
		var a wire.Alert
		e.decode(e.post(path+"/resolve", "", because), 202, &a)
		if a.State != "resolved" || a.ResolvedBy == nil || *a.ResolvedBy != wire.PrefixMerchant.ID(e.merchant()) || *a.ResolvedReason != "the bug is fixed" || len(a.Actions) != 0 {
			t.Errorf("%+v", a)
		}
		e.problem(e.post(path+"/resolve", "", because), 409, "alert-resolved")
		if again := e.raise(k, "a subject of "+k.Name); "/v1/ops/alerts/"+again == path {
			t.Errorf("%s: trouble that comes again is another alert", k.Name)
		}
		nobodys := "/v1/ops/alerts/" + e.raiseFor(uuid.Nil, k, "of no sandbox")
		e.problem(e.post(nobodys+"/resolve", "", because), 404, "not-found")
		e.decode(e.asOperator("POST", nobodys+"/resolve", because), 202, &a)
		if *a.ResolvedBy != "operator" {
			t.Errorf("%+v", a)
		}
	}
	var list wire.AlertList
	e.decode(e.get("/v1/ops/alerts?state=open&limit=100"), 200, &list)
	if len(list.Data) != len(alerts.Kinds()) {
		t.Errorf("%d alerts are open, want one of each kind", len(list.Data))
	}
	for _, a := range list.Data {
		if a.State != "open" || a.Ends == "" || a.MerchantID == nil || *a.MerchantID != wire.PrefixMerchant.ID(e.merchant()) {
			t.Errorf("%+v", a)
		}
	}
	e.decode(e.get("/v1/ops/alerts?state=resolved"), 200, &list)
	for _, a := range list.Data {
		if a.State != "resolved" || a.ResolvedReason == nil {
			t.Errorf("%+v", a)
		}
	}
	e.problem(e.get("/v1/ops/alerts?state=lost"), 400, "invalid-request")
}

func TestAMailThatWasRefusedForGoodIsSentAgainToAnotherAddressAndItsAlertEndsThen(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.owedMail("queued")
	e.sendMails("a@example.org")
	var list wire.AlertList
	e.decode(e.get("/v1/ops/alerts?state=open"), 200, &list)
	if len(list.Data) != 1 || list.Data[0].Kind != "mail_failed" || len(list.Data[0].Actions) != 1 || list.Data[0].Actions[0] != "send_mail" {
		t.Fatalf("%+v", list)
	}
	path := "/v1/ops/alerts/" + list.Data[0].ID + "/send-mail"
	e.problem(e.post(path, "", `{"reason":"the buyer called","email":"foo..bar@example.org"}`), 400, "invalid-request")
	var a wire.Alert
	e.decode(e.post(path, "", because), 202, &a)
	e.problem(e.post(path, "", because), 409, "alert-resolved")
	e.sendMails("a@example.org") // refused once more: another alert, and only one
	e.decode(e.get("/v1/ops/alerts?state=open"), 200, &list)
	if len(list.Data) != 1 || list.Data[0].ID == a.ID {
		t.Fatalf("%+v", list)
	}
	path = "/v1/ops/alerts/" + list.Data[0].ID + "/send-mail"
	e.decode(e.post(path, "", `{"reason":"the buyer called","email":"b@example.org"}`), 202, &a)
	if a.State != "open" || a.Facts["sent_again"] == nil {
		t.Errorf("%+v", a)
	}
	if to := e.sendMails(); len(to) != 1 || to[0] != "b@example.org" {
		t.Errorf("sent to %v", to)
	}
	if n := e.count(`SELECT count(*) FROM alerts WHERE state = 'open'`); n != 0 {
		t.Errorf("%d alerts are open after the mail was sent", n)
	}
	e.problem(e.post(path, "", because), 409, "alert-resolved")
}
