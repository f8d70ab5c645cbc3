package simulated

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

type refundJSON struct {
	ID             string    `json:"id"`
	ChargeID       string    `json:"charge_id"`
	Reference      string    `json:"reference"`
	IdempotencyKey *string   `json:"idempotency_key"`
	AmountMinor    int64     `json:"amount_minor"`
	Currency       string    `json:"currency"`
	Status         string    `json:"status"`
	DeclineCode    *string   `json:"decline_code"`
	CreatedAt      time.Time `json:"created_at"`
}

func (r refundJSON) refund() provider.Refund {
	out := provider.Refund{
		ID: r.ID, ChargeID: r.ChargeID, Reference: r.Reference, Amount: money.Of(r.AmountMinor, r.Currency),
		Status: provider.Status(r.Status), CreatedAt: r.CreatedAt,
	}
	if r.IdempotencyKey != nil {
		out.IdempotencyKey = *r.IdempotencyKey
	}
	if r.DeclineCode != nil {
		out.DeclineCode = *r.DeclineCode
	}
	return out
}

// known says whether the books can be read: a status of tomorrow proves nothing.
func (r refundJSON) known() bool {
	return r.ID != "" && (r.Status == string(provider.Succeeded) || r.Status == string(provider.Declined))
}

// Refund implements provider.Refunder. Its answers prove what a charge's do.
func (c *Client) Refund(ctx context.Context, r provider.RefundRequest) (provider.Refund, error) {
	body, err := json.Marshal(map[string]any{"charge_id": r.ChargeID, "reference": r.Reference, "amount_minor": r.Amount.AmountMinor})
	if err != nil {
		return provider.Refund{}, fmt.Errorf("%w: %w", provider.ErrNotSent, err)
	}
	a, err := c.send(ctx, "/v1/refunds", r.Key, body)
	if err != nil {
		return provider.Refund{}, err
	}
	return a.refund(r)
}

// refund reads what an answer to POST /v1/refunds proves. A refund that is not
// the one asked for proves nothing.
func (a answer) refund(r provider.RefundRequest) (provider.Refund, error) {
	var (
		out     refundJSON
		refusal struct {
			Error struct {
				Code string `json:"code"`
			} `json:"error"`
			Refund *refundJSON `json:"refund"`
		}
	)
	switch {
	case a.status == http.StatusOK || a.status == http.StatusCreated:
		if err := json.Unmarshal(a.body, &out); err != nil || !out.known() {
			return provider.Refund{}, fmt.Errorf("%w: the answer cannot be read as a refund", provider.ErrInDoubt)
		}
	case a.ambiguous():
		return provider.Refund{}, fmt.Errorf("%w: status %d", provider.ErrInDoubt, a.status)
	default:
		if err := json.Unmarshal(a.body, &refusal); err != nil {
			return provider.Refund{}, fmt.Errorf("%w: status %d without a readable body", provider.ErrInDoubt, a.status)
		}
		if a.status != http.StatusPaymentRequired || refusal.Refund == nil || !refusal.Refund.known() {
			return provider.Refund{}, fmt.Errorf("%w: status %d (%s)", provider.ErrRefused, a.status, refusal.Error.Code)
		}
		out = *refusal.Refund
	}
	got := out.refund()
	if got.IdempotencyKey != r.Key || got.Reference != r.Reference || got.ChargeID != r.ChargeID || got.Amount != r.Amount {
		return provider.Refund{}, fmt.Errorf("%w: the answer speaks of %s of charge %s for %s, not of %s of %s for %s",
			provider.ErrInDoubt, got.Amount, got.ChargeID, got.Reference, r.Amount, r.ChargeID, r.Reference)
	}
	return got, nil
}

// RefundByKey implements provider.Refunder. Of several, because the provider
// forgot a key, money that moved is the answer.
func (c *Client) RefundByKey(ctx context.Context, key string) (provider.Refund, bool, error) {
	refunds, err := all(ctx, url.Values{"idempotency_key": {key}}, c.refunds, refundID, func(r provider.Refund) bool { return r.IdempotencyKey == key })
	if err != nil || len(refunds) == 0 {
		return provider.Refund{}, false, err
	}
	for _, r := range refunds {
		if r.Status == provider.Succeeded {
			return r, true, nil
		}
	}
	return refunds[0], true, nil
}

// RefundsOfCharge implements provider.Charger and provider.Books.
func (c *Client) RefundsOfCharge(ctx context.Context, chargeID string) ([]provider.Refund, error) {
	return all(ctx, url.Values{"charge_id": {chargeID}}, c.askRefunds, refundID, func(r provider.Refund) bool { return r.ChargeID == chargeID })
}

// EachRefund implements provider.Books.
func (c *Client) EachRefund(ctx context.Context, f func(provider.Refund) error) error {
	return each(ctx, nil, c.refunds, refundID, f)
}

func refundID(r provider.Refund) string { return r.ID }

// askRefunds reads one page of refunds that a question is about, through the breaker.
func (c *Client) askRefunds(ctx context.Context, query url.Values) (page[provider.Refund], error) {
	a, err := c.question(ctx, http.MethodGet, "/v1/refunds?"+query.Encode(), nil)
	if err != nil {
		return page[provider.Refund]{}, err
	}
	return readPage(a, "refunds", refundJSON.known, refundJSON.refund)
}

// refunds reads one page of refunds past the breaker, as chargePage does.
func (c *Client) refunds(ctx context.Context, query url.Values) (page[provider.Refund], error) {
	a, err := c.do(ctx, http.MethodGet, "/v1/refunds?"+query.Encode(), "", nil)
	if err != nil {
		return page[provider.Refund]{}, fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	return readPage(a, "refunds", refundJSON.known, refundJSON.refund)
}
