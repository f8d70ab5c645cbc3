package world_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"payonce/internal/lab/client"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
)

// shop is a caller of the provider that never retries by itself.
type shop struct {
	*worldtest.World
	t      *testing.T
	client *client.Client
}

func open(t *testing.T, options world.Options) shop {
	t.Helper()
	s := shop{World: worldtest.Start(t, options), t: t}
	return s.waiting(20 * time.Second)
}

// waiting is the same shop with another patience.
func (s shop) waiting(limit time.Duration) shop {
	s.client = client.New(s.URL, "", client.Options{Timeout: limit})
	return s
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// send makes one request; headers are name, value, name, value.
func (s shop) send(method, path, body string, headers ...string) (reply, error) {
	s.t.Helper()
	request := client.Request{Method: method, Path: path, Header: http.Header{}, Raw: []byte(body)}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	got, err := s.client.Send(context.Background(), request)
	return reply{got.Status, got.Header, string(got.Body)}, err
}

// must is send for a caller who expects an answer.
func (s shop) must(method, path, body string, headers ...string) reply {
	s.t.Helper()
	got, err := s.send(method, path, body, headers...)
	if err != nil {
		s.t.Fatalf("%s %s: no answer: %v", method, path, err)
	}
	return got
}

const oneCharge = `{"reference":"pay_1","amount_minor":4200,"currency":"EUR","token":"tok_ok"}`

// with is oneCharge with another card.
func with(token string) string { return strings.Replace(oneCharge, "tok_ok", token, 1) }

// pay charges 42.00 EUR on pay_1; an empty key sends none.
func (s shop) pay(token, key string) (reply, error) {
	s.t.Helper()
	if key == "" {
		return s.send("POST", "/v1/charges", with(token))
	}
	return s.send("POST", "/v1/charges", with(token), "Idempotency-Key", key)
}

// expect fails unless the reply has the status and, for refusals, the code.
func expect(t *testing.T, got reply, status int, code string) {
	t.Helper()
	var body struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		t.Fatalf("%d with a body that is not JSON: %q", got.status, got.body)
	}
	if got.status != status || body.Error.Code != code || (code != "" && body.Error.Message == "") {
		t.Fatalf("got %d %q, want %d %q: %s", got.status, body.Error.Code, status, code, got.body)
	}
}

func decode[T any](t *testing.T, body string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("decode %q: %v", body, err)
	}
	return value
}

// succeeded counts the live charges among many.
func succeeded(charges []world.Charge) (n int) {
	for _, c := range charges {
		if c.Status == "succeeded" {
			n++
		}
	}
	return n
}

// noAnswer fails unless the call ended without one, by our own impatience or
// by a connection that was cut.
func noAnswer(t *testing.T, got reply, err error) {
	t.Helper()
	if err == nil {
		t.Fatalf("got an answer, %d: %s", got.status, got.body)
	}
	if errors.Is(err, context.Canceled) {
		t.Fatalf("the test itself gave up: %v", err)
	}
}
