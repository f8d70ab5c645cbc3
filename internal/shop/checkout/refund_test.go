package checkout_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
	"payonce/once/retry"
)

// reserve asks for a part of a payment, or with 0 for what is left.
func (s *shop) reserve(payment uuid.UUID, minor int64) (r event.Refund, whole bool, err error) {
	asked := event.Refund{RefundID: uuid.Must(uuid.NewV7()), MerchantID: s.merchant, PaymentID: payment, Amount: money.Of(minor, "")}
	err = postgres.InTx(context.Background(), s.db, func(tx postgres.Tx) error {
		r, whole, err = s.ReserveRefund(context.Background(), tx, asked)
		return err
	})
	return r, whole, err
}

func (s *shop) captured() uuid.UUID {
	s.t.Helper()
	p := s.payment()
	res, err := s.capture(p, uuid.NewString(), "tok_ok")
	require.NoError(s.t, err)
	require.Equal(s.t, 200, res.Answer.Status)
	return p
}

func TestTwentyReservationsOfEverythingAtOnceOneIsAccepted(t *testing.T) {
	t.Parallel()
	s := open(t)
	p := s.captured()
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		accepted int
	)
	for range 20 {
		wg.Go(func() {
			_, whole, err := s.reserve(p, 8400)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && whole:
				accepted++
			case !errors.Is(err, event.ErrExceedsCaptured):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, accepted)
	require.Equal(t, 8400, s.count(`SELECT refund_reserved_minor FROM payments WHERE id = $1`, p))
}

func TestPartsAreReservedUpToWhatWasCapturedAndOmittedMeansTheRest(t *testing.T) {
	t.Parallel()
	s := open(t)
	p := s.captured()
	part, whole, err := s.reserve(p, 3000)
	require.NoError(t, err)
	require.False(t, whole)
	require.Equal(t, money.Of(3000, "EUR"), part.Amount)
	require.Equal(t, event.Address("ada@example.org"), part.Email)
	require.NotEmpty(t, part.ProviderChargeID)
	_, _, err = s.reserve(p, 5401)
	require.ErrorIs(t, err, event.ErrExceedsCaptured)
	rest, whole, err := s.reserve(p, 0)
	require.NoError(t, err)
	require.True(t, whole, "nothing captured is left")
	require.Equal(t, int64(5400), rest.Amount.AmountMinor)
	_, _, err = s.reserve(p, 0)
	require.ErrorIs(t, err, event.ErrExceedsCaptured)
}

func TestNothingIsReservedOfAPaymentThatIsNotCapturedOrNotYours(t *testing.T) {
	t.Parallel()
	s := open(t)
	_, _, err := s.reserve(s.payment(), 100)
	require.ErrorIs(t, err, event.ErrNotCaptured)
	_, _, err = s.reserve(uuid.New(), 100)
	require.ErrorIs(t, err, checkout.ErrNotFound)
	p := s.captured()
	s.merchant = uuid.New()
	_, _, err = s.reserve(p, 100)
	require.ErrorIs(t, err, checkout.ErrNotFound)
}

func (s *shop) outcome(r event.Refund, kind string) inbox.Message {
	s.t.Helper()
	var payload any = event.RefundCompleted{Schema: event.SchemaVersion, Refund: r}
	if kind == event.TypeRefundFailed {
		payload = event.RefundFailed{Schema: event.SchemaVersion, Refund: r, FailureCode: "ticket_used"}
	}
	raw, err := json.Marshal(payload)
	require.NoError(s.t, err)
	return inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: kind, Payload: raw, Scope: r.MerchantID.String(), Correlation: r.PaymentID.String(), AggregateID: r.RefundID.String()}
}

func (s *shop) learn(m inbox.Message) {
	s.t.Helper()
	require.NoError(s.t, postgres.InTx(context.Background(), s.db, func(tx postgres.Tx) error {
		return checkout.Refunds{}.Handle(context.Background(), tx, []inbox.Message{m})
	}))
}

func TestAReservationBecomesRefundedMoneyOrIsGivenUpOnceForEver(t *testing.T) {
	t.Parallel()
	s := open(t)
	p := s.captured()
	part, _, err := s.reserve(p, 3000)
	require.NoError(t, err)
	failing, _, err := s.reserve(p, 1000)
	require.NoError(t, err)
	for range 2 { // under another event id each, as after the inbox has forgotten
		s.learn(s.outcome(part, event.TypeRefundCompleted))
		s.learn(s.outcome(failing, event.TypeRefundFailed))
	}
	require.Equal(t, "partially_refunded", s.state(p))
	require.Equal(t, 3000, s.count(`SELECT refunded_minor FROM payments WHERE id = $1`, p))
	require.Zero(t, s.count(`SELECT refund_reserved_minor FROM payments WHERE id = $1`, p))
	rest, _, err := s.reserve(p, 0)
	require.NoError(t, err)
	s.learn(s.outcome(rest, event.TypeRefundCompleted))
	require.Equal(t, "refunded", s.state(p))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM orders WHERE status = 'refunded'`))
}

func TestAnOutcomeThatContradictsAClosedReservationMovesNothingAndAlerts(t *testing.T) {
	t.Parallel()
	s := open(t)
	p := s.captured()
	r, _, err := s.reserve(p, 3000)
	require.NoError(t, err)
	s.learn(s.outcome(r, event.TypeRefundFailed))
	s.learn(s.outcome(r, event.TypeRefundCompleted))
	require.Equal(t, "captured", s.state(p))
	require.Zero(t, s.count(`SELECT refunded_minor FROM payments WHERE id = $1`, p))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM alerts WHERE kind = 'refund_contradiction' AND state = 'open'`))
}

