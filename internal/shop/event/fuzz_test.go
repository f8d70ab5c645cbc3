package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"payonce/internal/shop/event"
)

// FuzzDecode holds that each consumer's decoder ends with an error or with an
// event that says the same when it is written and read again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"schema":1,"merchant_id":"0190c2f4-0000-7000-8000-000000000001","amount":{"amount_minor":1,"currency":"EUR"},"lines":[{"sku":"a","quantity":1}],"captured_at":"2026-11-26T10:00:00Z"}`))
	corpus, err := os.ReadFile("../../../testdata/bad_input/amqp.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(corpus) {
		var one struct {
			Body  *string `json:"body"`
			Bytes []byte  `json:"body_base64"`
		}
		if err := json.Unmarshal(line, &one); err != nil {
			f.Fatal(err)
		}
		if one.Body != nil {
			f.Add([]byte(*one.Body))
		}
		if one.Bytes != nil {
			f.Add(one.Bytes)
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		stable[event.PaymentCaptured](t, payload)
		stable[event.PaymentDeclined](t, payload)
		stable[event.TicketsIssued](t, payload)
		stable[event.ProviderCharge](t, payload)
	})
}

func stable[T any](t *testing.T, payload []byte) {
	t.Helper()
	e, err := event.Decode[T](payload)
	if err != nil {
		return
	}
	once, err := json.Marshal(e)
	if err != nil {
		t.Fatalf("%T was read and cannot be written: %v", e, err)
	}
	again, err := event.Decode[T](once)
	if err != nil {
		t.Fatalf("%s: %v", once, err)
	}
	twice, err := json.Marshal(again)
	if err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("%v: %s became %s", err, once, twice)
	}
}
