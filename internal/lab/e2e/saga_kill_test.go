package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/stage"
)

// killedAt buys, arms a crash point in the worker, asks for a refund, waits for
// the worker's death and starts it again without the point.
func killedAt(t *testing.T, point, token string) (*stage.Stage, *stage.Buyer, stage.Checkout, string) {
	t.Helper()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	c := b.Bought(token)
	require.NoError(t, s.Worker.Stop(20*time.Second))
	s.Worker.With("PAYONCE_FAULTS=" + point + ":kill")
	s.Worker.Start()
	refund := b.MustRefund(c, "R", 0)
	require.Eventually(t, func() bool { return !s.Worker.Running() }, 60*time.Second, tick, "the worker survived %s", point)
	s.Worker.With("PAYONCE_FAULTS=")
	return s, b, c, refund
}

func TestKilledAtEverySagaPointARefundEndsAllDoneOrAllUndone(t *testing.T) {
	for point, c := range map[string]struct{ token, want string }{
		"saga.before_step":       {"tok_ok", "completed"},
		"saga.after_step_commit": {"tok_ok", "completed"},
		"saga.after_pivot":       {"tok_ok", "completed"},
		"saga.before_undo":       {"tok_refund_declined", "compensated"},
		"saga.after_undo_commit": {"tok_refund_declined", "compensated"},
		"around.after_intent":    {"tok_ok", "completed"},
		"around.after_call":      {"tok_ok", "completed"},
	} {
		t.Run(point, func(t *testing.T) {
			s, b, checkout, refund := killedAt(t, point, c.token)
			s.Worker.Start()
			require.Equal(t, c.want, b.Ends(refund).State)
			require.Len(t, s.RefundsAtProvider(refund), 1, "one refund at the provider, whoever died")
			proven(t, s)
			want := "refunded"
			if c.want == "compensated" {
				want = "captured"
			}
			require.Equal(t, want, b.Get("/v1/payments/"+checkout.PaymentID).Field("status"))
		})
	}
}

func TestAWorkerKilledAfterThePivotGoesForwardAndNeverBack(t *testing.T) {
	t.Parallel()
	s, b, _, refund := killedAt(t, "saga.after_pivot", "tok_ok")
	half := b.Saga(refund)
	require.Equal(t, "done", half.Status("refund", "do"))
	require.Equal(t, "running", half.State)
	s.Worker.Start()
	require.Equal(t, "completed", b.Ends(refund).State)
	proven(t, s)
	require.Zero(t, s.Count(`SELECT count(*) FROM saga_steps WHERE direction = 'undo'`), "a compensation after the pivot")
	require.Zero(t, s.Count(`SELECT count(*) FROM outbox_events WHERE type IN ('tickets.reinstate', 'ledger.release_refund')`))
}

// The provider hangs: its answer never comes, and the deadline passes again and
// again. Nothing is undone until it says no.
func TestADeadlineThatPassesWhileTheProviderWorksUndoesNothing(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	c := b.Bought("tok_ok")
	require.NoError(t, s.Simulator.Stop(10*time.Second)) // nobody answers
	refund := b.MustRefund(c, "R", 0)
	require.Eventually(t, func() bool { return b.Saga(refund).Status("refund", "do") == "started" }, settle, tick)
	for range 5 {
		before := s.Count(`SELECT attempts FROM saga_steps WHERE step = 'refund' AND direction = 'do'`)
		overdue(t, s)
		require.Eventually(t, func() bool {
			return s.Count(`SELECT attempts FROM saga_steps WHERE step = 'refund' AND direction = 'do'`) > before
		}, settle, tick)
	}
	require.Zero(t, s.Count(`SELECT count(*) FROM saga_steps WHERE direction = 'undo'`))
	require.Equal(t, 2, s.Count(`SELECT count(*) FROM tickets WHERE status = 'void'`), "the tickets stay void")
	require.Equal(t, 1, s.Count(`SELECT count(*) FROM alerts WHERE kind = 'saga_stuck' AND state = 'open'`), "an alert was raised")
	s.Simulator.Start()
	overdue(t, s)
	require.Equal(t, "completed", b.Ends(refund).State)
	require.Len(t, s.RefundsAtProvider(refund), 1, "the money goes back once")
	require.Zero(t, s.Count(`SELECT count(*) FROM alerts WHERE kind = 'saga_stuck' AND state = 'open'`))
}

// overdue lets every saga's deadline pass now.
func overdue(t *testing.T, s *stage.Stage) {
	t.Helper()
	s.Exec(`UPDATE sagas SET due_at = clock_timestamp() - interval '1 second' WHERE due_at IS NOT NULL`)
}
