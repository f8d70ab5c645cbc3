package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/stage"
)

// ownBroker starts a broker that nobody else uses, because what is done to it
// here holds up everybody on it.
func ownBroker(t *testing.T) *devstack.Stack {
	t.Helper()
	broker, err := devstack.StartScratch(t.Context(), devstack.Options{SkipPostgres: true, BrokerAPI: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Close()) })
	return broker
}

// writtenDown is how long a broker of this age takes until it remembers a new
// queue for good. Killed with -9 sooner (seen with 3.10: two seconds after the
// declaration), it comes back with a queue that takes no message and says so to
// nobody.
const writtenDown = 8 * time.Second

const (
	unpublishedSQL = `SELECT count(*) FROM outbox_events WHERE published_at IS NULL`
	// overtakenSQL counts events that left after a later one of their aggregate.
	overtakenSQL = `
SELECT count(*) FROM outbox_events a JOIN outbox_events b ON b.aggregate_id = a.aggregate_id AND b.aggregate_version > a.aggregate_version
 WHERE a.published_at > b.published_at`
)

// captures buys n times while the broker takes nothing: each is answered 200.
func captures(b *stage.Buyer, n int) (all []stage.Checkout) {
	for range n {
		c := b.Order()
		r, _ := b.MustCapture(c, c.PaymentID, "tok_ok")
		require.Equal(b.Stage.T, 200, r.Status)
		all = append(all, c)
	}
	return all
}

func TestWhileTheBrokerIsOutOfMemoryThirtyCapturesAreAnsweredAndTheirEventsFollowInOrder(t *testing.T) {
	t.Parallel()
	broker := ownBroker(t)
	s := stage.Start(t, stage.Options{AMQPURL: broker.AMQPURL("/")})
	b := s.Buyer()
	for _, c := range captures(b, 3) {
		b.Settles(c)
	}
	require.NoError(t, broker.SetMemoryAlarm(t.Context(), true))
	made := captures(b, 30)
	// The broker may still take what it reads before it stops reading.
	require.GreaterOrEqual(t, s.Count(unpublishedSQL), 25, "events that wait for the broker's memory")
	require.NoError(t, broker.SetMemoryAlarm(t.Context(), false))
	for _, c := range made {
		b.Settles(c)
	}
	require.Eventually(t, func() bool { return s.Count(unpublishedSQL) == 0 }, settle, tick)
	require.Zero(t, s.Count(overtakenSQL))
}

func TestWhileTheBrokerIsDownThirtyCapturesAreAnsweredAndTheirEventsFollowInOrder(t *testing.T) {
	t.Parallel()
	broker := ownBroker(t)
	s := stage.Start(t, stage.Options{AMQPURL: broker.AMQPURL("/")})
	b := s.Buyer()
	for began := time.Now(); time.Since(began) < writtenDown; {
		for _, c := range captures(b, 1) {
			b.Settles(c)
		}
	}
	require.NoError(t, broker.RabbitMQ.Kill(t.Context()))
	made := captures(b, 30)
	require.GreaterOrEqual(t, s.Count(unpublishedSQL), 30, "events that wait for the broker")
	require.NoError(t, broker.RabbitMQ.Start(context.Background()))
	for _, c := range made {
		b.Settles(c)
	}
	require.Eventually(t, func() bool { return s.Count(unpublishedSQL) == 0 }, settle, tick)
	require.Zero(t, s.Count(overtakenSQL))
}
