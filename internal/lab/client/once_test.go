package client_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/client"
)

// fickle is a server that answers the first request of a connection and hangs up
// on the second, which it has read to its end.
type fickle struct {
	url string

	mu        sync.Mutex
	delivered []string // method and path, and the key if there is one
}

func openFickle(t *testing.T) *fickle {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &fickle{url: "http://" + listener.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			all.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	return f
}

func (f *fickle) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	from := bufio.NewReader(conn)
	for again := range 2 {
		r, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		f.mu.Lock()
		f.delivered = append(f.delivered, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Idempotency-Key")))
		f.mu.Unlock()
		if again == 0 {
			_, _ = fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
		}
	}
}

func (f *fickle) deliveries() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.delivered...)
}

func TestAKeyedRequestWhoseConnectionDiesIsDeliveredOnceAndEndsInSilence(t *testing.T) {
	t.Parallel()
	for name, keyed := range map[string]client.Request{
		"with a body":              {Method: http.MethodPost, Path: "/pay", Key: "K", Body: map[string]int{"amount_minor": 1}},
		"with raw bytes":           {Method: http.MethodPost, Path: "/pay", Key: "K", Raw: []byte(`{"amount_minor":1}`)},
		"without a body":           {Method: http.MethodPost, Path: "/pay", Key: "K"},
		"with its key as a header": {Method: http.MethodPost, Path: "/pay", Header: http.Header{"idempotency-key": {"K"}}, Raw: []byte(`{}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openFickle(t)
			c := client.New(f.url, "", client.Options{Idle: 1})
			defer c.CloseIdle()
			first, err := c.Send(t.Context(), client.Request{Method: http.MethodGet, Path: "/first"})
			require.NoError(t, err)
			require.Equal(t, 200, first.Status, "the connection is in use from here on")
			_, err = c.Send(t.Context(), keyed)
			require.ErrorIs(t, err, client.ErrSilence)
			require.Equal(t, []string{"GET /first", "POST /pay K"}, f.deliveries())
		})
	}
}

// What is sent through the transport by other hands is sent once too.
func TestARawRequestThroughTheTransportIsDeliveredOnceAndItsOwnerFindsItUnchanged(t *testing.T) {
	t.Parallel()
	f := openFickle(t)
	way := client.Transport(client.Options{Idle: 1})
	send := func(path string) (*http.Request, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+path, strings.NewReader("{}"))
		require.NoError(t, err)
		r.Header.Set("Idempotency-Key", path)
		res, err := way.RoundTrip(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		return r, err
	}
	_, err := send("/first")
	require.NoError(t, err)
	r, err := send("/second")
	require.Error(t, err)
	require.Equal(t, []string{"POST /first /first", "POST /second /second"}, f.deliveries())
	require.NotNil(t, r.GetBody)
	require.Equal(t, "/second", r.Header.Get("Idempotency-Key"))
}

// serving answers every request the same way, and counts them.
func serving(t *testing.T, answer func(conn net.Conn)) (url string, served func() int) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var (
		mu  sync.Mutex
		n   int
		all sync.WaitGroup
	)
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				mu.Lock()
				n++
				mu.Unlock()
				answer(conn)
			}
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	return "http://" + listener.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

func saying(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

func TestAnAnswerThatBreaksOffIsSilenceAndOneThatIsTooLongSaysSo(t *testing.T) {
	t.Parallel()
	short, _ := serving(t, saying("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"))
	got, err := client.New(short, "", client.Options{}).Send(t.Context(), client.Request{Method: http.MethodGet})
	require.ErrorIs(t, err, client.ErrSilence)
	require.Zero(t, got)
	long, _ := serving(t, saying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"))
	_, err = client.New(long, "", client.Options{Longest: 4}).Send(t.Context(), client.Request{Method: http.MethodGet})
	require.ErrorIs(t, err, client.ErrTooLong)
	require.NotErrorIs(t, err, client.ErrSilence)
	got, err = client.New(long, "", client.Options{Longest: 5}).Send(t.Context(), client.Request{Method: http.MethodGet})
	require.NoError(t, err)
	require.Equal(t, "12345", string(got.Body))
}

func TestARedirectionIsAnAnswerOfSendARefusalOfDoAndNeverFollowed(t *testing.T) {
	t.Parallel()
	url, served := serving(t, saying("HTTP/1.1 308 Permanent Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"))
	c := client.New(url, "", client.Options{})
	got, err := c.Send(t.Context(), client.Request{Method: http.MethodPost, Key: "K", Raw: []byte("{}")})
	require.NoError(t, err)
	require.Equal(t, 308, got.Status)
	require.Equal(t, 1, served())
	_, err = c.Do(t.Context(), client.Request{Method: http.MethodGet, Path: "/here?limit=1"})
	var refused *client.Refusal
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 308, refused.Problem.Status)
	require.Equal(t, "/here", refused.Problem.Instance)
	require.Equal(t, 2, served())
}

func TestTheTimeoutIsSilenceAndACallerWhoLeavesIsNot(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"before the answer": "", "within the answer": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			url, _ := serving(t, func(conn net.Conn) {
				saying(text)(conn)
				<-over
			})
			t.Cleanup(func() { close(over) }) // before the server's own
			_, err := client.New(url, "", client.Options{Timeout: 50 * time.Millisecond}).Send(t.Context(), client.Request{Method: http.MethodGet})
			require.ErrorIs(t, err, client.ErrSilence)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			ctx, leave := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, leave)
			_, err = client.New(url, "", client.Options{}).Send(ctx, client.Request{Method: http.MethodGet})
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, client.ErrSilence)
		})
	}
}

func TestARequestSaysWhoAsksAndItsOwnHeadersWin(t *testing.T) {
	t.Parallel()
	heard := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r }))
	t.Cleanup(server.Close)
	c := client.New(server.URL+"/", "", client.Options{UserAgent: "payonce-test"})
	send := func(c *client.Client, r client.Request) http.Header {
		_, err := c.Send(t.Context(), r)
		require.NoError(t, err)
		return (<-heard).Header
	}
	h := send(c.As("token"), client.Request{Method: http.MethodPost, Path: "/x", Key: "K", Body: struct{}{}})
	require.Equal(t, []string{"payonce-test", "Bearer token", "K", "application/json"},
		[]string{h.Get("User-Agent"), h.Get("Authorization"), h.Get("Idempotency-Key"), h.Get("Content-Type")})
	h = send(c, client.Request{Method: http.MethodPost, Path: "/x", Key: "K"})
	require.Equal(t, []string{"", "K", "", "0"}, []string{h.Get("Authorization"), h.Get("Idempotency-Key"), h.Get("Content-Type"), h.Get("Content-Length")})
	h = send(c, client.Request{Method: http.MethodPost, Path: "/x", Raw: []byte("x"), Header: http.Header{"content-type": {"text/plain"}, "User-Agent": nil}})
	require.Equal(t, "text/plain", h.Get("Content-Type"))
	require.Empty(t, h.Values("User-Agent"), "nothing is said, not even Go's own")
}
