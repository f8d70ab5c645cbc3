// Package simulated is the shop's adapter to the card provider that runs beside
// it in the sandbox. Everything that matters to a real adapter is here: which
// answers prove something and which do not.
//
//	answer                                  proves                 becomes
//	201, 200                                charged                a succeeded charge
//	402 card_declined                       declined               a declined charge
//	402 refund_declined                    refused                a declined refund
//	402 invalid_token                       no such card           a declined charge without id
//	410 charge_cancelled                    never                  a cancelled charge
//	other 4xx                               our request is wrong   ErrRefused
//	409, 429, 5xx, silence, broken JSON     nothing                tried again, then ErrInDoubt
//	another key's or payment's outcome      nothing about ours     ErrInDoubt
//	breaker open                            nothing left us        ErrNotSent
//	never had a connection, on any try      nothing left us        ErrNotSent
//
// Retries use the same key, come no earlier than the provider allows by
// Retry-After, and stop at the caller's deadline. The breaker
// counts whole calls, and only those in which the provider was out of reach: no
// connection, its gateway's 502, 503, 504, or a question without an answer. Any
// other answer, also a 500, says that it is there; the silence of a charge says
// nothing, because one card can cause it, and the question that follows from the
// doubt will tell. So no sandbox's cards close the shop for the others. Only the
// auditor's long lists go past it.
package simulated

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

// Config says where the provider is.
type Config struct {
	URL            string
	APIKey         string
	ConnectTimeout time.Duration // 0 means 1 s
	// BreakerDelay is how long an open breaker waits before each probe; 0 means 1 s.
	BreakerDelay time.Duration
	Log          *slog.Logger // hears when the breaker opens and closes
	// Transport is for tests that look at the wire; nil means a real one.
	Transport http.RoundTripper
}

// Client implements provider.Charger, provider.Refunder and provider.Books.
type Client struct {
	base    string
	apiKey  string
	http    *http.Client
	breaker circuitbreaker.CircuitBreaker[answer]
	// probeTimeout bounds the question that an open breaker's caller asks first.
	probeTimeout time.Duration
	// charges, and refunds, are tried again until the caller's deadline. Questions
	// are not: who asks has a schedule.
	charges failsafe.Executor[answer]
}

// New makes a client. It does not connect.
func New(cfg Config) *Client {
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = time.Second
	}
	if cfg.BreakerDelay == 0 {
		cfg.BreakerDelay = time.Second
	}
	transport := cfg.Transport
	if transport == nil {
		transport = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: cfg.ConnectTimeout}).DialContext,
			MaxIdleConns:        128,
			MaxIdleConnsPerHost: 128,
			IdleConnTimeout:     time.Minute,
		}
	}
	retries := retrypolicy.NewBuilder[answer]().
		HandleIf(func(a answer, err error) bool { return err != nil || a.ambiguous() }).
		WithBackoff(50*time.Millisecond, time.Second).WithJitterFactor(0.2).
		WithDelayFunc(func(e failsafe.ExecutionAttempt[answer]) time.Duration { return e.LastResult().notBefore() }).
		WithMaxRetries(-1). // the caller's deadline ends it
		AbortOnErrors(context.DeadlineExceeded, context.Canceled, errUnreached).
		ReturnLastFailure().
		Build()
	return &Client{
		base: strings.TrimRight(cfg.URL, "/"), apiKey: cfg.APIKey, http: &http.Client{Transport: transport},
		breaker: newBreaker(cfg), probeTimeout: cfg.ConnectTimeout, charges: failsafe.With[answer](retries),
	}
}

// answer is a response that arrived whole.
type answer struct {
	status int
	body   []byte
	// retryAfter is what the provider said in Retry-After; 0 when it did not.
	retryAfter time.Duration
}

// notBefore is how long the next try waits; -1 leaves it to the backoff. Jitter
// takes up to a fifth away, and who comes too early is sent away again.
func (a answer) notBefore() time.Duration {
	if a.retryAfter <= 0 {
		return -1
	}
	return a.retryAfter * 5 / 4
}

