package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
	"payonce/internal/lab/stage"
	"payonce/internal/platform/config"
	"payonce/once/webhook"
)

// noticesOf counts what the provider's messages about a payment became.
func noticesOf(s *stage.Stage, c stage.Checkout) (events, followed int) {
	s.T.Helper()
	return s.Count(`SELECT count(*) FROM outbox_events WHERE type LIKE 'provider.%' AND 'pay_' || replace(correlation_id::text, '-', '') = $1`, c.PaymentID),
		s.Count(`SELECT count(*) FROM outbox_events e JOIN consumer_inbox i ON i.event_id = e.event_id AND i.consumer = 'provider'
		          WHERE e.type LIKE 'provider.%' AND 'pay_' || replace(e.correlation_id::text, '-', '') = $1`, c.PaymentID)
}

// heard waits until the provider's messages about a payment were received and
// followed, and requires that they were one.
func heard(s *stage.Stage, c stage.Checkout) {
	s.T.Helper()
	require.Eventually(s.T, func() bool { _, followed := noticesOf(s, c); return followed > 0 }, settle, tick)
	events, followed := noticesOf(s, c)
	require.Equal(s.T, [2]int{1, 1}, [2]int{events, followed})
}

// log is the provider's own log of what it told about a payment.
func deliveryLog(s *stage.Stage, c stage.Checkout) (lines []map[string]any) {
	s.T.Helper()
	out, err := client.Get[struct {
		Data []map[string]any `json:"data"`
	}](context.Background(), s.World(), "/v1/webhook-deliveries?reference="+c.PaymentID)
	require.NoError(s.T, err)
	return out.Data
}

// behave sets the world's mood.
func behave(s *stage.Stage, mood map[string]any) {
	s.T.Helper()
	answer, err := s.World().Send(context.Background(), client.Request{Method: http.MethodPost, Path: "/v1/behaviour", Body: mood})
	require.NoError(s.T, err)
	require.Equal(s.T, 200, answer.Status, "%s", answer.Body)
}

func nobodyWasTold(s *stage.Stage) {
	s.T.Helper()
	require.Zero(s.T, s.Count(`SELECT count(*) FROM alerts`))
	require.Zero(s.T, s.Count(`SELECT count(*) FROM dead_letters`))
}

func TestAWebhookBeforeTheAnswerLateOrInAStormIsOneOfEverything(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	for token, copies := range map[string]int{"tok_webhook_first": 1, "tok_webhook_late": 1, "tok_webhook_storm": 5} {
		t.Run(token, func(t *testing.T) {
			c := b.Order()
			r, _ := b.MustCapture(c, "K-"+token, token)
			require.Equal(t, 200, r.Status, "%s", r.Body)
			b.Settles(c)
			require.Eventually(t, func() bool {
				lines := deliveryLog(s, c)
				for _, line := range lines {
					if line["state"] != "delivered" || line["status_code"] != float64(200) {
						return false
					}
				}
				return len(lines) == copies
			}, settle, tick, "the provider's log shows each delivery, taken")
			heard(s, c)
			b.Settles(c)
		})
	}
	nobodyWasTold(s)
}

func TestWebhooksFiveTimesEachAndOutOfOrderOverTwoAttemptsMoveEachItsOwn(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	behave(s, map[string]any{"webhook_copies": 5, "webhook_shuffle_ms": 1500})
	b := s.Buyer()
	c := b.Order()
	r, _ := b.MustCapture(c, "K1", "tok_declined")
	require.Equal(t, 402, r.Status)
	r, _ = b.MustCapture(c, "K2", "tok_ok")
	require.Equal(t, 200, r.Status)
	require.Eventually(t, func() bool {
		taken := 0
		for _, line := range deliveryLog(s, c) {
			if line["state"] == "delivered" && line["status_code"] == float64(200) {
				taken++
			}
		}
		_, followed := noticesOf(s, c)
		return taken == 10 && followed == 2
	}, settle, tick)
	require.Equal(t, 2, s.Count(`SELECT count(*) FROM webhook_receipts`))
	require.Equal(t, stage.Effects{Charges: 1, Mails: 2, Tickets: 2, LedgerTransactions: 1, CapturedEvents: 1}, settled(b, c, 2))
	nobodyWasTold(s)
}

