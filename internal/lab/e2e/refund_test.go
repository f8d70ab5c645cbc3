package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/audit"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/stage"
	"payonce/internal/shop/provider/simulated"
)

// proven waits until every invariant was observed and holds, without any grace.
func proven(t *testing.T, s *stage.Stage) {
	t.Helper()
	a := audit.New(audit.Options{
		DB: s.DB, Books: simulated.New(simulated.Config{URL: s.SimulatorURL}), Mailbox: bursts.NewMailbox(s.SimulatorURL),
		Grace: time.Millisecond, Every: time.Millisecond,
	})
	var last audit.Report
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(tick) {
		report, err := a.CheckAll(context.Background())
		require.NoError(t, err)
		if last = report; report.Proven() {
			return
		}
	}
	for _, i := range last.Invariants {
		if !i.OK {
			t.Errorf("%s: %v %s", i.ID, i.Violations, i.Unseen)
		}
	}
}

func TestARefundOfEverythingGoesBackOnceVoidsTheTicketsAndTellsTheBuyer(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	c := b.Bought("tok_ok")
	refund := b.MustRefund(c, "R", 0)
	saga := b.Ends(refund)
	require.Equal(t, "completed", saga.State)
	require.Eventually(t, func() bool {
		return b.Get("/v1/payments/"+c.PaymentID).Field("status") == "refunded" && b.Get("/v1/orders/"+c.OrderID).Field("status") == "refunded"
	}, settle, tick)
	require.Equal(t, 2, s.Count(`SELECT count(*) FROM tickets WHERE status = 'void'`))
	atProvider := s.RefundsAtProvider(refund)
	require.Len(t, atProvider, 1)
	require.Equal(t, "refund:"+refund, atProvider[0]["idempotency_key"])
	require.Equal(t, "succeeded", b.Get("/v1/refunds/"+refund).Field("status"))
	proven(t, s)
}

func TestARefundRefusedByTheProviderIsCompensatedInReverseAndTheTicketsAreGoodAgain(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	c := b.Bought("tok_refund_declined")
	refund := b.MustRefund(c, "R", 0)
	saga := b.Ends(refund)
	require.Equal(t, "compensated", saga.State)
	require.Equal(t, "refund_not_possible", saga.Failure)
	var order []string
	require.NoError(t, s.DB.Select(context.Background(), &order, `SELECT type FROM outbox_events WHERE type IN ('tickets.reinstate', 'ledger.release_refund') ORDER BY seq`))
	require.Equal(t, []string{"tickets.reinstate", "ledger.release_refund"}, order)
	require.Equal(t, 2, s.Count(`SELECT count(*) FROM tickets WHERE status = 'issued'`))
	proven(t, s)
	require.Equal(t, "failed", b.Get("/v1/refunds/"+refund).Field("status"))
	require.Equal(t, "captured", b.Get("/v1/payments/"+c.PaymentID).Field("status"))
	again, err := b.Refund(context.Background(), c, "R2", 100)
	require.NoError(t, err)
	require.Equal(t, 202, again.Status, "the reservation was released: %s", again.Body)
}

func TestAUsedTicketRefusesTheRefundOfEverythingButNotAPartOfIt(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	c := b.Bought("tok_ok")
	tickets := b.Get("/v1/orders/" + c.OrderID).Field("tickets").([]any)
	in := "/v1/tickets/" + tickets[0].(map[string]any)["id"].(string) + "/check-in"
	for i, want := range []int{200, 409} {
		r, err := b.Do(context.Background(), http.MethodPost, in, "", nil)
		require.NoError(t, err)
		require.Equal(t, want, r.Status, "check-in %d: %s", i, r.Body)
	}
	saga := b.Ends(b.MustRefund(c, "whole", 0))
	require.Equal(t, "compensated", saga.State)
	require.Equal(t, "ticket_used", saga.Failure)
	require.Empty(t, saga.Status("void_tickets", "undo"), "what was refused needs no undo")
	proven(t, s) // the reservation is given up by now
	saga = b.Ends(b.MustRefund(c, "part", 4200))
	require.Equal(t, "completed", saga.State)
	require.Equal(t, "skipped", saga.Status("void_tickets", "do"))
	proven(t, s)
	require.Equal(t, "partially_refunded", b.Get("/v1/payments/"+c.PaymentID).Field("status"))
}

func TestARefundThatGoesBackAndLosesItsAnswerGoesBackOnce(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{Env: map[string][]string{"worker": {"PAYONCE_PROVIDER_DEADLINE=1s", "PAYONCE_PROVIDER_CONNECT=500ms"}}})
	b := s.Buyer()
	c := b.Bought("tok_refund_timeout_after")
	refund := b.MustRefund(c, "R", 0)
	require.Equal(t, "completed", b.Ends(refund).State)
	require.Len(t, s.RefundsAtProvider(refund), 1)
	proven(t, s)
}

func TestTwentyRefundRequestsWithOneKeyAreOneSaga(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	c := b.Bought("tok_ok")
	answers := refunds(t, b, c, 20, func(int) string { return "R" })
	replayed := 0
	for _, r := range answers {
		require.Equal(t, 202, r.Status, "%s", r.Body)
		require.Equal(t, string(answers[0].Body), string(r.Body))
		if r.Header.Get("Idempotent-Replayed") == "true" {
			replayed++
		}
	}
	require.Equal(t, 19, replayed)
	require.Equal(t, 1, s.Count(`SELECT count(*) FROM sagas`))
	require.Equal(t, "completed", b.Ends(answers[0].Field("id").(string)).State)
	proven(t, s)
}

func TestTwentyRefundRequestsWithTwentyKeysForEverythingOneCompletesNineteenAreRefused(t *testing.T) {
	t.Parallel()
	s := stage.Start(t, stage.Options{})
	b := s.Buyer()
	c := b.Bought("tok_ok")
	accepted := ""
	for _, r := range refunds(t, b, c, 20, func(i int) string { return fmt.Sprintf("R-%d", i) }) {
		if r.Status == 202 {
			require.Empty(t, accepted, "two refunds of everything were accepted")
			accepted = r.Field("id").(string)
			continue
		}
		require.Equal(t, 422, r.Status, "%s", r.Body)
		require.Equal(t, "/problems/refund-exceeds-captured", r.Field("type"))
	}
	require.Equal(t, "completed", b.Ends(accepted).State)
	proven(t, s)
	require.Equal(t, 1, s.Count(`SELECT count(*) FROM refunds`))
}

func refunds(t *testing.T, b *stage.Buyer, c stage.Checkout, n int, key func(int) string) []stage.Response {
	t.Helper()
	answers := make([]stage.Response, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for range 40 { // a twin that is still running is asked for again, as Retry-After says
				r, err := b.Refund(context.Background(), c, key(i), 8400)
				if err != nil {
					t.Error(err)
					return
				}
				if answers[i] = r; r.Header.Get("Retry-After") == "" {
					return
				}
				time.Sleep(tick)
			}
		})
	}
	wg.Wait()
	return answers
}
