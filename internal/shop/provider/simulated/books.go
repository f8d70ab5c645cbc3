package simulated

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"payonce/internal/shop/provider"
)

// EachCharge implements provider.Books.
func (c *Client) EachCharge(ctx context.Context, f func(provider.Charge) error) error {
	page := url.Values{"limit": {"1000"}}
	for {
		charges, next, err := c.list(ctx, page)
		if err != nil {
			return err
		}
		for _, charge := range charges {
			if err := f(charge); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		page.Set("cursor", next)
	}
}

// Balance implements provider.Books.
func (c *Client) Balance(ctx context.Context) (map[string]int64, error) {
	a, err := c.do(ctx, http.MethodGet, "/v1/balance", "", nil)
	if err != nil || a.status != http.StatusOK {
		return nil, fmt.Errorf("%w: balance answered %d: %w", provider.ErrInDoubt, a.status, err)
	}
	var out struct {
		Data []struct {
			Currency    string `json:"currency"`
			AmountMinor int64  `json:"amount_minor"`
		} `json:"data"`
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		return nil, fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	sums := map[string]int64{}
	for _, b := range out.Data {
		sums[b.Currency] = b.AmountMinor
	}
	return sums, nil
}

func (c *Client) list(ctx context.Context, query url.Values) ([]provider.Charge, string, error) {
	a, err := c.do(ctx, http.MethodGet, "/v1/charges?"+query.Encode(), "", nil)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	return a.list()
}

// list reads a page of charges and where the next one begins.
func (a answer) list() ([]provider.Charge, string, error) {
	if a.status != http.StatusOK {
		return nil, "", fmt.Errorf("%w: the list of charges answered %d", provider.ErrInDoubt, a.status)
	}
	var out struct {
		Data       []chargeJSON `json:"data"`
		NextCursor *string      `json:"next_cursor"`
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		return nil, "", fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	charges := make([]provider.Charge, 0, len(out.Data))
	for _, one := range out.Data {
		charges = append(charges, one.charge())
	}
	if out.NextCursor == nil {
		return charges, "", nil
	}
	return charges, *out.NextCursor, nil
}