// settled waits for as many mails and returns the effects.
func settled(b *stage.Buyer, c stage.Checkout, mails int) stage.Effects {
	b.Stage.T.Helper()
	require.Eventually(b.Stage.T, func() bool { e := b.Effects(c); return e.Mails == mails && e.Tickets == 2 && e.LedgerTransactions == 1 }, settle, tick)
	return b.Effects(c)
}

func TestAWebhookThatIsLostForEverIsMadeUpForWithin60Seconds(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	behave(s, map[string]any{"webhooks": "lost"})
	b := s.Buyer()
	c := b.Order()
	b.Arm("capture.after_charge", c)
	_, err := b.Capture(context.Background(), c, "K", "tok_ok")
	require.Error(t, err, "the api dies with the answer, nobody retries, and no webhook comes")
	died := time.Now()
	b.Settles(c)
	require.Less(t, time.Since(died), time.Minute)
	require.Equal(t, "lost", deliveryLog(s, c)[0]["state"])
	events, _ := noticesOf(s, c)
	require.Zero(t, events)
}

func TestKilledAtEveryWebhookPointTheProviderComesAgainAndTheReceiptIsOne(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": shortLease, "worker": shortLease}})
	b := s.Buyer()
	s.API.Keep()
	for _, point := range []string{"before_receipt", "after_receipt", "before_2xx"} {
		behave(s, map[string]any{"webhook_delay_ms": 1500}) // so that the capture is answered before
		c := b.Order()
		pid := s.API.Pid()
		r, _ := b.MustCapture(c, "K-"+point, "tok_ok")
		require.Equal(t, 200, r.Status)
		b.Arm("webhook."+point, c)
		require.Eventually(t, func() bool { return s.API.Pid() != pid }, settle, tick, "%s: the api was to be killed", point)
		heard(s, c)
		b.Settles(c)
		require.Eventually(t, func() bool {
			lines := deliveryLog(s, c)
			return len(lines) >= 2 && lines[0]["status_code"] == nil && lines[len(lines)-1]["status_code"] == float64(200)
		}, settle, tick, "%s: the delivery that was killed, and one that was taken", point)
		heard(s, c)
	}
	require.Equal(t, 3, s.Count(`SELECT count(*) FROM webhook_receipts`))
	nobodyWasTold(s)
}

// Before the signature nobody knows whose a webhook is: the second one of each
// life kills.
func TestKilledBeforeTheSignatureIsVerifiedTheProviderComesAgain(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": {"PAYONCE_FAULTS=webhook.before_verify:kill:2"}}})
	b := s.Buyer()
	s.API.Keep()
	first, second := b.Order(), b.Order()
	pid := s.API.Pid()
	b.MustCapture(first, "K1", "tok_ok")
	heard(s, first)
	require.Equal(t, pid, s.API.Pid())
	b.MustCapture(second, "K2", "tok_ok")
	require.Eventually(t, func() bool { return s.API.Pid() != pid }, settle, tick)
	heard(s, second)
	b.Settles(second)
	require.Equal(t, 2, s.Count(`SELECT count(*) FROM webhook_receipts`))
}

// send delivers a body as its sender would.
func send(s *stage.Stage, id string, at time.Time, body []byte, secret string) int {
	s.T.Helper()
	key, err := webhook.DecodeSecret(secret)
	require.NoError(s.T, err)
	return post(s, webhook.Sign([][]byte{key}, id, at, body), body)
}

