// Package client is how everything in this repository that plays a caller of the
// shop calls it: over HTTP, knowing nothing that the contract does not say. The
// command line, the buyers of the tests and of the campaigns, bursts and lessons
// differ in manners; the wire is the same for all of them, and lives here.
//
// A request that may change something goes out once ([Transport] says why that
// takes an effort), so a count of clicks is right. [Client.Send] takes
// every status as an answer; [Client.Do] returns what is no success as a
// [*Refusal] with the shop's own problem document. No answer at all is
// [ErrSilence]: the shop may have acted, or not. [Client.UntilAnswered] asks again
// the way a good client does: same key, Retry-After.
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

// ErrSilence says that no answer came.
var ErrSilence = errors.New("nobody answers")

// ErrTooLong says that an answer came whose body passes Options.Longest.
var ErrTooLong = errors.New("the answer is longer than the limit")

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

// Client talks to one shop as one caller. It is safe for use by several
// goroutines.
type Client struct {
	url, token string
	options    Options
	http       *http.Client
}

// New makes a client of the shop at base (http://host:port). A token is a
// sandbox's API key or the operator's; with none the client can do what needs no
// key. It does not connect.
func New(base, token string, o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Longest <= 0 {
		o.Longest = 8 << 20
	}
	// Without a timeout of its own: a stream has no end. A redirection is an answer
	// like another: following it would be a second request.
	asIs := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return (&Client{token: token, options: o, http: &http.Client{Transport: Transport(o), CheckRedirect: asIs}}).At(base)
}

// URL is the shop's address, without a slash at the end.
func (c *Client) URL() string { return c.url }

// As is the same caller with another token. Both share their connections.
func (c *Client) As(token string) *Client {
	other := *c
	other.token = token
	return &other
}

// At is the same caller at another address. Both share their connections.
func (c *Client) At(base string) *Client {
	other := *c
	other.url = strings.TrimRight(base, "/")
	return &other
}

// CloseIdle closes the connections that are kept and not in use.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Request is one call.
type Request struct {
	Method, Path string
	// Key is the Idempotency-Key; empty means none.
	Key string
	// Body is sent as JSON; nil means no body.
	Body any
	// Raw is sent as it is, instead of Body.
	Raw []byte
	// Header is sent too; where it names what the client would say by itself (such
	// as Content-Type) it wins, and nil values mean that nothing is said.
	Header http.Header
}

// Answer is an answer as it came over the wire, whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Send sends one request, once. Any status is an answer. Its error says that no
// whole one came, and then nothing is known: [ErrSilence], also when the answer
// broke off, or context.Canceled when it was the caller who left.
func (c *Client) Send(ctx context.Context, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	res, err := c.Open(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	return c.read(ctx, res)
}

// Do is [Client.Send] for a caller who expects success: what is none (a status of
// 300 or more) is a [*Refusal].
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	answer, err := c.Send(ctx, r)
	if err == nil && answer.Status >= http.StatusMultipleChoices {
		return Answer{}, refusal(answer, r.Path)
	}
	return answer, err
}

// Open sends one request, once, and returns when the answer has begun, whatever
// its status: for answers that do not end. Options.Timeout does not hold here; ctx
// does, until the body's end. The caller closes the body.
func (c *Client) Open(ctx context.Context, r Request) (*http.Response, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, silence(ctx, err)
	}
	return res, nil
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	payload := r.Raw
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
	if c.options.UserAgent != "" {
		req.Header.Set("User-Agent", c.options.UserAgent)
	}
	if len(payload) > 0 {
		req.Header.Set("Content-Type", wire.JSON)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	for name, values := range r.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	return req, nil
}

// read reads an answer to its end.
func (c *Client) read(ctx context.Context, res *http.Response) (Answer, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, c.options.Longest+1))
	switch {
	case err != nil:
		return Answer{}, silence(ctx, err)
	case int64(len(body)) > c.options.Longest:
		return Answer{}, fmt.Errorf("%w of %d bytes", ErrTooLong, c.options.Longest)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body}, nil
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
func refusal(a Answer, path string) *Refusal {
	r := &Refusal{Header: a.Header, Body: a.Body}
	media, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if media == wire.ProblemJSON && json.Unmarshal(a.Body, &r.Problem) == nil {
		if r.Problem.RequestID == nil {
			// A stored outcome has none of its own; the header's is this answer's.
			if id := a.Header.Get("X-Request-Id"); id != "" {
				r.Problem.RequestID = &id
			}
		}
		return r
	}
	instance, _, _ := strings.Cut(path, "?")
	r.Problem = wire.Problem{
		Type: "about:blank", Status: a.Status, Title: http.StatusText(a.Status), Instance: instance,
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
		return view, fmt.Errorf("the shop's answer cannot be read; is this client as old as the shop? %w", err)
	}
	return view, nil
}
