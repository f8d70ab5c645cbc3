package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
)

// badInput is one line of testdata/bad_input/http.jsonl: a request that must be
// refused, and how. {payment} in the path is a payment of 84.00 EUR that waits
// for its capture. A header that is null is left out.
type badInput struct {
	Name      string             `json:"name"`
	Method    string             `json:"method"`
	Path      string             `json:"path"`
	Body      string             `json:"body"`
	Bytes     []byte             `json:"body_base64"`
	Headers   map[string]*string `json:"headers"`
	Status    int                `json:"status"`
	Type      string             `json:"type"`
	Pointer   *string            `json:"pointer"`
	Parameter string             `json:"parameter"`
}

func corpus(t *testing.T) []badInput {
	t.Helper()
	file, err := os.Open("../../../testdata/bad_input/http.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var all []badInput
	for d := json.NewDecoder(file); ; {
		d.DisallowUnknownFields()
		var one badInput
		if err := d.Decode(&one); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

func (b badInput) header(key string) http.Header {
	h := http.Header{"Authorization": {"Bearer " + key}, "Idempotency-Key": {uuid.NewString()}}
	if b.Method != "GET" {
		h.Set("Content-Type", "application/json")
	}
	for name, value := range b.Headers {
		h.Del(name)
		if value != nil {
			h.Set(name, *value)
		}
	}
	return h
}

func TestAHundredBadRequestsAreRefusedWhereTheyAreWrongAndHaveNoEffect(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.order()
	all := corpus(t)
	if len(all) < 100 {
		t.Fatalf("%d cases", len(all))
	}
	for _, bad := range all {
		body := []byte(bad.Body)
		if bad.Bytes != nil {
			body = bad.Bytes
		}
		r := e.sendAll(bad.Method, strings.ReplaceAll(bad.Path, "{payment}", o.Payment.ID), bad.header(e.key), bytes.NewReader(body))
		var p wire.Problem
		if err := json.Unmarshal([]byte(r.Body), &p); err != nil || r.Status != bad.Status || p.Type != "/problems/"+bad.Type {
			t.Errorf("%s: expected %d %s, got %d %s", bad.Name, bad.Status, bad.Type, r.Status, r.Body)
			continue
		}
		if !bad.named(p) {
			t.Errorf("%s: no error at %v%s: %s", bad.Name, deref(bad.Pointer), bad.Parameter, r.Body)
		}
	}
	if n := e.count(`SELECT count(*) FROM payment_attempts`); n != 0 || e.bank.calls != 0 || e.count(`SELECT count(*) FROM orders`) != 1 {
		t.Errorf("%d attempts, %d calls of the provider", n, e.bank.calls)
	}
}

// named says whether the problem points at the place that is wrong.
func (b badInput) named(p wire.Problem) bool {
	if b.Pointer == nil && b.Parameter == "" {
		return true
	}
	if p.Errors == nil {
		return false
	}
	for _, each := range *p.Errors {
		if b.Pointer != nil && each.Pointer != nil && *each.Pointer == *b.Pointer {
			return true
		}
		if b.Parameter != "" && each.Parameter != nil && *each.Parameter == b.Parameter {
			return true
		}
	}
	return false
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
