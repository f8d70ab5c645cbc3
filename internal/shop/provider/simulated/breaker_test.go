package simulated_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
	"payonce/once/oncetest"
)

// gatewayed is a provider behind a gateway that can be told to answer alone.
type gatewayed struct {
	*httptest.Server
	down  atomic.Bool
	calls atomic.Int32
}

func gateway(t *testing.T) *gatewayed {
	t.Helper()
	g := &gatewayed{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.calls.Add(1)
		switch {
		case g.down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{}`)
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `{"data":[]}`)
		default:
			grant(w, r, nil)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

// grant answers a charge or a refund as a provider does that gives what it was
// asked for, but for what is changed.
func grant(w http.ResponseWriter, r *http.Request, changed map[string]any) {
	row := map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&row)
	delete(row, "token")
	row["id"], row["idempotency_key"], row["currency"] = "x_1", r.Header.Get("Idempotency-Key"), "EUR"
	row["status"], row["created_at"] = "succeeded", "2026-11-26T13:00:00Z"
	maps.Copy(row, changed)
	_ = json.NewEncoder(w).Encode(row)
}

func chargeOf(key string) provider.Request {
	return provider.Request{Key: key, Reference: "pay_1", Amount: money.Of(100, "EUR"), Token: "tok_ok"}
}

const closed, opened = 0, 2

func TestTheBreakerOpensSendsNothingProbesOnceAtATimeAndCloses(t *testing.T) {
	t.Parallel()
	g, log := gateway(t), &oncetest.Lines{}
	delay := 300 * time.Millisecond
	client := simulated.New(simulated.Config{URL: g.URL, BreakerDelay: delay, Log: slog.New(slog.NewTextHandler(log, nil))})
	require.EqualValues(t, closed, client.BreakerState())
	g.down.Store(true)
	for range 20 {
		_, _, err := client.ChargeByKey(t.Context(), "k")
		require.ErrorIs(t, err, provider.ErrInDoubt)
	}
	require.EqualValues(t, opened, client.BreakerState())

	before := g.calls.Load()
	_, err := client.Charge(within(t), chargeOf("k"))
	require.ErrorIs(t, err, provider.ErrNotSent, "an open breaker sends nothing")
	_, _, err = client.ChargeByKey(t.Context(), "k")
	require.ErrorIs(t, err, provider.ErrInDoubt, "and proves nothing")
	require.Equal(t, before, g.calls.Load())

	// A probe that fails opens it again.
	for range 2 {
		before = g.calls.Load()
		require.Eventually(t, func() bool {
			_, err := client.Charge(within(t), chargeOf("k"))
			require.ErrorIs(t, err, provider.ErrNotSent, "a probe is no charge")
			return g.calls.Load() > before
		}, 30*time.Second, 5*time.Millisecond)
		require.EqualValues(t, opened, client.BreakerState())
		require.Equal(t, before+1, g.calls.Load(), "one probe at a time")
	}

	g.down.Store(false)
	require.Eventually(t, func() bool {
		_, _, err := client.ChargeByKey(t.Context(), "k")
		return err == nil
	}, 30*time.Second, 5*time.Millisecond)
	require.EqualValues(t, closed, client.BreakerState())
	_, err = client.Charge(within(t), chargeOf("k"))
	require.NoError(t, err)
	for _, state := range []string{"breaker=open", "breaker=half-open", "breaker=closed"} {
		require.Contains(t, log.String(), state)
	}
}

func TestDeclinesRefusalsAndACardThatAlwaysFailsDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, `{"error":{"code":"x"}}`)
	}))
	t.Cleanup(server.Close)
	client := simulated.New(simulated.Config{URL: server.URL})
	for _, code := range []int32{402, 400, 500} {
		status.Store(code)
		var wg sync.WaitGroup
		for range 25 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				_, _ = client.Charge(ctx, chargeOf(uuid.NewString()))
			})
		}
		wg.Wait()
		require.EqualValues(t, closed, client.BreakerState(), code)
	}
}

// Thirty payments of one sandbox whose cards never get an answer, and all others'
// payments go on; the cards' own doubt is asked about, and that is answered.
func TestCardsThatNeverGetAnAnswerDoNotOpenTheBreakerAndQuestionsWithoutOneDo(t *testing.T) {
	t.Parallel()
	var deaf atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case deaf.Load() || bytes.Contains(body, []byte("tok_timeout_before")):
			<-r.Context().Done()
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `{"data":[]}`)
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			grant(w, r, nil)
		}
	}))
	t.Cleanup(server.Close)
	client := simulated.New(simulated.Config{URL: server.URL, BreakerDelay: time.Minute})
	var wg sync.WaitGroup
	silence := func(ask func(context.Context) error) {
		for range 30 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				if err := ask(ctx); !errors.Is(err, provider.ErrInDoubt) {
					t.Errorf("not in doubt: %v", err)
				}
			})
		}
		wg.Wait()
	}
	silence(func(ctx context.Context) error {
		r := chargeOf(uuid.NewString())
		r.Token = "tok_timeout_before"
		_, err := client.Charge(ctx, r)
		return err
	})
	require.EqualValues(t, closed, client.BreakerState())
	_, err := client.Charge(within(t), chargeOf("k"))
	require.NoError(t, err)
	deaf.Store(true)
	silence(func(ctx context.Context) error {
		_, _, err := client.ChargeByKey(ctx, "k")
		return err
	})
	require.EqualValues(t, opened, client.BreakerState())
}

// The library's own delay is a minute where the twentieth call is a success.
func TestTheDelayHoldsAlsoWhenASuccessIsTheTwentiethCall(t *testing.T) {
	t.Parallel()
	g := gateway(t)
	client := simulated.New(simulated.Config{URL: g.URL, BreakerDelay: 50 * time.Millisecond})
	g.down.Store(true)
	for range 19 {
		_, _, err := client.ChargeByKey(t.Context(), "k")
		require.ErrorIs(t, err, provider.ErrInDoubt)
	}
	g.down.Store(false)
	_, _, err := client.ChargeByKey(t.Context(), "k")
	require.NoError(t, err)
	require.EqualValues(t, opened, client.BreakerState())
	require.Eventually(t, func() bool {
		_, err := client.Charge(within(t), chargeOf("k"))
		return err == nil
	}, 30*time.Second, 5*time.Millisecond)
}

// Go's HTTP transport sends a POST that carries an Idempotency-Key again by
// itself when a kept connection dies. The provider meets one key twice: that is
// harmless because the key is the attempt's, and would be two charges if each
// send made its own.
func TestGosTransportSendsAChargeTwiceByItselfUnderOneKey(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		n := len(keys)
		mu.Unlock()
		if n == 2 { // the kept connection dies after the charge was made
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.(*net.TCPConn).Close()
			}
			return
		}
		grant(w, r, nil)
	}))
	t.Cleanup(server.Close)
	trips := &counting{RoundTripper: &http.Transport{}}
	client := simulated.New(simulated.Config{URL: server.URL, Transport: trips})
	_, err := client.Charge(within(t), chargeOf("capture:pay_0:1"))
	require.NoError(t, err)
	_, err = client.Charge(within(t), chargeOf("capture:pay_1:1"))
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{"capture:pay_0:1", "capture:pay_1:1", "capture:pay_1:1"}, keys)
	require.EqualValues(t, 2, trips.n.Load(), "we called twice; the transport made three requests of it")
}

type counting struct {
	http.RoundTripper
	n atomic.Int32
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func TestOfSeveralChargesUnderOneKeyTheOneThatMovedMoneyIsTheAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"data":[{"id":"ch_1","idempotency_key":"k","status":"declined","decline_code":"x"},{"id":"ch_2","idempotency_key":"k","status":"succeeded"}],"next_cursor":null}`)
	}))
	t.Cleanup(server.Close)
	c, found, err := simulated.New(simulated.Config{URL: server.URL}).ChargeByKey(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "ch_2", c.ID)
}
