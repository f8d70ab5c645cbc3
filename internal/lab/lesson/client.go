package lesson

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/wire"
)

// userAgent is how a lesson introduces itself.
const userAgent = "payonce-lesson"

// client speaks to one of the parties over HTTP.
type client struct {
	name, url, apiKey string
	http              *http.Client
}

// careful is an HTTP client that repeats nothing by itself: a second delivery
// must be the scenario's decision.
func careful() *http.Client {
	return &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 10 * time.Second}}
}

// request is what is sent once.
type request struct {
	method, path, key string
	body              any
	header            http.Header
	// raw is sent as it is, instead of body.
	raw []byte
}

// answer is what came back, whole.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// String is for steps and errors: the status, and the problem's kind if it is one.
func (a answer) String() string {
	var problem wire.Problem
	if json.Unmarshal(a.Body, &problem) == nil && problem.Type != "" {
		return fmt.Sprintf("%d %s", a.Status, strings.TrimPrefix(problem.Type, "/problems/"))
	}
	return fmt.Sprint(a.Status)
}

func (a answer) into(v any) error {
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	return nil
}

// send sends one request, once.
func (c client) send(ctx context.Context, q request) (answer, error) {
	body := q.raw
	if q.body != nil {
		var err error
		if body, err = json.Marshal(q.body); err != nil {
			return answer{}, fmt.Errorf("write a request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, q.method, c.url+q.path, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("ask %s: %w", c.name, err)
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", userAgent)
	if c.apiKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.apiKey)
	}
	if body != nil {
		req.Header.Set("Content-Type", wire.JSON)
	}
	if q.key != "" {
		req.Header.Set("Idempotency-Key", q.key)
		// net/http repeats a request with this header by itself when a reused
		// connection dies; an attempt that nobody decided to make.
		req.GetBody = nil
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("ask %s: %w", c.name, err)
	}
	defer func() { _ = res.Body.Close() }()
	all, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return answer{}, fmt.Errorf("the answer of %s: %w", c.name, err)
	}
	return answer{Status: res.StatusCode, Header: res.Header, Body: all}, nil
}

// get reads a resource once; anything but 200 is an error.
func (c client) get(ctx context.Context, path string, into any) error {
	got, err := c.send(ctx, request{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	if got.Status != http.StatusOK {
		return fmt.Errorf("%s answered %s for %s", c.name, got, path)
	}
	return got.into(into)
}

// curl is the line with which a person asks the same.
func (c client) curl(path string) string {
	if c.apiKey == "" {
		return fmt.Sprintf("curl -s '%s%s'", c.url, path)
	}
	return fmt.Sprintf(`curl -s -H "Authorization: Bearer $API_KEY" '%s%s'`, c.url, path)
}

// idOf reads a payment's id; uuid.Nil is no payment's.
func idOf(payment string) uuid.UUID {
	id, _ := wire.PrefixPayment.Parse(payment)
	return id
}

// curlOf is the line with which a person sends the same request again.
func (c client) curlOf(q request) string {
	parts := []string{"curl -s -X " + q.method}
	if c.apiKey != "" {
		parts = append(parts, `-H "Authorization: Bearer $API_KEY"`)
	}
	if q.key != "" {
		parts = append(parts, "-H 'Idempotency-Key: "+q.key+"'")
	}
	body := q.raw
	if q.body != nil {
		body, _ = json.Marshal(q.body) // it was marshalled when it was sent
	}
	if body != nil {
		parts = append(parts, "-H 'Content-Type: application/json' -d '"+string(body)+"'")
	}
	return strings.Join(append(parts, "'"+c.url+q.path+"'"), " ")
}
