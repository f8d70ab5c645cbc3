package simulated_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/internal/shop/provider/simulated"
)

// A chaos campaign found it (seed 3): the link to the provider was cut while
// charges ran on kept connections. net/http repeated them by itself, was
// refused, and the charges counted as never sent; the next attempt charged again.
func TestAChargeWhoseKeptConnectionDiesAndWhoseSilentRepetitionIsRefusedIsInDoubt(t *testing.T) {
	t.Parallel()
	var charged atomic.Int32
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if charged.Add(1) == 1 { // an ordinary charge, after which the connection is kept
			grant(w, r, nil)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		// Charged; and now the house falls down: nobody is let in any more, and
		// the connection ends without an answer.
		_ = server.Listener.Close()
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).Close()
		}
	})
	server.Start()
	t.Cleanup(server.Close)

	client := simulated.New(simulated.Config{URL: server.URL})
	request := provider.Request{Key: "capture:pay_1:1", Reference: "pay_1", Amount: money.Of(100, "EUR"), Token: "tok_ok"}
	_, err := client.Charge(t.Context(), request)
	require.NoError(t, err)

	request.Key, request.Reference = "capture:pay_2:1", "pay_2"
	_, err = client.Charge(within(t), request)
	require.EqualValues(t, 2, charged.Load(), "the second charge was made")
	require.ErrorIs(t, err, provider.ErrInDoubt)
	require.NotErrorIs(t, err, provider.ErrNotSent)
}

func TestAChargeThatNeverHadAConnectionWasNotSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client := simulated.New(simulated.Config{URL: server.URL})
	_, err := client.Charge(within(t), provider.Request{Key: "k", Reference: "pay_1", Amount: money.Of(100, "EUR"), Token: "tok_ok"})
	require.ErrorIs(t, err, provider.ErrNotSent)
}

// within is the caller's deadline, which ends the tries.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestARefundWhoseKeptConnectionDiesAndWhoseSilentRepetitionIsRefusedIsInDoubt(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			grant(w, r, nil)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = server.Listener.Close()
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.(*net.TCPConn).Close()
		}
	})
	server.Start()
	t.Cleanup(server.Close)

	client := simulated.New(simulated.Config{URL: server.URL})
	request := provider.RefundRequest{Key: "refund:ref_1", ChargeID: "ch_1", Reference: "ref_1", Amount: money.Of(100, "EUR")}
	_, err := client.Refund(t.Context(), request)
	require.NoError(t, err)

	request.Key, request.Reference = "refund:ref_2", "ref_2"
	_, err = client.Refund(within(t), request)
	require.EqualValues(t, 2, calls.Load(), "the second refund was made")
	require.ErrorIs(t, err, provider.ErrInDoubt)
	require.NotErrorIs(t, err, provider.ErrNotSent)
}
