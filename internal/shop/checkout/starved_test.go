package checkout_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/world"
	"payonce/internal/lab/world/worldtest"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/provider"
	"payonce/once/idempotency"
)

// pooled is a shop with so many connections and no more.
func pooled(t *testing.T, size int) *shop {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: devtest.DSN(t), PoolSize: size})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return openIn(t, db, worldtest.Start(t, world.Options{}))
}

func TestAPoolOfOneIsEnoughForFiftyClicks(t *testing.T) {
	t.Parallel()
	s := pooled(t, 1)
	payment := s.payment()
	together(50, func(i int) {
		r, err := s.capture(payment, []string{"K1", "K2"}[i%2], "tok_ok")
		for errors.Is(err, idempotency.ErrInProgress) {
			r, err = s.capture(payment, []string{"K1", "K2"}[i%2], "tok_ok")
		}
		if err != nil || r.Answer.Status != 200 {
			t.Errorf("click %d: status %d, %v", i, r.Answer.Status, err)
		}
	})
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

func TestSevenDuplicatesThatWaitLeaveAPoolOfEightToOthers(t *testing.T) {
	t.Parallel()
	s := pooled(t, 8)
	payment, other := s.payment(), s.payment()
	real := s.Provider
	started, release := s.hold(realCharge)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = s.capture(payment, "K", "tok_ok") })
	<-started
	s.Provider = real
	for range 7 {
		wg.Go(func() { _, _ = s.capture(payment, "K", "tok_ok") })
	}
	require.Eventually(t, func() bool { return s.Waiting(payment) == 7 }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return s.db.Stats().InUse == 0 }, 10*time.Second, time.Millisecond, "who waits holds no connection")
	r, err := s.capture(other, "K-other", "tok_ok")
	require.NoError(t, err)
	require.Equal(t, 200, r.Answer.Status)
	release()
	wg.Wait()
	require.Equal(t, 1, s.charges(payment, "succeeded"))
}

// insist asks with one key until there is an outcome, as a careful client does.
func (s *shop) insist(payment uuid.UUID, key string) (checkout.Result, int) {
	s.t.Helper()
	for deadline, unavailable := time.Now().Add(45*time.Second), 0; ; {
		r, err := s.capture(payment, key, "tok_ok")
		if err == nil && (r.Answer.Status == 200 || r.Answer.Status == 402) {
			return r, unavailable
		}
		var away *checkout.UnavailableError
		if errors.As(err, &away) {
			unavailable++
			if away.RetryAfter <= 0 {
				s.t.Errorf("unavailable without a time to come back: %v", err)
			}
		}
		if time.Now().After(deadline) {
			s.t.Errorf("no outcome for %s: %v", key, err)
			return r, unavailable
		}
		time.Sleep(20 * time.Millisecond) // a client's pause
	}
}

