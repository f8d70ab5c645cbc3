package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
)

// courier takes each key once, and loses its first answer.
type courier struct {
	mu    sync.Mutex
	calls int
	keys  map[string]bool
}

func (c *courier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	c.keys[r.Header.Get("Idempotency-Key")] = true
	if c.calls == 1 {
		w.WriteHeader(http.StatusGatewayTimeout)
	}
}

func (c *courier) seen() (calls, keys int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, len(c.keys)
}

func TestTenClicksAreOneParcelOnePickUpAndOneLabelAlsoWhenTheCouriersAnswerIsLost(t *testing.T) {
	t.Parallel()
	far := &courier{keys: map[string]bool{}}
	there := httptest.NewServer(far)
	t.Cleanup(there.Close)
	db := dbtest.OpenPq(t, oncetest.Postgres(t))
	a, work, err := start(t.Context(), db, oncetest.Broker(t), there.URL, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, each := range work {
		running.Go(func() { _ = each(ctx) })
	}
	t.Cleanup(func() { stop(); running.Wait() })
	shop := httptest.NewServer(http.HandlerFunc(a.pack))
	t.Cleanup(shop.Close)

	bodies := make(chan string, 10)
	for range cap(bodies) {
		go func() {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, shop.URL, http.NoBody)
			assert.NoError(t, err)
			request.Header.Set("Idempotency-Key", "one-click")
			response, err := http.DefaultClient.Do(request)
			if !assert.NoError(t, err) {
				bodies <- ""
				return
			}
			body, err := io.ReadAll(response.Body)
			assert.NoError(t, err)
			assert.Equal(t, http.StatusCreated, response.StatusCode)
			_ = response.Body.Close()
			bodies <- string(body)
		}()
	}
	first := <-bodies
	for range cap(bodies) - 1 {
		require.Equal(t, first, <-bodies)
	}
	require.Eventually(t, func() bool { return dbtest.Int(t, db, `SELECT count(*) FROM minimal.labels`) == 1 }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, 1, dbtest.Int(t, db, `SELECT count(*) FROM minimal.parcels`))
	calls, keys := far.seen()
	require.Equal(t, []int{2, 1}, []int{calls, keys}, "asked twice, under one key")
}
