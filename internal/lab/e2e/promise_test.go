package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/stage"
)

// clicks sends n captures at once.
func clicks(t *testing.T, b *stage.Buyer, c stage.Checkout, n int, key func(i int) string, token string) []stage.Response {
	t.Helper()
	got := make([]stage.Response, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { got[i], errs[i] = b.Capture(context.Background(), c, key(i), token) })
	}
	wg.Wait()
	for i, err := range errs {
		require.NoError(t, err, "click %d", i)
	}
	return got
}

func TestFiftyClicksOneKeyEveryEffectOnce(t *testing.T) {
	t.Parallel()
	b := stage.Start(t, stage.Options{}).Buyer()
	c := b.Order()
	got := clicks(t, b, c, 50, func(int) string { return "K" }, "tok_ok")
	replayed := 0
	for _, r := range got {
		require.Equal(t, 200, r.Status, "%s", r.Body)
		require.Equal(t, string(got[0].Body), string(r.Body), "50 bodies, byte-identical")
		if r.Header.Get("Idempotent-Replayed") == "true" {
			replayed++
		}
	}
	require.Equal(t, 49, replayed)
	b.Settles(c)
}

func TestFiftyClicksFiftyKeysEveryEffectOnce(t *testing.T) {
	t.Parallel()
	b := stage.Start(t, stage.Options{}).Buyer()
	c := b.Order()
	got := clicks(t, b, c, 50, func(i int) string { return fmt.Sprintf("K-%d", i) }, "tok_ok")
	matched := 0
	for _, r := range got {
		require.Equal(t, 200, r.Status, "%s", r.Body)
		if r.Header.Get("Payonce-Matched") == "business-key" {
			matched++
		}
	}
	require.Equal(t, 49, matched)
	b.Settles(c)
}

func TestOneKeyToTwoPaymentsAtOnceOneIsCapturedOneIsUntouched(t *testing.T) {
	t.Parallel()
	b := stage.Start(t, stage.Options{}).Buyer()
	for range 5 {
		both := [2]stage.Checkout{b.Order(), b.Order()}
		key := uuid.NewString()
		var got [2]stage.Response
		var wg sync.WaitGroup
		for i := range both {
			wg.Go(func() { got[i], _ = b.Capture(context.Background(), both[i], key, "tok_ok") })
		}
		wg.Wait()
		winner := 0
		if got[0].Status != 200 {
			winner = 1
		}
		require.Equal(t, 200, got[winner].Status, "%s", got[winner].Body)
		require.Equal(t, 422, got[1-winner].Status, "%s", got[1-winner].Body)
		require.Equal(t, "/problems/idempotency-key-reused", got[1-winner].Field("type"))
		require.Equal(t, "requires_capture", b.Get("/v1/payments/"+both[1-winner].PaymentID).Field("status"))
		require.Zero(t, b.Effects(both[1-winner]).Charges)
		b.Settles(both[winner])
	}
}

func TestADeclinedCardSendsOneNoticeAndTheNextCardPays(t *testing.T) {
	t.Parallel()
	b := stage.Start(t, stage.Options{}).Buyer()
	c := b.Order()
	declined := clicks(t, b, c, 5, func(int) string { return "K1" }, "tok_declined")
	for _, r := range declined {
		require.Equal(t, 402, r.Status, "%s", r.Body)
		require.Equal(t, string(declined[0].Body), string(r.Body))
	}
	paid, _ := b.MustCapture(c, "K2", "tok_ok")
	require.Equal(t, 200, paid.Status)
	require.Eventually(t, func() bool {
		e := b.Effects(c)
		return e.Charges == 1 && e.Mails == 2 && e.Tickets == 2 && e.LedgerTransactions == 1
	}, settle, tick, "one charge, one notice, one receipt")
}

func TestAChargeWhoseAnswerWasLostIs202ThenTheTruth(t *testing.T) {
	t.Parallel()
	b := stage.Start(t, stage.Options{}).Buyer()
	c := b.Order()
	r, err := b.Capture(context.Background(), c, "K", "tok_timeout_after")
	require.NoError(t, err)
	require.Equal(t, 202, r.Status, "%s", r.Body)
	require.NotEmpty(t, r.Header.Get("Retry-After"))
	b.Settles(c)
	r, tries := b.MustCapture(c, "K", "tok_timeout_after")
	require.Equal(t, 200, r.Status)
	require.Equal(t, 1, tries)
}