// readRetryAfter reads the header's seconds. Its other form, a date, would need a
// clock that agrees with ours; it is left to the backoff.
func readRetryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseInt(h.Get("Retry-After"), 10, 32)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// ambiguous answers prove nothing about the charge and may be asked for again.
func (a answer) ambiguous() bool {
	return a.status == http.StatusConflict || a.status == http.StatusTooManyRequests || a.status >= 500 || a.broken()
}

// broken says that what arrived is not JSON: cut off on its way, or not from the
// provider at all.
func (a answer) broken() bool { return !json.Valid(a.body) }

type chargeJSON struct {
	ID             string    `json:"id"`
	Reference      string    `json:"reference"`
	IdempotencyKey *string   `json:"idempotency_key"`
	AmountMinor    int64     `json:"amount_minor"`
	Currency       string    `json:"currency"`
	Status         string    `json:"status"`
	DeclineCode    *string   `json:"decline_code"`
	CreatedAt      time.Time `json:"created_at"`
}

func (c chargeJSON) charge() provider.Charge {
	out := provider.Charge{
		ID: c.ID, Reference: c.Reference, Amount: money.Of(c.AmountMinor, c.Currency),
		Status: provider.Status(c.Status), CreatedAt: c.CreatedAt,
	}
	if c.IdempotencyKey != nil {
		out.IdempotencyKey = *c.IdempotencyKey
	}
	if c.DeclineCode != nil {
		out.DeclineCode = *c.DeclineCode
	}
	return out
}

// known says whether the books can be read: a status of tomorrow proves nothing.
func (c chargeJSON) known() bool {
	return c.ID != "" && (c.Status == string(provider.Succeeded) || c.Status == string(provider.Declined) || c.Status == string(provider.Cancelled))
}

// of is the charge that was made under a key for a reference, "" for whatever
// reference. What cannot be read, or speaks of another, proves nothing of ours.
func (c chargeJSON) of(key, reference string) (provider.Charge, error) {
	got := c.charge()
	switch {
	case !c.known():
		return provider.Charge{}, fmt.Errorf("%w: the answer cannot be read as a charge", provider.ErrInDoubt)
	case got.IdempotencyKey != key, reference != "" && got.Reference != reference:
		return provider.Charge{}, fmt.Errorf("%w: the answer speaks of charge %s of %s, not of ours", provider.ErrInDoubt, got.ID, got.Reference)
	}
	return got, nil
}

type refusalJSON struct {
	Error struct {
		Code string `json:"code"`
	} `json:"error"`
	Charge *chargeJSON `json:"charge"`
}

// Charge implements provider.Charger.
func (c *Client) Charge(ctx context.Context, r provider.Request) (provider.Charge, error) {
	body, err := json.Marshal(map[string]any{
		"reference": r.Reference, "amount_minor": r.Amount.AmountMinor, "currency": r.Amount.Currency, "token": r.Token,
	})
	if err != nil {
		return provider.Charge{}, fmt.Errorf("%w: %w", provider.ErrNotSent, err)
	}
	a, err := c.send(ctx, "/v1/charges", r.Key, body)
	if err != nil {
		return provider.Charge{}, err
	}
	return a.charge(r)
}

// charge reads what an answer to POST /v1/charges proves.
func (a answer) charge(r provider.Request) (provider.Charge, error) {
	var refusal refusalJSON
	if a.status >= 400 {
		if err := json.Unmarshal(a.body, &refusal); err != nil {
			return provider.Charge{}, fmt.Errorf("%w: status %d without a readable body", provider.ErrInDoubt, a.status)
		}
	}
	switch {
	case a.status == http.StatusOK || a.status == http.StatusCreated:
		return readCharge(a.body, r)
	case a.status == http.StatusPaymentRequired && refusal.Charge == nil:
		return provider.Charge{Reference: r.Reference, IdempotencyKey: r.Key, Amount: r.Amount, Status: provider.Declined, DeclineCode: refusal.Error.Code}, nil
	case a.status == http.StatusPaymentRequired, a.status == http.StatusGone && refusal.Charge != nil:
		return refusal.Charge.of(r.Key, r.Reference)
	case a.ambiguous():
		return provider.Charge{}, fmt.Errorf("%w: status %d (%s)", provider.ErrInDoubt, a.status, refusal.Error.Code)
	}
	return provider.Charge{}, fmt.Errorf("%w: status %d (%s)", provider.ErrRefused, a.status, refusal.Error.Code)
}

