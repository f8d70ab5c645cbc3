package world_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/world"
	"payonce/once/webhook"
)

const sharedSecret = "whsec_bm90IGEgc2VjcmV0LCBhbiBleGFtcGxlIQ=="

// ear is a shop that hears webhooks and believes what is signed.
type ear struct {
	mu    sync.Mutex
	heard []webhook.Message
	// refuse answers the first so many with 503.
	refuse int
	// hold answers no message about this key, for a while.
	hold string
}

func (e *ear) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.heard)
}

func (e *ear) ids() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := map[string]int{}
	for _, m := range e.heard {
		ids[m.ID]++
	}
	return ids
}

// listening opens a world that tells an ear.
func listening(t *testing.T, e *ear, options world.Options) shop {
	t.Helper()
	verifier, err := webhook.NewVerifier([]string{sharedSecret}, time.Now)
	require.NoError(t, err)
	secret, err := webhook.DecodeSecret(sharedSecret)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if e.hold != "" && bytes.Contains(body, []byte(e.hold)) {
			select {
			case <-r.Context().Done():
			case <-time.After(3 * time.Second):
			}
			panic(http.ErrAbortHandler)
		}
		m, err := verifier.Verify(r.Header, body)
		if err != nil {
			t.Errorf("a webhook that is not to be believed: %v", err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.refuse > 0 {
			e.refuse--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		e.heard = append(e.heard, m)
	}))
	t.Cleanup(server.Close)
	options.Webhooks.URL, options.Webhooks.Secrets = server.URL, [][]byte{secret}
	if options.Webhooks.Schedule == nil {
		options.Webhooks.Schedule = []time.Duration{10 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond}
	}
	options.Webhooks.Shuffle = 100 * time.Millisecond
	return open(t, options)
}

func (s shop) states(reference string) map[string]int {
	s.t.Helper()
	states := map[string]int{}
	for _, d := range s.Deliveries(reference) {
		states[d.State]++
	}
	return states
}

func TestEachChargeAndDeclineIsToldOnceSignedWithTheObjectThatTheBooksShow(t *testing.T) {
	t.Parallel()
	e := &ear{}
	s := listening(t, e, world.Options{})
	_, err := s.pay("tok_ok", "k1")
	require.NoError(t, err)
	_, err = s.pay("tok_declined", "k2")
	require.NoError(t, err)
	_, err = s.pay("tok_ok", "k1") // a replay charges nothing and tells nothing
	require.NoError(t, err)
	eventually(t, "two messages", func() bool { return s.states("pay_1")["delivered"] == 2 })
	require.Len(t, e.ids(), 2)
	byKey := map[string]world.Charge{}
	for _, m := range e.heard {
		said := decode[struct {
			Type string       `json:"type"`
			Data world.Charge `json:"data"`
		}](t, string(m.Body))
		require.Equal(t, "charge."+said.Data.Status, said.Type)
		byKey[*said.Data.IdempotencyKey] = said.Data
	}
	for _, key := range []string{"k1", "k2"} {
		require.Equal(t, stamped(s.ChargesByKey(key)[0]), stamped(byKey[key]))
	}
}

// stamped leaves out what is not on the wire.
func stamped(c world.Charge) [3]any { return [3]any{c.ID, c.Status, c.CreatedAt} }

func TestAMessageThatIsRefusedTwiceIsSentAgainOnItsScheduleUnderTheSameID(t *testing.T) {
	t.Parallel()
	e := &ear{refuse: 2}
	s := listening(t, e, world.Options{})
	_, err := s.pay("tok_ok", "k")
	require.NoError(t, err)
	eventually(t, "it is taken", func() bool { return s.states("pay_1")["delivered"] == 3 })
	log := s.Deliveries("pay_1")
	require.Equal(t, []int{503, 503, 200}, []int{*log[0].StatusCode, *log[1].StatusCode, *log[2].StatusCode})
	require.Equal(t, log[0].MessageID, log[2].MessageID)
	require.Equal(t, 1, e.count())
}

func TestAMessageThatNobodyTakesIsGivenUpAfterItsScheduleAndTheLogSaysSo(t *testing.T) {
	t.Parallel()
	e := &ear{refuse: 1000}
	s := listening(t, e, world.Options{})
	_, err := s.pay("tok_ok", "k")
	require.NoError(t, err)
	eventually(t, "four tries", func() bool { return s.states("pay_1")["given_up"] == 4 })
}

