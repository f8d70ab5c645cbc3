package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"payonce/internal/edge/wire"
	"payonce/once/webhook"
)

// badWebhook is one line of testdata/bad_input/webhook.jsonl: a delivery that is
// answered otherwise than with a receipt that starts something. It is signed by
// the provider, now, as it stands, unless the line says otherwise; {now} in a
// header is the time at which it was signed, {signature} the right signature.
type badWebhook struct {
	Name      string             `json:"name"`
	Body      string             `json:"body"`
	Bytes     []byte             `json:"body_base64"`
	PadTo     int                `json:"pad_to"`     // white space up to so many bytes
	Sent      *string            `json:"sent"`       // what arrives, when it is not what was signed
	ID        string             `json:"id"`         // "" is msg_1
	SignedBy  string             `json:"signed_by"`  // "", or stranger
	SignedAgo int                `json:"signed_ago"` // seconds; negative is the future
	Headers   map[string]*string `json:"headers"`    // replaced after signing; null is left out
	Twice     string             `json:"twice"`      // a header that is sent twice
	Status    int                `json:"status"`
	Type      string             `json:"type"`    // of the problem
	Outcome   string             `json:"outcome"` // of a 200
}

const strangersSecret = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBvZiAzMiBieXRlcw=="

func badWebhooks(t *testing.T) []badWebhook {
	t.Helper()
	file, err := os.Open("../../../testdata/bad_input/webhook.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var all []badWebhook
	for d := json.NewDecoder(file); ; {
		d.DisallowUnknownFields()
		var one badWebhook
		if err := d.Decode(&one); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// delivery makes the headers and the bytes that arrive.
func (b badWebhook) delivery(t *testing.T) (http.Header, []byte) {
	t.Helper()
	secret := providersSecrets[0]
	if b.SignedBy == "stranger" {
		secret = strangersSecret
	}
	key, err := webhook.DecodeSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	body, id := []byte(b.Body), b.ID
	if b.Bytes != nil {
		body = b.Bytes
	}
	if missing := b.PadTo - len(body); missing > 0 {
		body = append(body, bytes.Repeat([]byte(" "), missing)...)
	}
	if id == "" {
		id = "msg_1"
	}
	h := webhook.Sign([][]byte{key}, id, time.Now().Add(-time.Duration(b.SignedAgo)*time.Second), body)
	h.Set("Content-Type", "application/json")
	words := strings.NewReplacer("{now}", h.Get(webhook.HeaderTimestamp), "{signature}", h.Get(webhook.HeaderSignature))
	for name, value := range b.Headers {
		h.Del(name)
		if value != nil {
			h.Set(name, words.Replace(*value))
		}
	}
	if b.Twice != "" {
		h.Add(b.Twice, h.Get(b.Twice))
	}
	if b.Sent != nil {
		body = []byte(*b.Sent)
	}
	return h, body
}

func TestEveryBadWebhookGetsItsDocumentedAnswerAndStartsNothing(t *testing.T) {
	t.Parallel()
	e := newEdge(t, receiving(t))
	all := badWebhooks(t)
	if len(all) < 25 {
		t.Fatalf("%d cases", len(all))
	}
	for _, bad := range all {
		before := e.count(`SELECT count(*) FROM webhook_receipts`)
		header, body := bad.delivery(t)
		r := e.sendAll("POST", "/v1/webhooks/provider", header, bytes.NewReader(body))
		if r.Status != bad.Status {
			t.Errorf("%s: expected %d, got %d %s", bad.Name, bad.Status, r.Status, r.Body)
			continue
		}
		receipts := e.count(`SELECT count(*) FROM webhook_receipts`) - before
		if bad.Status == http.StatusOK {
			var got wire.WebhookReceipt
			if err := json.Unmarshal([]byte(r.Body), &got); err != nil || string(got.Outcome) != bad.Outcome || receipts != 1 {
				t.Errorf("%s: %s, %d receipts", bad.Name, r.Body, receipts)
			}
			continue
		}
		var p wire.Problem
		if err := json.Unmarshal([]byte(r.Body), &p); err != nil || p.Type != "/problems/"+bad.Type || receipts != 0 {
			t.Errorf("%s: expected %s, got %s, %d receipts", bad.Name, bad.Type, r.Body, receipts)
		}
	}
	if n := e.count(`SELECT count(*) FROM outbox_events`); n != 0 {
		t.Errorf("%d events were started", n)
	}
}
