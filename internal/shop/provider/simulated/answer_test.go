package simulated_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
)

// against is a client of a provider that a handler plays.
func against(t *testing.T, handler http.HandlerFunc) *simulated.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return simulated.New(simulated.Config{URL: server.URL})
}

func TestAnAnswerThatSpeaksOfAnotherKeyPaymentOrRefundProvesNothing(t *testing.T) {
	t.Parallel()
	refund := provider.RefundRequest{Key: "refund:ref_1", ChargeID: "ch_1", Reference: "ref_1", Amount: money.Of(100, "EUR")}
	for name, changed := range map[string]map[string]any{
		"another key":          {"idempotency_key": "capture:pay_2:1"},
		"no key":               {"idempotency_key": nil},
		"another reference":    {"reference": "pay_2"},
		"a status of tomorrow": {"status": "pending"},
	} {
		c := against(t, func(w http.ResponseWriter, r *http.Request) { grant(w, r, changed) })
		_, err := c.Charge(t.Context(), chargeOf("capture:pay_1:1"))
		require.ErrorIs(t, err, provider.ErrInDoubt, "a charge, %s", name)
		_, err = c.Refund(t.Context(), refund)
		require.ErrorIs(t, err, provider.ErrInDoubt, "a refund, %s", name)
	}
	c := against(t, func(w http.ResponseWriter, r *http.Request) { grant(w, r, nil) })
	_, err := c.Charge(t.Context(), chargeOf("capture:pay_1:1"))
	require.NoError(t, err)
	_, err = c.Refund(t.Context(), refund)
	require.NoError(t, err)
}

func TestARefusalThatSpeaksOfAnotherChargeOrInAWordOfTomorrowProvesNothing(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusPaymentRequired, http.StatusGone} {
		for name, charge := range map[string]string{
			"another key":          `{"id":"ch_1","reference":"pay_1","idempotency_key":"other","status":"declined"}`,
			"another reference":    `{"id":"ch_1","reference":"pay_2","idempotency_key":"k","status":"declined"}`,
			"a status of tomorrow": `{"id":"ch_1","reference":"pay_1","idempotency_key":"k","status":"expired"}`,
		} {
			c := against(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"error":{"code":"card_declined"},"charge":` + charge + `}`))
			})
			_, err := c.Charge(t.Context(), chargeOf("k"))
			require.ErrorIs(t, err, provider.ErrInDoubt, "%d, %s", status, name)
		}
	}
}

func TestACancelThatSpeaksOfAnotherKeyProvesNothing(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a tombstone on another key": `{"idempotency_key":"other","outcome":"cancelled","charge":null}`,
		"a charge of another key":    `{"idempotency_key":"k","outcome":"charged","charge":{"id":"ch_1","reference":"pay_1","idempotency_key":"other","status":"succeeded"}}`,
		"a status of tomorrow":       `{"idempotency_key":"k","outcome":"charged","charge":{"id":"ch_1","reference":"pay_1","idempotency_key":"k","status":"expired"}}`,
	} {
		c := against(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		_, err := c.Cancel(t.Context(), "k")
		require.ErrorIs(t, err, provider.ErrInDoubt, name)
	}
}

// A provider may turn away for longer a caller who comes before it said.
func TestTheNextTryComesNoEarlierThanRetryAfterSays(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var tries []time.Time
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		tries = append(tries, time.Now())
		first := len(tries) == 1
		mu.Unlock()
		if first {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"error":{"code":"rate_limited"}}`))
			return
		}
		grant(w, r, nil)
	})
	_, err := c.Charge(t.Context(), chargeOf("k"))
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, tries, 2)
	require.GreaterOrEqual(t, tries[1].Sub(tries[0]), time.Second)
}
