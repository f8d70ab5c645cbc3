package simulated

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"payonce/internal/shop/provider"
)

// EachCharge implements provider.Books.
func (c *Client) EachCharge(ctx context.Context, f func(provider.Charge) error) error {
	return each(ctx, nil, c.chargePage, chargeID, f)
}

// ChargesSince implements provider.Statement.
func (c *Client) ChargesSince(ctx context.Context, from time.Time) ([]provider.Charge, error) {
	return all(ctx, since(from), c.chargePage, chargeID, func(charge provider.Charge) bool { return !charge.CreatedAt.Before(from) })
}

// RefundsSince implements provider.Statement.
func (c *Client) RefundsSince(ctx context.Context, from time.Time) ([]provider.Refund, error) {
	return all(ctx, since(from), c.refunds, refundID, func(r provider.Refund) bool { return !r.CreatedAt.Before(from) })
}

func since(from time.Time) url.Values {
	return url.Values{"created_from": {from.UTC().Format(time.RFC3339)}}
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

// chargePage reads one page of charges. Auditors ask past the breaker: they are not
// to close it for captures.
func (c *Client) chargePage(ctx context.Context, query url.Values) (page[provider.Charge], error) {
	a, err := c.do(ctx, http.MethodGet, "/v1/charges?"+query.Encode(), "", nil)
	if err != nil {
		return page[provider.Charge]{}, fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	return a.charges()
}

// charges reads a page of charges. One that cannot be read makes the page so: a
// status of tomorrow may be money.
func (a answer) charges() (page[provider.Charge], error) {
	return readPage(a, "charges", chargeJSON.known, chargeJSON.charge)
}

// readPage reads a page of rows as JSON has them.
func readPage[J, T any](a answer, what string, known func(J) bool, row func(J) T) (p page[T], err error) {
	if a.status != http.StatusOK {
		return p, fmt.Errorf("%w: the list of %s answered %d", provider.ErrInDoubt, what, a.status)
	}
	var out struct {
		Data       []J     `json:"data"`
		NextCursor *string `json:"next_cursor"`
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		return p, fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	for _, one := range out.Data {
		if !known(one) {
			return p, fmt.Errorf("%w: among the %s is one that cannot be read", provider.ErrInDoubt, what)
		}
		p.rows = append(p.rows, row(one))
	}
	if out.NextCursor != nil {
		p.next = *out.NextCursor
	}
	return p, nil
}