func TestAForgedAnAlteredAnOldAndAReplayedWebhookAre401401400And200(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"simulator": {"PAYONCE_SIMULATOR_WEBHOOK_URL="}}})
	b := s.Buyer()
	c := b.Order()
	r, _ := b.MustCapture(c, "K", "tok_ok")
	require.Equal(t, 200, r.Status)
	charge := b.Get("/v1/payments/" + c.PaymentID).Field("provider_charge_id")
	body := fmt.Appendf(nil, `{"type":"charge.succeeded","timestamp":"2026-11-26T12:00:00.000Z","data":{"id":%q,"reference":%q,"idempotency_key":"capture:%s:1",`+
		`"amount_minor":%d,"currency":%q,"status":"succeeded","decline_code":null,"created_at":"2026-11-26T12:00:00.000Z"}}`, charge, c.PaymentID, c.PaymentID, c.AmountMinor, c.Currency)
	const stranger = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBvZiAzMiBieXRlcw=="
	now := time.Now()
	written := func() int {
		return s.Count(`SELECT (SELECT count(*) FROM webhook_receipts) + (SELECT count(*) FROM outbox_events WHERE type LIKE 'provider.%') + (SELECT count(*) FROM alerts)`)
	}
	require.Equal(t, 401, send(s, "msg_1", now, body, stranger), "forged")
	altered := webhook.Sign([][]byte{mustDecode(t, config.DefaultWebhookSecret)}, "msg_1", now, body)
	require.Equal(t, 401, post(s, altered, bytes.Replace(body, []byte("8400"), []byte("8401"), 1)), "altered")
	require.Equal(t, 400, send(s, "msg_1", now.Add(-10*time.Minute), body, config.DefaultWebhookSecret), "old")
	require.Zero(t, written(), "nothing is written for the first three")
	require.Equal(t, 200, send(s, "msg_1", now, body, config.DefaultWebhookSecret))
	heard(s, c)
	require.Equal(t, 200, send(s, "msg_1", now.Add(time.Second), body, config.DefaultWebhookSecret), "replayed")
	require.Equal(t, 2, written(), "one receipt, one event")
	b.Settles(c)
}

func mustDecode(t *testing.T, secret string) []byte {
	t.Helper()
	key, err := webhook.DecodeSecret(secret)
	require.NoError(t, err)
	return key
}

func post(s *stage.Stage, header http.Header, body []byte) int {
	s.T.Helper()
	answer, err := s.Visitor().Send(context.Background(), client.Request{Method: http.MethodPost, Path: "/v1/webhooks/provider", Header: header, Raw: body})
	require.NoError(s.T, err)
	return answer.Status
}

func TestASecretThatIsReplacedUnderLoadLosesNoWebhook(t *testing.T) {
	t.Parallel()
	const next = "whsec_dGhlIG5leHQgc2VjcmV0LCBmb3IgdGhlIHJvdGF0aW9u"
	both := []string{"PAYONCE_WEBHOOK_SECRET=" + config.DefaultWebhookSecret + "," + next}
	s := stage.Start(t, stage.Options{Env: map[string][]string{"api": both, "simulator": {"PAYONCE_WEBHOOK_SECRET=" + next}}})
	b := s.Buyer()
	var all sync.WaitGroup
	checkouts := make([]stage.Checkout, 8)
	for i := range checkouts {
		checkouts[i] = b.Order()
	}
	for i, c := range checkouts {
		all.Go(func() { b.MustCapture(c, fmt.Sprint("K-", i), "tok_ok") })
	}
	all.Wait()
	for _, c := range checkouts {
		heard(s, c)
	}
	require.Equal(t, 400, send(s, "msg_old", time.Now(), []byte(`{}`), config.DefaultWebhookSecret), "the old secret is believed, the body is not")
	require.Equal(t, 401, send(s, "msg_other", time.Now(), []byte(`{}`), "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBvZiAzMiBieXRlcw=="))
}
