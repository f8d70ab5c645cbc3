package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/stage"
	"payonce/once/oncetest/nettest"
)

// TestALostReplyOfEveryCommitOfARefundSendsTheMoneyBackOnce is the same for a
// refund: its request, each step of its saga and of its participants, its end,
// and the answer of the provider that sends the money.
func TestALostReplyOfEveryCommitOfARefundSendsTheMoneyBackOnce(t *testing.T) {
	t.Parallel()
	l := newLossy(t, "postgres", "provider")
	type refund struct {
		of stage.Checkout
		id string
	}
	var refunds []refund
	for _, end := range []nettest.End{nettest.Close, nettest.Reset} {
		for _, lost := range []struct {
			name, way string
			reply     nettest.Reply
		}{
			{"the request", "api → postgres", nettest.Commit("INSERT INTO refunds")},
			{"the saga's history", "worker → postgres", nettest.Commit("INSERT INTO saga_steps")},
			{"a step of the saga", "worker → postgres", nettest.Commit("UPDATE sagas")},
			{"the ledger's hold", "worker → postgres", nettest.Commit("INSERT INTO ledger_transactions")},
			{"the tickets' void", "worker → postgres", nettest.Commit("UPDATE tickets SET status = 'void'")},
			{"the provider is about to be asked", "worker → postgres", nettest.Commit("saga_participations AS p (saga_id, step, merchant_id, asked,")},
			{"the provider's answer", "worker → provider", nettest.Answer("POST /v1/refunds ")},
			{"a participant's reply", "worker → postgres", nettest.Commit("UPDATE saga_participations SET did")},
			{"the reservation's end", "worker → postgres", nettest.Commit("UPDATE refund_reservations SET state")},
			{"the refund's end", "worker → postgres", nettest.Commit("UPDATE refunds SET status")},
		} {
			c := l.Bought("tok_ok")
			loss := l.ways.by[lost.way].Lose(lost.reply, end)
			refunds = append(refunds, refund{c, l.MustRefund(c, "R-"+c.PaymentID, 0)})
			require.Eventually(t, loss.Happened, settle, tick, "%s, %s: the reply was not met", lost.name, end)
		}
	}
	for _, r := range refunds {
		require.Equal(t, "completed", l.Ends(r.id).State)
		back := l.Stage.RefundsAtProvider(r.id)
		require.Len(t, back, 1, "%s", r.id)
		require.Equal(t, "succeeded", back[0]["status"])
		require.Eventually(t, func() bool { return l.Get("/v1/payments/"+r.of.PaymentID).Field("status") == "refunded" }, settle, tick)
	}
	require.Zero(t, l.Stage.Count(`SELECT count(*) FROM dead_letters`))
	require.Zero(t, l.Stage.Count(`SELECT coalesce(sum(amount_minor), 0) FROM ledger_entries`))
	require.Equal(t, len(refunds), l.Stage.Count(`SELECT count(*) FROM tickets WHERE status = 'void'`)/2)
}
