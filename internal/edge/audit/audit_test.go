package audit_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/edge/audit"
	"payonce/internal/lab/bursts"
	"payonce/internal/lab/world"
	"payonce/internal/shop/provider"
)

func TestACaptureThatIsUnderWayIsPendingAndAfterTheGraceItsMissingEffectsAreRed(t *testing.T) {
	t.Parallel()
	h := open(t)
	payment := h.order(h.merchant)
	require.Equal(t, http.StatusOK, h.pay(h.merchant, payment, "tok_ok"))

	patient := audit.New(audit.Options{DB: h.db, Books: h.books, Mailbox: bursts.NewMailbox(h.world.URL)})
	r, err := patient.Check(t.Context(), h.merchant)
	require.NoError(t, err)
	require.Empty(t, red(r))
	require.True(t, r.OK)

	r, err = h.impatient().Check(t.Context(), h.merchant)
	require.NoError(t, err)
	for _, id := range []string{"ledger_once", "one_mail", "tickets_once", "outbox_drained", "books_agree"} {
		require.False(t, invariant(t, r, id).OK, id)
		require.NotEmpty(t, invariant(t, r, id).Violations, id)
	}
	require.True(t, invariant(t, r, "one_charge").OK)
}

func TestCapturesDuringFiveLooksNeverLookLikeAnOffence(t *testing.T) {
	t.Parallel()
	h := open(t)
	// A grace that five looks of no machine outlast, and much shorter than the hour
	// below: here nothing carries the effects on.
	patient := audit.New(audit.Options{DB: h.db, Books: h.books, Mailbox: bursts.NewMailbox(h.world.URL), Every: time.Nanosecond, Grace: 10 * time.Minute})
	payments := make(chan uuid.UUID, 60)
	for range cap(payments) {
		payments <- h.order(h.merchant)
	}
	close(payments)
	// Placed long ago, paid now: only the capture itself is young.
	h.exec(`UPDATE payments SET created_at = created_at - interval '1 hour'`)
	h.exec(`UPDATE outbox_events SET published_at = created_at`)

	enough, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var captured atomic.Int32
	for range 3 {
		all.Go(func() {
			for p := range payments {
				if enough.Err() != nil {
					return
				}
				if got := h.pay(h.merchant, p, "tok_ok"); got != http.StatusOK {
					t.Errorf("a capture answered %d", got)
				}
				captured.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return captured.Load() > 0 }, 10*time.Second, time.Millisecond)
	for range 5 {
		// The outbox has ten seconds whatever the grace is, and no relay runs here.
		h.exec(`UPDATE outbox_events SET published_at = clock_timestamp() WHERE published_at IS NULL AND created_at < clock_timestamp() - interval '2 seconds'`)
		own, err := patient.Check(t.Context(), h.merchant)
		require.NoError(t, err)
		require.Empty(t, red(own))
		everything, err := patient.CheckAll(t.Context())
		require.NoError(t, err)
		require.Empty(t, red(everything))
	}
	stop()
	all.Wait()
}

func TestWhatNobodyCanBeAskedAboutIsNotObservableAndProvesNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sell(h.merchant)
	blind := func(o audit.Options, unseen ...string) {
		t.Helper()
		o.DB, o.Every, o.Grace = h.db, time.Nanosecond, time.Nanosecond
		r, err := audit.New(o).Check(t.Context(), s.merchant)
		require.NoError(t, err)
		require.Empty(t, red(r))
		require.True(t, r.OK, "nothing was found broken")
		require.False(t, r.Proven(), "and not everything was looked at")
		for _, i := range r.Invariants {
			hidden := false
			for _, id := range unseen {
				hidden = hidden || id == i.ID
			}
			require.Equal(t, !hidden, i.Observable, i.ID)
			require.Equal(t, !hidden, i.OK, i.ID)
			require.Equal(t, hidden, i.Unseen != "", i.ID)
		}
	}
	provided := []string{"one_charge", "charge_matches", "books_agree"}
	blind(audit.Options{Books: h.books}, "one_mail")
	blind(audit.Options{Mailbox: bursts.NewMailbox(h.world.URL)}, provided...)
	blind(audit.Options{Books: h.books, Mailbox: bursts.NewMailbox("http://127.0.0.1:1")}, "one_mail")
	for _, list := range []string{"charges", "refunds"} {
		blind(audit.Options{Books: ending{h.books, list}, Mailbox: bursts.NewMailbox(h.world.URL)}, provided...)
	}
	for _, list := range []string{"all charges", "all refunds", "balance"} {
		r, err := audit.New(audit.Options{DB: h.db, Books: ending{h.books, list}, Mailbox: bursts.NewMailbox(h.world.URL)}).CheckAll(t.Context())
		require.NoError(t, err)
		require.False(t, r.Proven(), list)
		for _, id := range provided {
			require.False(t, invariant(t, r, id).Observable || invariant(t, r, id).OK, "%s of which there is a part of %s", id, list)
		}
	}
	h.world.Behave(world.Behaviour{Outage: "unavailable"})
	blind(audit.Options{Books: h.books, Mailbox: bursts.NewMailbox(h.world.URL)}, provided...)
}

// ending is a provider of whose lists one ends in the middle.
type ending struct {
	provider.Books
	list string
}

func (e ending) of(list string, err error) error {
	if e.list == list {
		return errors.Join(provider.ErrIncomplete, err)
	}
	return err
}

func (e ending) ChargesByReference(ctx context.Context, reference string) ([]provider.Charge, error) {
	all, err := e.Books.ChargesByReference(ctx, reference)
	return all, e.of("charges", err)
}

func (e ending) RefundsOfCharge(ctx context.Context, charge string) ([]provider.Refund, error) {
	all, err := e.Books.RefundsOfCharge(ctx, charge)
	return all, e.of("refunds", err)
}

func (e ending) EachCharge(ctx context.Context, f func(provider.Charge) error) error {
	return e.of("all charges", e.Books.EachCharge(ctx, f))
}

func (e ending) EachRefund(ctx context.Context, f func(provider.Refund) error) error {
	return e.of("all refunds", e.Books.EachRefund(ctx, f))
}

func (e ending) Balance(ctx context.Context) (map[string]int64, error) {
	all, err := e.Books.Balance(ctx)
	return all, e.of("balance", err)
}

// counted is a provider that counts how often all of its charges are asked for,
// and can be held back.
type counted struct {
	provider.Books
	asked   atomic.Int32
	proceed chan struct{}
}

func (c *counted) EachCharge(ctx context.Context, f func(provider.Charge) error) error {
	c.asked.Add(1)
	<-c.proceed
	return c.Books.EachCharge(ctx, f)
}

func TestFiftyCallersAtOnceMakeOnePassAndTwoSecondsLaterOneMore(t *testing.T) {
	t.Parallel()
	h := open(t)
	books := &counted{Books: h.books, proceed: make(chan struct{})}
	var now atomic.Int64
	auditor := audit.New(audit.Options{DB: h.db, Books: books, Now: func() time.Time { return time.Unix(now.Load(), 0) }})

	impatient, hangUp := context.WithCancel(t.Context())
	var all sync.WaitGroup
	ask := func(ctx context.Context) {
		all.Go(func() {
			if _, err := auditor.CheckAll(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	ask(impatient)
	require.Eventually(t, func() bool { return books.asked.Load() == 1 }, 10*time.Second, time.Millisecond)
	hangUp() // the pass goes on for the others
	for range 49 {
		ask(t.Context())
	}
	close(books.proceed)
	all.Wait()
	require.EqualValues(t, 1, books.asked.Load())

	now.Store(1)
	_, err := auditor.CheckAll(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, books.asked.Load(), "one second later the answer is still good")
	now.Store(2)
	_, err = auditor.CheckAll(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, books.asked.Load())
}

func TestAMerchantsLookIsBoundedToHisNewestPayments(t *testing.T) {
	t.Parallel()
	h := open(t)
	oldest := h.sell(h.merchant)
	h.sell(h.merchant) // three payments newer than all of the first sale's
	h.charge(oldest.name())
	for newest, want := range map[int]bool{4: true, 6: false} {
		r, err := audit.New(audit.Options{DB: h.db, Books: h.books, Newest: newest, Grace: time.Nanosecond}).Check(t.Context(), h.merchant)
		require.NoError(t, err)
		require.Equal(t, want, invariant(t, r, "one_charge").OK, "newest %d", newest)
	}
}
