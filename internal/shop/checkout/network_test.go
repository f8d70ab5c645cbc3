package checkout_test

import (
	"database/sql"
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
)

// A transaction that spans a call is open before it, and still open for as long
// as it takes.
const openSQL = `
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND xact_start < $1`

func TestNoTransactionIsOpenWhileTheProviderIsCalled(t *testing.T) {
	t.Parallel()
	dsn := devtest.DSN(t)
	eye, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = eye.Close() })
	var (
		mu     sync.Mutex
		looked = map[string]int{}
		spans  = map[string]int{}
	)
	// The provider looks at the shop's database while the shop waits for it.
	look := func(kind string) {
		var began time.Time
		if eye.QueryRow(`SELECT clock_timestamp()`).Scan(&began) != nil {
			return
		}
		open := 1
		for range 20 { // a bystander's statement ends meanwhile, a spanning transaction does not
			time.Sleep(10 * time.Millisecond)
			if eye.QueryRow(openSQL, began).Scan(&open) != nil || open == 0 {
				break
			}
		}
		mu.Lock()
		defer mu.Unlock()
		looked[kind]++
		spans[kind] += open
	}
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	s := openIn(t, db, worldtest.Start(t, world.Options{OnCall: look}))

	payment := s.payment()
	together(10, func(i int) { _, _ = s.capture(payment, []string{"K1", "K2"}[i%2], "tok_ok") })
	_, err = s.capture(s.payment(), uuid.NewString(), "tok_declined")
	require.NoError(t, err)
	s.died(s.payment(), "D", "tok_ok", true) // recovery asks by key
	old := s.payment()
	s.died(old, "O", "tok_ok", false) // and cancels what is too old
	s.exec(`UPDATE payment_attempts SET sent_at = sent_at - interval '11 minutes' WHERE payment_id = $1`, old)
	s.exec(`UPDATE payment_attempts SET lease_until = clock_timestamp(), next_ask_at = clock_timestamp() WHERE status = 'sending'`)
	require.Equal(t, 2, s.sweep())

	mu.Lock()
	defer mu.Unlock()
	for _, kind := range []string{"charge", "charges", "cancel"} {
		require.Positive(t, looked[kind], "the provider looked during a %s", kind)
	}
	for kind, n := range spans {
		require.Zero(t, n, "transactions open during a %s", kind)
	}
	require.Equal(t, checkout.Captured, s.state(payment))
}
