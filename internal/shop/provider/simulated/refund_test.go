package simulated_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
)

func charged(t *testing.T, c *simulated.Client, token string) provider.Charge {
	t.Helper()
	charge, err := c.Charge(t.Context(), provider.Request{Key: "capture:" + token, Reference: "pay_1", Amount: money.Of(4200, "EUR"), Token: token})
	if err != nil || charge.Status != provider.Succeeded {
		t.Fatalf("%+v, %v", charge, err)
	}
	return charge
}

func TestARefundIsSucceededOrDeclinedAndTheBooksSayTheSame(t *testing.T) {
	t.Parallel()
	w := worldtest.Start(t, world.Options{})
	c := simulated.New(simulated.Config{URL: w.URL})
	for token, want := range map[string]provider.Status{"tok_ok": provider.Succeeded, "tok_refund_declined": provider.Declined} {
		charge := charged(t, c, token)
		r := provider.RefundRequest{Key: "refund:" + token, ChargeID: charge.ID, Reference: "ref_1", Amount: charge.Amount}
		got, err := c.Refund(t.Context(), r)
		if err != nil || got.Status != want || got.Amount != charge.Amount {
			t.Errorf("%s: %+v, %v", token, got, err)
		}
		byKey, found, err := c.RefundByKey(t.Context(), r.Key)
		if err != nil || !found || byKey.ID != got.ID || byKey.Status != want {
			t.Errorf("%s by key: %+v, %v, %v", token, byKey, found, err)
		}
		of, err := c.RefundsOfCharge(t.Context(), charge.ID)
		if err != nil || len(of) != 1 || of[0].ID != got.ID {
			t.Errorf("%s by charge: %+v, %v", token, of, err)
		}
	}
	n := 0
	if err := c.EachRefund(t.Context(), func(provider.Refund) error { n++; return nil }); err != nil || n != 2 {
		t.Errorf("%d refunds in the books, %v", n, err)
	}
	if balance, err := c.Balance(t.Context()); err != nil || balance["EUR"] != 4200 {
		t.Errorf("balance %v, %v", balance, err)
	}
}

func TestARefundWhoseAnswerIsLostIsInDoubtAndItsKeyKnowsIt(t *testing.T) {
	t.Parallel()
	w := worldtest.Start(t, world.Options{})
	c := simulated.New(simulated.Config{URL: w.URL})
	charge := charged(t, c, "tok_refund_timeout_after")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := c.Refund(ctx, provider.RefundRequest{Key: "refund:1", ChargeID: charge.ID, Reference: "ref_1", Amount: charge.Amount})
	if !errors.Is(err, provider.ErrInDoubt) {
		t.Errorf("got %v", err)
	}
	if r, found, err := c.RefundByKey(t.Context(), "refund:1"); err != nil || !found || r.Status != provider.Succeeded {
		t.Errorf("%+v, %v, %v", r, found, err)
	}
}

func TestEveryAnswerToARefundFallsIntoItsClass(t *testing.T) {
	t.Parallel()
	const good = `{"id":"re_1","charge_id":"ch_1","reference":"ref_1","idempotency_key":"k","amount_minor":100,"currency":"EUR","status":"succeeded","created_at":"2026-01-01T00:00:00.000Z"}`
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"succeeded":               {201, good, nil},
		"another amount":          {201, `{"id":"re_1","charge_id":"ch_1","reference":"ref_1","idempotency_key":"k","amount_minor":99,"currency":"EUR","status":"succeeded","created_at":"2026-01-01T00:00:00.000Z"}`, provider.ErrInDoubt},
		"a status of tomorrow":    {201, `{"id":"re_1","charge_id":"ch_1","reference":"ref_1","idempotency_key":"k","amount_minor":100,"currency":"EUR","status":"pending","created_at":"2026-01-01T00:00:00.000Z"}`, provider.ErrInDoubt},
		"wrong JSON":              {201, `{"id":`, provider.ErrInDoubt},
		"declined":                {402, `{"error":{"code":"refund_declined"},"refund":{"id":"re_1","charge_id":"ch_1","reference":"ref_1","idempotency_key":"k","amount_minor":100,"currency":"EUR","status":"declined","decline_code":"x","created_at":"2026-01-01T00:00:00.000Z"}}`, nil},
		"declined without refund": {402, `{"error":{"code":"refund_declined"}}`, provider.ErrRefused},
		"unknown charge":          {404, `{"error":{"code":"charge_not_found"}}`, provider.ErrRefused},
		"no credentials":          {401, `{"error":{"code":"unauthorized"}}`, provider.ErrRefused},
		"a twin is running":       {409, `{"error":{"code":"idempotency_key_in_progress"}}`, provider.ErrInDoubt},
		"a hiccup":                {500, `{"error":{"code":"provider_error"}}`, provider.ErrInDoubt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer far.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := simulated.New(simulated.Config{URL: far.URL}).Refund(ctx, provider.RefundRequest{Key: "k", ChargeID: "ch_1", Reference: "ref_1", Amount: money.Of(100, "EUR")})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestARefundThatCannotLeaveIsNotSent(t *testing.T) {
	t.Parallel()
	_, err := simulated.New(simulated.Config{URL: "http://127.0.0.1:1"}).Refund(t.Context(), provider.RefundRequest{Key: "k", ChargeID: "ch_1", Reference: "ref_1", Amount: money.Of(100, "EUR")})
	if !errors.Is(err, provider.ErrNotSent) {
		t.Errorf("got %v", err)
	}
}
