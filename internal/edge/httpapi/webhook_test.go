package httpapi_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/httpapi"
	"payonce/internal/shop/provider/simulated"
	"payonce/once/webhook"
	"payonce/once/webhook/webhooktest"
)

// Two secrets are valid, as while one is replaced by the other.
var providersSecrets = []string{
	"whsec_dGhlIHByb3ZpZGVyJ3Mgb2xkIHNlY3JldCwgMzIgYnl0ZXM=",
	"whsec_dGhlIHByb3ZpZGVyJ3MgbmV3IHNlY3JldCwgMzIgYnl0ZXM=",
}

func receiving(t *testing.T) func(*httpapi.Options) {
	t.Helper()
	verifier, err := webhook.NewVerifier(providersSecrets, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *httpapi.Options) { o.Webhooks, o.ReadNotice = verifier, simulated.ReadNotice }
}

func chargeMessage(key string) []byte {
	return fmt.Appendf(nil, `{"type":"charge.succeeded","timestamp":"2026-11-26T12:00:00.000Z","data":{"id":"ch_%s","reference":"pay_1","idempotency_key":%q,`+
		`"amount_minor":8400,"currency":"EUR","status":"succeeded","decline_code":null,"created_at":"2026-11-26T12:00:00.000Z"}}`, uuid.NewString(), key)
}

func TestTheProvidersWebhooksAreReceivedOnceEach(t *testing.T) {
	t.Parallel()
	webhooktest.Run(t, func(t *testing.T) webhooktest.Receiver {
		e := newEdge(t, receiving(t))
		return webhooktest.Receiver{
			URL: e.server.URL + "/v1/webhooks/provider", Secrets: providersSecrets,
			Body: func() []byte { return chargeMessage("capture:pay_1:1") },
			Effects: func() int {
				return e.count(`SELECT count(*) FROM outbox_events WHERE type = 'provider.charge_succeeded'`)
			},
			Receipts: func() int { return e.count(`SELECT count(*) FROM webhook_receipts`) },
			Alerts:   func() int { return e.count(`SELECT count(*) FROM alerts WHERE kind = 'webhook_altered'`) },
		}
	})
}

// signed sends a body as the provider does.
func (e *edge) signed(body []byte, change ...func(http.Header)) reply {
	e.t.Helper()
	secret, err := webhook.DecodeSecret(providersSecrets[0])
	if err != nil {
		e.t.Fatal(err)
	}
	h := webhook.Sign([][]byte{secret}, "msg_"+uuid.NewString(), time.Now(), body)
	h.Set("Content-Type", "application/json")
	for _, c := range change {
		c(h)
	}
	return e.send("POST", "/v1/webhooks/provider", map[string]string{
		"Content-Type": h.Get("Content-Type"), webhook.HeaderID: h.Get(webhook.HeaderID),
		webhook.HeaderTimestamp: h.Get(webhook.HeaderTimestamp), webhook.HeaderSignature: h.Get(webhook.HeaderSignature),
	}, string(body))
}

func TestEachRefusedWebhookHasItsProblemDocumentAndWritesNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t, receiving(t))
	body := chargeMessage("capture:pay_1:1")
	e.problem(e.signed(body, func(h http.Header) { h.Set(webhook.HeaderSignature, "v1,"+"AAAA") }), 401, "webhook-signature-invalid")
	e.problem(e.signed(body, func(h http.Header) { h.Set(webhook.HeaderTimestamp, "1614265330") }), 401, "webhook-signature-invalid")
	e.problem(e.signed(body, func(h http.Header) { h.Set(webhook.HeaderID, "a.b") }), 400, "webhook-malformed")
	e.problem(e.signed([]byte(`{"type":"charge.succeeded","data":{"id":"ch_1"}}`)), 400, "webhook-unreadable")
	e.problem(e.signed([]byte(`{"type":"charge.succeeded"}`)), 400, "webhook-unreadable")
	e.problem(e.signed([]byte(`{"type":7}`)), 400, "webhook-unreadable")
	e.problem(e.signed([]byte(`{`)), 400, "webhook-unreadable")
	e.problem(e.signed(nil), 400, "webhook-unreadable")
	if n := e.count(`SELECT count(*) FROM webhook_receipts`); n != 0 {
		t.Errorf("%d receipts", n)
	}
	if n := e.count(`SELECT count(*) FROM outbox_events`); n != 0 {
		t.Errorf("%d events", n)
	}
	if n := e.count(`SELECT count(*) FROM alerts WHERE kind = 'webhook_unreadable' AND merchant_id IS NULL`); n != 1 {
		t.Errorf("an alert is raised once while it is open, not %d times", n)
	}
}

func TestAKindThatTheShopDoesNotKnowIsReceivedAndIgnored(t *testing.T) {
	t.Parallel()
	e := newEdge(t, receiving(t))
	var got struct {
		MessageID string `json:"message_id"`
		Outcome   string `json:"outcome"`
	}
	e.decode(e.signed([]byte(`{"type":"payout.paid","timestamp":"2026-11-26T12:00:00.000Z","data":{}}`)), 200, &got)
	if got.Outcome != "ignored" {
		t.Errorf("outcome %q", got.Outcome)
	}
	if n := e.count(`SELECT count(*) FROM outbox_events`); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestWhileTheStoreIsAwayAWebhookIs503AndComesAgain(t *testing.T) {
	t.Parallel()
	e := newEdge(t, receiving(t))
	body := chargeMessage("capture:pay_1:1")
	e.gate.close()
	p := e.problem(e.signed(body), 503, "unavailable")
	if p.Executed == nil || *p.Executed != "unknown" {
		t.Errorf("executed %v", p.Executed)
	}
	e.gate.open()
	eventually(t, "it is received", func() bool { return e.signed(body).Status == 200 })
	if n := e.count(`SELECT count(*) FROM outbox_events`); n < 1 {
		t.Error("no event")
	}
}

func TestAStarvedClientsBucketDoesNotTurnTheProviderAway(t *testing.T) {
	t.Parallel()
	e := newEdge(t, receiving(t), func(o *httpapi.Options) { o.Limits = httpapi.Limits{PerSecond: 0.001, Burst: 3} })
	for range 5 {
		e.get("/v1/catalogue")
	}
	if r := e.get("/v1/catalogue"); r.Status != 429 {
		t.Fatalf("the bucket is not empty: %d", r.Status)
	}
	if r := e.signed(chargeMessage("capture:pay_1:1")); r.Status != 200 {
		t.Errorf("%d: %s", r.Status, r.Body)
	}
}