func TestTheStormDeliversOneMessageFiveTimes(t *testing.T) {
	t.Parallel()
	e := &ear{}
	s := listening(t, e, world.Options{})
	_, err := s.pay("tok_webhook_storm", "k")
	require.NoError(t, err)
	eventually(t, "five copies", func() bool { return s.states("pay_1")["delivered"] == 5 })
	require.Len(t, e.ids(), 1)
	require.Equal(t, 5, e.count())
}

func TestTheMessageOvertakesTheAnswer(t *testing.T) {
	t.Parallel()
	e := &ear{}
	s := listening(t, e, world.Options{})
	got, err := s.pay("tok_webhook_first", "k")
	require.NoError(t, err)
	require.Equal(t, 201, got.status)
	require.Equal(t, 1, e.count(), "it was there before the answer")
}

func TestTheLateMessageComesAfterAnAnswerThatIsLost(t *testing.T) {
	t.Parallel()
	e := &ear{}
	s := listening(t, e, world.Options{Hold: 100 * time.Millisecond, Webhooks: world.Webhooks{Late: 500 * time.Millisecond}})
	got, err := s.pay("tok_webhook_late", "k")
	noAnswer(t, got, err)
	require.Zero(t, e.count())
	waiting := s.Deliveries("pay_1")
	require.Len(t, waiting, 1)
	require.NotNil(t, waiting[0].NextAttemptAt)
	require.Nil(t, waiting[0].SentAt)
	eventually(t, "it comes", func() bool { return e.count() == 1 })
}

func TestInAMoodThatLosesMessagesNoneIsSentAndInOneThatDoublesThemEachComesTwice(t *testing.T) {
	t.Parallel()
	e := &ear{}
	s := listening(t, e, world.Options{})
	s.Behave(world.Behaviour{Webhooks: "lost"})
	_, err := s.pay("tok_ok", "k1")
	require.NoError(t, err)
	require.Equal(t, map[string]int{"lost": 1}, s.states("pay_1"))
	s.Behave(world.Behaviour{WebhookCopies: 2})
	_, err = s.pay("tok_ok", "k2")
	require.NoError(t, err)
	eventually(t, "twice", func() bool { return s.states("pay_1")["delivered"] == 2 })
	require.Equal(t, 2, e.count())
	require.Len(t, e.ids(), 1)
}

func TestARefundAndItsRefusalAreToldOnceHoweverOftenTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	e := &ear{}
	s := listening(t, e, world.Options{})
	for token, want := range map[string]string{"tok_ok": "refund.succeeded", "tok_refund_declined": "refund.declined"} {
		charge := s.charged(token)
		for range 3 {
			s.mustRefund(charge, "refund:"+token, 4200)
		}
		eventually(t, want, func() bool {
			n := 0
			for _, d := range s.Deliveries("ref_1") {
				if d.Type == want && d.State == "delivered" {
					n++
				}
			}
			return n == 1
		})
	}
	require.Len(t, s.Deliveries("ref_1"), 2, "one message each")
	refunds := 0
	for _, m := range e.heard {
		said := decode[struct {
			Type string
			Data world.Refund
		}](t, string(m.Body))
		if said.Data.ChargeID != "" {
			refunds++
			require.Equal(t, "refund."+said.Data.Status, said.Type)
		}
	}
	require.Equal(t, 2, refunds)
}

func TestAReceiverThatHangsKeepsNoOtherMessageBack(t *testing.T) {
	t.Parallel()
	e := &ear{hold: "k-held"}
	s := listening(t, e, world.Options{})
	for _, key := range []string{"k-held", "k1", "k2"} {
		_, err := s.pay("tok_ok", key)
		require.NoError(t, err)
	}
	// What was taken is written down a moment later.
	eventually(t, "the two behind it are taken", func() bool { return e.count() == 2 && s.states("pay_1")["delivered"] == 2 })
	require.Equal(t, 1, s.states("pay_1")["pending"], "the first is still under way")
}

func TestThePageShowsEachDeliveryAndAHostileReferenceAsText(t *testing.T) {
	t.Parallel()
	e := &ear{refuse: 1}
	s := listening(t, e, world.Options{})
	require.Contains(t, s.must("GET", "/webhooks", "").body, "No webhooks")
	_, err := s.pay("tok_ok", "k")
	require.NoError(t, err)
	eventually(t, "it is taken", func() bool { return e.count() == 1 && s.states("pay_1")["delivered"] == 2 })
	page := s.must("GET", "/webhooks?reference=pay_1", "")
	require.Equal(t, 2, strings.Count(page.body, `data-testid="webhook"`))
	require.Contains(t, page.body, "answered 503")
	require.Contains(t, page.body, "answered 200")
	require.NotContains(t, s.must("GET", "/webhooks?reference=%22%3E%3Cscript%3E", "").body, "<script")
}
