package wire_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"payonce/api"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
)

var (
	berlin  = time.FixedZone("CET", 3600)
	payment = checkout.Payment{
		ID: uuid.MustParse("019a1c0d-4f8b-7d10-a3c2-e4f6b8d0a2c4"), OrderID: uuid.MustParse("019a1c0d-4f8a-7c3e-9b21-d65f0a7e4c11"),
		Status: "captured", AmountMinor: 8400, Currency: "EUR", AttemptNo: 1, Version: 1,
		ProviderChargeID: sql.NullString{String: "ch_1", Valid: true},
		CapturedAt:       sql.NullTime{Time: time.Date(2026, 11, 23, 21, 0, 0, 120_000_000, berlin), Valid: true},
		CreatedAt:        time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC),
	}
)

func TestThePaymentsBytesAreTheseInEveryProcess(t *testing.T) {
	t.Parallel()
	const want = `{"amount_minor":8400,"attempt_no":1,"captured_at":"2026-11-23T20:00:00.120Z","created_at":"2026-11-23T20:00:00.000Z",` +
		`"currency":"EUR","decline_code":null,"id":"pay_019a1c0d4f8b7d10a3c2e4f6b8d0a2c4","order_id":"ord_019a1c0d4f8a7c3e9b21d65f0a7e4c11",` +
		`"provider_charge_id":"ch_1","refunded_minor":0,"status":"captured","version":1}` + "\n"
	a := wire.Renderer{}.PaymentAnswer(payment, 200)
	if string(a.Body) != want || a.Status != 200 || a.ContentType != "application/json" || a.Location != "" {
		t.Fatalf("got %d %s %s\n%s", a.Status, a.ContentType, a.Location, a.Body)
	}
	doubt := payment
	doubt.Status = "in_doubt"
	if a := (wire.Renderer{}).PaymentAnswer(doubt, 202); a.Location != "/v1/payments/pay_019a1c0d4f8b7d10a3c2e4f6b8d0a2c4" {
		t.Fatalf("a payment in doubt is shown at %q", a.Location)
	}
}

func TestADeclineReadsTheSameWhoeverRendersIt(t *testing.T) {
	t.Parallel()
	declined := payment
	declined.Status = "declined"
	declined.ProviderChargeID, declined.CapturedAt = sql.NullString{}, sql.NullTime{}
	declined.DeclineCode = sql.NullString{String: "insufficient_funds", Valid: true}
	err := &checkout.DeclinedError{Payment: declined}

	byTheHandler := wire.Renderer{}.ErrorAnswer(wire.WithInstance(t.Context(), "/v1/payments/whatever/capture"), err)
	byTheWorker := wire.Renderer{}.ErrorAnswer(t.Context(), err)
	if !bytes.Equal(byTheHandler.Body, byTheWorker.Body) || byTheHandler.Status != 402 {
		t.Fatalf("handler: %s\nworker: %s", byTheHandler.Body, byTheWorker.Body)
	}
	var d wire.Problem
	if err := json.Unmarshal(byTheWorker.Body, &d); err != nil {
		t.Fatal(err)
	}
	if *d.DeclineCode != "insufficient_funds" || d.Type != "/problems/payment-declined" || d.RequestID != nil ||
		d.Instance != "/v1/payments/pay_019a1c0d4f8b7d10a3c2e4f6b8d0a2c4/capture" {
		t.Fatalf("got %s", byTheWorker.Body)
	}
}

func TestEveryStoredAnswerFitsTheContract(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	order := checkout.Order{
		ID: payment.OrderID, Status: "awaiting_payment", Email: "a@example.org", AmountMinor: 8400, Currency: "EUR",
		Lines: []event.Line{{SKU: "concert-a", Name: "A < B & C", Quantity: 2, UnitAmountMinor: 4200}}, CreatedAt: payment.CreatedAt, Payment: payment,
	}
	ctx := wire.WithInstance(t.Context(), "/v1/orders")
	r := wire.Renderer{}
	for name, body := range map[string][]byte{
		"Order":            r.OrderAnswer(order).Body,
		"Payment":          r.PaymentAnswer(payment, 200).Body,
		"Problem":          r.ErrorAnswer(ctx, &checkout.DeclinedError{Payment: payment}).Body,
		"Problem/mismatch": r.ErrorAnswer(ctx, checkout.ErrAmountMismatch).Body,
		"Problem/captured": r.ErrorAnswer(ctx, checkout.ErrAlreadyCaptured).Body,
		"Problem/sku":      r.ErrorAnswer(ctx, checkout.ErrUnknownSKU).Body,
	} {
		schema, _, _ := strings.Cut(name, "/")
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			t.Fatal(err)
		}
		if err := doc.Components.Schemas[schema].Value.VisitJSON(value, openapi3.VisitAsResponse()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEachKindOfProblemIsExplained(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range wire.Kinds {
		if seen[k.Slug] || k.Status < 400 || k.Title == "" || k.Meaning == "" || k.Remedy == "" {
			t.Errorf("%+v", k)
		}
		seen[k.Slug] = true
	}
}
