package stage

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
	"payonce/internal/platform/postgres"
)

// Refund asks for money back once; an amount of 0 asks for what is left.
func (b *Buyer) Refund(ctx context.Context, c Checkout, key string, amount int64) (Response, error) {
	body := map[string]any{"payment_id": c.PaymentID, "reason": "requested_by_customer"}
	if amount != 0 {
		body["amount_minor"] = amount
	}
	return b.Do(ctx, http.MethodPost, "/v1/refunds", key, body)
}

// MustRefund asks for money back and requires that it was accepted.
func (b *Buyer) MustRefund(c Checkout, key string, amount int64) string {
	b.Stage.T.Helper()
	r, err := b.Refund(context.Background(), c, key, amount)
	require.NoError(b.Stage.T, err)
	require.Equal(b.Stage.T, 202, r.Status, "%s", r.Body)
	return r.Field("id").(string)
}

// Bought is an order for two tickets, paid with a card and settled.
func (b *Buyer) Bought(token string) Checkout {
	b.Stage.T.Helper()
	c := b.Order()
	r, _ := b.MustCapture(c, "pay-"+c.PaymentID, token)
	require.Equal(b.Stage.T, 200, r.Status)
	b.Settles(c)
	return c
}

// Saga is the part of a saga's answer that tests look at.
type Saga struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Failure string `json:"failure"`
	Steps   []struct {
		Name, Direction, Status string
		Attempts                int
	} `json:"steps"`
}

// Status of a step in a direction; "" when it has no row.
func (s Saga) Status(step, direction string) string {
	for _, one := range s.Steps {
		if one.Name == step && one.Direction == direction {
			return one.Status
		}
	}
	return ""
}

// Saga reads a refund's saga.
func (b *Buyer) Saga(refund string) (s Saga) {
	b.Stage.T.Helper()
	require.NoError(b.Stage.T, json.Unmarshal(b.Get("/v1/refunds/"+refund+"/saga").Body, &s))
	return s
}

// Ends waits until a refund's saga has ended and returns it.
func (b *Buyer) Ends(refund string) Saga {
	b.Stage.T.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		s := b.Saga(refund)
		if s.State == "completed" || s.State == "compensated" {
			return s
		}
		require.True(b.Stage.T, time.Now().Before(deadline), "refund %s never ends: %+v", refund, s)
		time.Sleep(50 * time.Millisecond)
	}
}

// RefundsAtProvider lists what the provider knows of a refund of ours.
func (s *Stage) RefundsAtProvider(refund string) []map[string]any {
	s.T.Helper()
	return s.world(s.T, "/v1/refunds", url.Values{"reference": {refund}})
}

// RefundByHand gives a purchase's money back at the provider, past the shop.
func (s *Stage) RefundByHand(c Checkout) {
	s.T.Helper()
	charges := s.world(s.T, "/v1/charges", url.Values{"reference": {c.PaymentID}})
	require.Len(s.T, charges, 1)
	r, err := s.World().Send(context.Background(), client.Request{Method: http.MethodPost, Path: "/v1/refunds", Key: "by-hand-" + c.PaymentID, Body: map[string]any{
		"charge_id": charges[0]["id"], "reference": "by-hand", "amount_minor": c.AmountMinor,
	}})
	require.NoError(s.T, err)
	require.Equal(s.T, http.StatusCreated, r.Status, "%s", r.Body)
}

// Exec plays somebody with a hand in the shop's database: time that passes, a
// fault that is planted.
func (s *Stage) Exec(query string, args ...any) {
	s.T.Helper()
	require.NoError(s.T, postgres.InTx(context.Background(), s.DB, func(tx postgres.Tx) error {
		_, err := tx.Exec(context.Background(), query, args...)
		return err
	}))
}

// AllCharges lists what the shop's account at the provider shows, of anybody.
func (s *Stage) AllCharges() []map[string]any {
	s.T.Helper()
	return s.world(s.T, "/v1/charges", url.Values{})
}