// leftAfter asks what a refund would leave, and whether the payment is locked
// meanwhile.
func (s *shop) leftAfter(r event.Refund) (minor int64, known bool) {
	s.t.Helper()
	require.NoError(s.t, postgres.InTx(context.Background(), s.db, func(tx postgres.Tx) (err error) {
		if minor, known, err = (checkout.Refunds{}).LeftAfter(context.Background(), tx, r); err != nil {
			return err
		}
		held := postgres.InTx(context.Background(), s.db, func(other postgres.Tx) error {
			_, err := other.Exec(context.Background(), `SELECT id FROM payments WHERE id = $1 FOR NO KEY UPDATE NOWAIT`, r.PaymentID)
			return err
		})
		require.ErrorContains(s.t, held, "could not obtain lock", "a reservation is closed before or after, not between")
		return nil
	}))
	return minor, known
}

func TestWhatARefundLeavesIsKnownWhenEachEarlierReservationIsClosed(t *testing.T) {
	t.Parallel()
	for state, left := range map[string]int64{event.TypeRefundCompleted: 0, event.TypeRefundFailed: 3000} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			p := s.captured()
			first, _, err := s.reserve(p, 3000)
			require.NoError(t, err)
			last, _, err := s.reserve(p, 0)
			require.NoError(t, err)
			// Neither a clock nor an id says who was first.
			s.exec(`UPDATE refund_reservations SET reserved_at = reserved_at + interval '1 hour' WHERE refund_id = $1`, first.RefundID)

			minor, known := s.leftAfter(first)
			require.True(t, known, "a later one is not waited for")
			require.Equal(t, int64(5400), minor)
			_, known = s.leftAfter(last)
			require.False(t, known)

			for range 2 {
				s.learn(s.outcome(first, state))
			}
			minor, known = s.leftAfter(last)
			require.True(t, known)
			require.Equal(t, left, minor)
			const closed = `SELECT count(*) FROM outbox_events WHERE type = 'refund.reservation_closed' AND correlation_id = $1`
			require.Equal(t, 1, s.count(closed, p), "one event, for another reservation is open")
			s.learn(s.outcome(last, event.TypeRefundFailed))
			require.Equal(t, 1, s.count(closed, p), "no refund waits for the last one")
		})
	}
}

func TestWhoReservedFirstIsFirstWhateverItsIdSays(t *testing.T) {
	t.Parallel()
	s := open(t)
	p := s.captured()
	older, younger := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	var made []event.Refund
	for _, id := range []uuid.UUID{younger, older} {
		require.NoError(t, postgres.InTx(t.Context(), s.db, func(tx postgres.Tx) error {
			r, _, err := s.ReserveRefund(t.Context(), tx, event.Refund{RefundID: id, MerchantID: s.merchant, PaymentID: p, Amount: money.Of(4200, "")})
			made = append(made, r)
			return err
		}))
	}
	_, known := s.leftAfter(made[0])
	require.True(t, known)
	_, known = s.leftAfter(made[1])
	require.False(t, known)
}

func TestARefundWithoutAReservationIsPermanent(t *testing.T) {
	t.Parallel()
	s := open(t)
	p := s.captured()
	for _, r := range []event.Refund{
		{RefundID: uuid.New(), MerchantID: s.merchant, PaymentID: p},
		{RefundID: uuid.New(), MerchantID: uuid.New(), PaymentID: p},
	} {
		err := postgres.InTx(t.Context(), s.db, func(tx postgres.Tx) error {
			_, _, err := checkout.Refunds{}.LeftAfter(t.Context(), tx, r)
			return err
		})
		require.Equal(t, retry.ClassPermanent, retry.ClassOf(err))
	}
}

func TestEachRefundMovesThePaymentOnceWhateverTheBrokerDoes(t *testing.T) {
	t.Parallel()
	provider := open(t) // its world serves every database of this test
	shops := sync.Map{}
	inboxtest.Run(t,
		devtest.ConsumerOf(inbox.Config{Consumer: checkout.RefundsName, Types: checkout.RefundsTypes, Handler: patterns.Handler(checkout.Refunds{}.Handle).Inbox()}),
		devtest.SampleOf(func(t testing.TB, db *postgres.DB) inbox.Message {
			known, _ := shops.LoadOrStore(db.Once(), sync.OnceValue(func() *shop { return openIn(provider.t, db, provider.world) }))
			s := known.(func() *shop)()
			r, _, err := s.reserve(s.captured(), 3000)
			require.NoError(t, err)
			return s.outcome(r, event.TypeRefundCompleted)
		}, func(t testing.TB, db *postgres.DB, m inbox.Message) (n int) {
			require.NoError(t, db.Get(t.Context(), &n, `
SELECT count(*) FROM payments p JOIN refund_reservations r ON r.payment_id = p.id
 WHERE r.refund_id = $1 AND r.state = 'refunded' AND p.refunded_minor = 3000 AND p.refund_reserved_minor = 0`, m.AggregateID))
			return n
		}, 0))
}
