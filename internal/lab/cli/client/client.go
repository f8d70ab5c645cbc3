// Package client is a program that talks to the shop as any other may: over
// HTTP, with an API key, knowing nothing that the contract does not say. It asks
// again the way a good client does (same key, Retry-After), and it never asks
// twice without knowing.
//
// An answer that is no success is a [*Refusal] with the shop's own problem
// document. No answer at all is [ErrSilence]: the shop may have acted, or not.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"payonce/internal/edge/wire"
)

// UserAgent is how the command line introduces itself.
const UserAgent = "payonce-cli"

// ErrSilence says that no answer came.
var ErrSilence = errors.New("nobody answers")

// Refusal is an answer that is no success.
type Refusal struct {
	Problem wire.Problem
	Header  http.Header
	// Body is what came, whatever it is: /readyz refuses without a problem
	// document.
	Body []byte
}

// Error implements error.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%d %s: %s", r.Problem.Status, r.Problem.Title, r.Problem.Detail)
}

// Slug is the problem's name, such as amount-mismatch.
func (r *Refusal) Slug() string {
	return r.Problem.Type[strings.LastIndexByte(r.Problem.Type, '/')+1:]
}

// Is says whether err is the shop's refusal of this kind.
func Is(err error, kind wire.Kind) bool {
	var refused *Refusal
	return errors.As(err, &refused) && refused.Slug() == kind.Slug
}

// Client talks to one shop as one caller.
type Client struct {
	url, token string
	http       *http.Client
}

// New makes a client of the shop at base. A token is a sandbox's API key or the
// operator's; with none the client can do what needs nobody.
func New(base, token string) *Client {
	return &Client{url: strings.TrimRight(base, "/"), token: token, http: &http.Client{
		// Without a bound on the whole exchange: a stream has no end. Each call
		// that has one sets it in its context.
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, ResponseHeaderTimeout: 40 * time.Second, IdleConnTimeout: 10 * time.Second},
	}}
}

// URL is the shop's address.
func (c *Client) URL() string { return c.url }

// As is the same shop with another token.
func (c *Client) As(token string) *Client {
	return &Client{url: c.url, token: token, http: c.http}
}

// Request is one call.
type Request struct {
	Method, Path string
	// Key is the Idempotency-Key; empty means none.
	Key string
	// Body is sent as JSON; nil means no body.
	Body any
}

// Answer is a success as it came over the wire.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

const longestAnswer = 8 << 20

// Do sends one request, once.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	res, err := c.open(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, longestAnswer))
	if err != nil {
		return Answer{}, silence(ctx, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return Answer{}, refusal(res, body)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

func (c *Client) open(ctx context.Context, r Request) (*http.Response, error) {
	var payload []byte
	if r.Body != nil {
		var err error
		if payload, err = json.Marshal(r.Body); err != nil {
			return nil, fmt.Errorf("body of %s: %w", r.Path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, c.url+r.Path, bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.url, err)
	}
	req.Header.Set("User-Agent", UserAgent)
	if r.Body != nil {
		req.Header.Set("Content-Type", wire.JSON)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
		// net/http sends a request with this header again by itself when a reused
		// connection dies. The clicks are counted here, so it must not.
		req.GetBody = nil
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, silence(ctx, err)
	}
	return res, nil
}

// silence keeps apart who has gone: the caller, or the shop.
func silence(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Canceled
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // without the address twice
	}
	return fmt.Errorf("%w: %w", ErrSilence, err)
}

// refusal reads a problem document, or makes one of what a proxy may say.
func refusal(res *http.Response, body []byte) *Refusal {
	r := &Refusal{Header: res.Header, Body: body}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if media == wire.ProblemJSON && json.Unmarshal(body, &r.Problem) == nil {
		if r.Problem.RequestID == nil {
			// A stored outcome has none of its own; the header's is this answer's.
			if id := res.Header.Get("X-Request-Id"); id != "" {
				r.Problem.RequestID = &id
			}
		}
		return r
	}
	r.Problem = wire.Problem{
		Type: "about:blank", Status: res.StatusCode, Title: http.StatusText(res.StatusCode), Instance: res.Request.URL.Path,
		Detail: "The answer is no problem document: is this a payonce shop?",
	}
	return r
}

// Get reads one resource.
func Get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return call[T](ctx, c, Request{Method: http.MethodGet, Path: path})
}

// Post sends a body once.
func Post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	return call[T](ctx, c, Request{Method: http.MethodPost, Path: path, Body: body})
}

func call[T any](ctx context.Context, c *Client, r Request) (view T, err error) {
	answer, err := c.Do(ctx, r)
	if err != nil {
		return view, err
	}
	return Read[T](answer)
}

// Read reads an answer's body.
func Read[T any](a Answer) (view T, err error) {
	if err := json.Unmarshal(a.Body, &view); err != nil {
		return view, fmt.Errorf("the shop's answer cannot be read; is the command line as old as the shop? %w", err)
	}
	return view, nil
}