func readCharge(body []byte, r provider.Request) (provider.Charge, error) {
	var c chargeJSON
	if err := json.Unmarshal(body, &c); err != nil {
		return provider.Charge{}, fmt.Errorf("%w: the answer cannot be read as a charge: %w", provider.ErrInDoubt, err)
	}
	return c.of(r.Key, r.Reference)
}

// ChargeByKey implements provider.Charger.
func (c *Client) ChargeByKey(ctx context.Context, key string) (provider.Charge, bool, error) {
	charges, err := all(ctx, url.Values{"idempotency_key": {key}}, c.ask, chargeID, func(charge provider.Charge) bool { return charge.IdempotencyKey == key })
	if err != nil || len(charges) == 0 {
		return provider.Charge{}, false, err
	}
	// A provider that forgot its keys may hold several. Money that moved is the
	// answer, whatever else the books say of the key.
	for _, charge := range charges {
		if charge.Status == provider.Succeeded {
			return charge, true, nil
		}
	}
	return charges[0], true, nil
}

// ChargesByReference implements provider.Charger and provider.Books.
func (c *Client) ChargesByReference(ctx context.Context, reference string) ([]provider.Charge, error) {
	return all(ctx, url.Values{"reference": {reference}}, c.ask, chargeID, func(charge provider.Charge) bool { return charge.Reference == reference })
}

func chargeID(c provider.Charge) string { return c.ID }

// ask reads one page of charges that a question is about, through the breaker.
func (c *Client) ask(ctx context.Context, query url.Values) (page[provider.Charge], error) {
	a, err := c.question(ctx, http.MethodGet, "/v1/charges?"+query.Encode(), nil)
	if err != nil {
		return page[provider.Charge]{}, err
	}
	return a.charges()
}

// question asks once, through the breaker. Its error is ErrInDoubt: an open
// breaker says nothing about a charge.
func (c *Client) question(ctx context.Context, method, path string, body []byte) (answer, error) {
	if err := c.admitted(ctx); err != nil {
		return answer{}, fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	a, err := c.do(ctx, method, path, "", body)
	switch {
	case errors.Is(err, context.Canceled): // who hangs up first has learned nothing
	case err != nil, a.outOfReach():
		c.count(gone)
	default:
		c.count(reached)
	}
	if err != nil {
		return a, fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	return a, nil
}

// Cancel implements provider.Charger.
func (c *Client) Cancel(ctx context.Context, key string) (provider.Charge, error) {
	body, err := json.Marshal(map[string]string{"idempotency_key": key})
	if err != nil {
		return provider.Charge{}, fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	a, err := c.question(ctx, http.MethodPost, "/v1/charges/cancel", body)
	if err != nil {
		return provider.Charge{}, err
	}
	if a.status != http.StatusOK {
		return provider.Charge{}, fmt.Errorf("%w: cancel answered %d", provider.ErrInDoubt, a.status)
	}
	var out struct {
		Key     string      `json:"idempotency_key"`
		Outcome string      `json:"outcome"`
		Charge  *chargeJSON `json:"charge"`
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		return provider.Charge{}, fmt.Errorf("%w: %w", provider.ErrInDoubt, err)
	}
	switch {
	case out.Outcome == "cancelled" && out.Key == key:
		return provider.Charge{IdempotencyKey: key, Status: provider.Cancelled}, nil
	case out.Charge != nil:
		return out.Charge.of(key, "")
	}
	return provider.Charge{}, fmt.Errorf("%w: cancel said %q of key %q", provider.ErrInDoubt, out.Outcome, out.Key)
}

func (c *Client) do(ctx context.Context, method, path, key string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.apiKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.apiKey)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return answer{status: resp.StatusCode, body: b, retryAfter: readRetryAfter(resp.Header)}, err
}