func TestAllConnectionsKilledInTheMiddleOfCapturesLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	s := pooled(t, 4)
	s.Keys.Lease = 500 * time.Millisecond
	s.anew(func(c *checkout.Config) { c.Lease = s.Keys.Lease })
	admin, err := postgres.Open(t.Context(), postgres.Config{DSN: devtest.DSN(t), PoolSize: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close() })
	var name string
	require.NoError(t, s.db.Get(t.Context(), &name, `SELECT current_database()`))
	payments := make([]uuid.UUID, 24)
	for i := range payments {
		payments[i] = s.payment()
	}
	kills := make(chan int, 1)
	go func() { // ten times all of them, while the captures go on
		n, killed := 0, 0
		for range 10 {
			time.Sleep(100 * time.Millisecond) // the pace of the fault
			if admin.Get(context.Background(), &n, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1`, name) == nil {
				killed += n
			}
		}
		kills <- killed
	}()
	bodies := make([]string, len(payments))
	together(len(payments), func(i int) {
		r, _ := s.insist(payments[i], fmt.Sprintf("K-%d", i))
		bodies[i] = string(r.Answer.Body)
	})
	require.Positive(t, <-kills)
	for i, p := range payments {
		require.Equal(t, checkout.Captured, s.state(p))
		require.Equal(t, 1, s.charges(p, "succeeded"))
		require.Equal(t, 1, s.events(p, "payment.captured"))
		again, _ := s.insist(p, fmt.Sprintf("K-%d", i))
		require.Equal(t, bodies[i], string(again.Answer.Body), "what was acknowledged is what is stored")
	}
}

// full makes every write to a table fail as a full disk makes it.
func (s *shop) full(table string, is bool) {
	s.t.Helper()
	if !is {
		s.exec(`DROP TRIGGER full_disk ON ` + table)
		return
	}
	s.exec(`CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`)
	s.exec(`CREATE TRIGGER full_disk BEFORE INSERT ON ` + table + ` FOR EACH ROW EXECUTE FUNCTION full_disk()`)
}

func TestAFullDiskBeforeOrAfterTheChargeIsUnavailableAndTheSameKeyFinishesIt(t *testing.T) {
	t.Parallel()
	for table, charged := range map[string]int{"idempotency_keys": 0, "outbox_events": 1} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			s := open(t, func(c *checkout.Config) { c.Finalise = 300 * time.Millisecond })
			payment := s.payment()
			s.full(table, true)
			_, err := s.capture(payment, "K", "tok_ok")
			var away *checkout.UnavailableError
			require.ErrorAs(t, err, &away)
			require.Equal(t, "unknown", away.Executed)
			require.Positive(t, away.RetryAfter)
			require.Equal(t, charged, s.charges(payment, "succeeded"))
			s.full(table, false)
			s.leaseEnds(payment)
			r, err := s.capture(payment, "K", "tok_ok")
			require.NoError(t, err)
			require.Equal(t, 200, r.Answer.Status)
			require.Equal(t, 1, s.charges(payment, "succeeded"))
		})
	}
}

func TestARowThatSomebodyHoldsIsInProgressBeforeTheChargeAndOutlastedAfterIt(t *testing.T) {
	t.Parallel()
	inBothForms(t, func(t *testing.T, form option) {
		db, err := postgres.Open(t.Context(), postgres.Config{DSN: devtest.DSN(t), LockTimeout: 100 * time.Millisecond})
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		s := openIn(t, db, worldtest.Start(t, world.Options{}), form)
		payment := s.payment()
		locked := func(whileHeld func()) {
			require.NoError(t, postgres.InTx(context.Background(), db, func(tx postgres.Tx) error {
				if _, err := tx.Exec(context.Background(), `SELECT 1 FROM payments WHERE id = $1 FOR UPDATE`, payment); err != nil {
					return err
				}
				whileHeld()
				return nil
			}))
		}
		locked(func() {
			_, err := s.capture(payment, "K", "tok_ok")
			require.ErrorIs(t, err, idempotency.ErrInProgress)
		})
		require.Equal(t, 0, s.charges(payment, "succeeded"))

		real := s.Provider
		held, finished := make(chan struct{}), make(chan error, 1)
		s.Provider = charging{Charger: real, charge: func(ctx context.Context, r provider.Request, real provider.Charger) (provider.Charge, error) {
			c, err := real.Charge(ctx, r)
			<-held // another transaction has the row when the finalise comes
			return c, err
		}}
		go func() {
			r, err := s.capture(payment, "K", "tok_ok")
			if err == nil && r.Answer.Status != 200 {
				err = errors.New(string(r.Answer.Body))
			}
			finished <- err
		}()
		require.Eventually(t, func() bool { return s.charges(payment, "succeeded") == 1 }, 30*time.Second, 10*time.Millisecond)
		locked(func() {
			close(held)
			tries := map[string]bool{} // each of a lock timeout's length
			require.Eventually(t, func() bool {
				var began []string
				require.NoError(t, db.Select(context.Background(), &began,
					`SELECT query_start::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`))
				for _, b := range began {
					tries[b] = true
				}
				return len(tries) > 2
			}, 30*time.Second, time.Millisecond)
		})
		require.NoError(t, <-finished, "the money has moved: the finalise insists")
		require.Equal(t, 1, s.charges(payment, "succeeded"))
	})
}
