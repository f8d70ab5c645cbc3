package e2e

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/stage"
)

// The laboratory's poison and redeliveries, through the real processes.
func TestAPoisonedQueueGivesItsMessageToAPersonWhileRedeliveriesAndNewOrdersHaveOneEffectEach(t *testing.T) {
	t.Parallel()
	b := stage.Start(t, stage.Options{}).Buyer()
	post := func(path string, body map[string]any) stage.Response {
		t.Helper()
		r, err := b.Do(context.Background(), http.MethodPost, path, "", body)
		require.NoError(t, err)
		require.Equal(t, 202, r.Status, "%s: %s", path, r.Body)
		return r
	}
	c := b.Order()
	b.MustCapture(c, "K", "tok_ok")
	b.Settles(c)
	eventID := post("/v1/lab/poison", map[string]any{"payment_id": c.PaymentID, "consumer": "tickets"}).Field("event_id")
	post("/v1/lab/redeliver", map[string]any{"payment_id": c.PaymentID, "times": 20})
	other := b.Order()
	b.MustCapture(other, "K2", "tok_ok")
	b.Settles(other)

	var letter map[string]any
	require.Eventually(t, func() bool {
		open := b.Get("/v1/ops/dead-letters?state=open").Field("data").([]any)
		if len(open) == 1 {
			letter = open[0].(map[string]any)
		}
		return len(open) == 1
	}, settle, tick, "the poison is with a person")
	require.Equal(t, eventID, letter["event_id"])
	require.Equal(t, "permanent", letter["class"])
	require.Contains(t, letter["reason"], "schema version 999")
	require.Equal(t, c.PaymentID, letter["payment_id"])
	require.Eventually(t, func() bool {
		return b.Stage.Count(`SELECT count(*) FROM outbox_events WHERE published_at IS NULL`) == 0
	}, settle, tick)

	// Nobody has fixed anything, so a replay dies again and is seen again.
	path := "/v1/ops/dead-letters/" + letter["id"].(string)
	post(path+"/replay", map[string]any{"reason": "try once more"})
	require.Eventually(t, func() bool {
		l := b.Get(path).Field("letter").(map[string]any)
		return l["state"] == "open" && l["replay_no"] == float64(1)
	}, settle, tick, "the second death is seen")
	post(path+"/discard", map[string]any{"reason": "it was only poison"})
	r, err := b.Do(context.Background(), http.MethodPost, path+"/discard", "", map[string]any{"reason": "again"})
	require.NoError(t, err)
	require.Equal(t, 409, r.Status)
	b.Settles(c) // Sixty copies later the effects are there once.
	require.Zero(t, b.Stage.Count(`SELECT count(*) FROM alerts WHERE kind = 'dead_letter' AND state = 'open'`))
}
