package checkout_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
	"payonce/once/oncetest/nettest"
)

// behindGate is a shop whose database can be taken away.
func behindGate(t *testing.T, options ...option) (*shop, *nettest.Proxy) {
	t.Helper()
	return behind(t, devtest.DSN(t), options...)
}

func behind(t *testing.T, dsn string, options ...option) (*shop, *nettest.Proxy) {
	t.Helper()
	gate := nettest.NewProxy(t, dsn)
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: gate.URL(), PoolSize: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return openIn(t, db, worldtest.Start(t, world.Options{}), append(options, func(c *checkout.Config) { c.Finalise = time.Second })...), gate
}

func TestTheDatabaseAwayBeforeTheClaimIsExecutedNo(t *testing.T) {
	t.Parallel()
	s, gate := behindGate(t)
	payment := s.payment()
	gate.Down()
	_, err := s.capture(payment, "K", "tok_ok")
	var away *checkout.UnavailableError
	require.ErrorAs(t, err, &away)
	require.Equal(t, "no", away.Executed)
	require.Zero(t, s.charges(payment, "succeeded"))
	gate.Up()
	require.Eventually(t, func() bool { r, err := s.capture(payment, "K", "tok_ok"); return err == nil && r.Answer.Status == 200 }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestTheDatabaseAwayAfterTheChargeIsExecutedUnknownAndTheSameKeyFinishesIt(t *testing.T) {
	t.Parallel()
	s, gate := behindGate(t)
	payment := s.payment()
	real := s.Provider
	s.Provider = charging{Charger: real, charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
		c, err := real.Charge(ctx, r)
		gate.Down()
		return c, err
	}}
	_, err := s.capture(payment, "K", "tok_ok")
	var away *checkout.UnavailableError
	require.ErrorAs(t, err, &away)
	require.Equal(t, "unknown", away.Executed)
	require.Equal(t, 1, s.charges(payment, "succeeded"), "the money moved")
	s.Provider = real
	gate.Up()
	require.Eventually(t, func() bool { return s.db.Ping(context.Background()) == nil }, 20*time.Second, 20*time.Millisecond)
	s.leaseEnds(payment)
	r, err := s.capture(payment, "K", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	require.Equal(t, checkout.Recovered, r.Fate)
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestConnectionsThatBreakBeforeTheFinaliseCostNothing(t *testing.T) {
	t.Parallel()
	s, gate := behindGate(t)
	for range 5 {
		payment := s.payment()
		real := s.Provider
		s.Provider = charging{Charger: real, charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
			c, err := real.Charge(ctx, r)
			gate.Cut() // every connection breaks; the driver runs the finalise on a new one
			return c, err
		}}
		r, err := s.capture(payment, "K-"+payment.String(), "tok_ok")
		s.Provider = real
		require.NoError(t, err)
		require.Equal(t, 200, r.Answer.Status)
		require.Equal(t, 1, s.charges(payment, "succeeded"))
		require.Equal(t, 1, s.events(payment, "payment.captured"))
	}
}
