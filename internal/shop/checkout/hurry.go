package checkout

import (
	"context"
	"time"

	"payonce/internal/platform/postgres"
)

// hurryPace is how many attempts in doubt become due per second when the
// provider is back: enough to be done soon, not enough to knock it over again.
const hurryPace = 50.0

// The order in which they fell due is kept, and with it the order of locks.
const hurrySQL = `
WITH waiting AS (
  SELECT payment_id, attempt_no, row_number() OVER (ORDER BY next_ask_at, payment_id) AS place
    FROM payment_attempts
   WHERE status IN ('sending', 'in_doubt') AND lease_until IS NULL AND next_ask_at > clock_timestamp()
)
UPDATE payment_attempts a
   SET next_ask_at = least(a.next_ask_at, clock_timestamp() + (w.place - 1) / $1::float8 * interval '1 second')
  FROM waiting w
 WHERE a.payment_id = w.payment_id AND a.attempt_no = w.attempt_no AND a.lease_until IS NULL`

// Hurry makes everything in doubt due now, paced. Call it after the first
// success of something that was away; it is harmless at any time.
func (s *Service) Hurry(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)
	defer cancel()
	var n int64
	err := postgres.InTx(ctx, s.DB, func(tx postgres.Tx) (err error) {
		n, err = tx.Exec(ctx, hurrySQL, hurryPace)
		return err
	})
	switch {
	case err != nil:
		s.Log.Warn("what is in doubt keeps to its schedule", "error", err)
	case n > 0:
		s.Log.Info("what is in doubt is asked about now", "attempts", n, "within", time.Duration(float64(n)/hurryPace*float64(time.Second)).String())
	}
}

// heard notes whether the provider answers questions. The first answer after a
// silence is the moment to ask about everything that the silence left in doubt.
// Charges do not count: one card that always fails says nothing about the rest.
func (s *Service) heard(ctx context.Context, err error) {
	if err != nil {
		s.silent.Store(true)
		return
	}
	if s.silent.CompareAndSwap(true, false) {
		s.Hurry(ctx)
	}
}
