package checkout

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/once/inbox"
	onceotel "payonce/once/otel"
	"payonce/once/retry"
)

// States of a payment, and of its order, from which money went back.
const (
	PartiallyRefunded = "partially_refunded"
	Refunded          = "refunded"
)

const (
	// The UPDATE is the lock and the bound in one: refunds of one payment take
	// turns here, and each sees what the one before it reserved.
	reserveSQL = `
UPDATE payments
   SET refund_reserved_minor = refund_reserved_minor + coalesce(nullif($3::bigint, 0), amount_minor - refunded_minor - refund_reserved_minor)
 WHERE id = $1 AND merchant_id = $2 AND status IN ('captured', 'partially_refunded')
   AND refunded_minor + refund_reserved_minor + greatest($3::bigint, 1) <= amount_minor
RETURNING order_id, currency, provider_charge_id, amount_minor - refunded_minor - refund_reserved_minor AS left_minor`

	// Written from the payment's new sum: what this refund reserved is what is
	// not another one's.
	noteReservationSQL = `
INSERT INTO refund_reservations (refund_id, merchant_id, payment_id, amount_minor)
SELECT $1, p.merchant_id, p.id, p.refund_reserved_minor - coalesce((
         SELECT sum(r.amount_minor) FROM refund_reservations r WHERE r.payment_id = p.id AND r.state = 'reserved'), 0)
  FROM payments p WHERE p.id = $2
RETURNING amount_minor`

	emailOfOrderSQL = `SELECT email FROM orders WHERE id = $1`
)

// ReserveRefund holds money of a captured payment for a refund, in the
// transaction that makes the refund. An amount of zero means all that is left.
// It fills in what the refund needs to know of the payment; whole says that
// nothing captured is left once every reserved refund has gone through.
//
// [ErrNotFound], event.ErrNotCaptured and event.ErrExceedsCaptured leave nothing
// behind.
func (s *Service) ReserveRefund(ctx context.Context, tx postgres.Tx, r event.Refund) (reserved event.Refund, whole bool, err error) {
	var row struct {
		OrderID  uuid.UUID `db:"order_id"`
		Currency string    `db:"currency"`
		ChargeID string    `db:"provider_charge_id"`
		Left     int64     `db:"left_minor"`
	}
	err = tx.Get(ctx, &row, reserveSQL, r.PaymentID, r.MerchantID, r.Amount.AmountMinor)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, whyNotReserved(ctx, tx, r)
	}
	if err != nil {
		return r, false, err
	}
	r.OrderID, r.ProviderChargeID = row.OrderID, row.ChargeID
	r.Amount = money.Of(0, row.Currency)
	if err := tx.Get(ctx, &r.Amount.AmountMinor, noteReservationSQL, r.RefundID, r.PaymentID); err != nil {
		return r, false, err
	}
	return r, row.Left == 0, tx.Get(ctx, &r.Email, emailOfOrderSQL, r.OrderID)
}

// whyNotReserved reads, in a new statement, what the guard met.
func whyNotReserved(ctx context.Context, tx postgres.Tx, r event.Refund) error {
	var p Payment
	err := tx.Get(ctx, &p, paymentSQL, r.PaymentID, r.MerchantID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return err
	case p.Status == Captured, p.Status == PartiallyRefunded, p.Status == Refunded:
		return event.ErrExceedsCaptured
	}
	return event.ErrNotCaptured
}

// ErrUnknownEvent says that the event is none this package can read.
var ErrUnknownEvent = errors.New("checkout: unknown event")

// Refunds is the consumer that turns reservations into refunded money, or gives
// them up. It has no state; the zero value works.
type Refunds struct{}

// RefundsName is the consumer's name.
const RefundsName = event.ConsumerCheckout

// RefundsTypes are the events it reads.
var RefundsTypes = event.TypesOf(RefundsName)

const (
	// The reservation decides, once for ever: an outcome that comes again, also
	// after the inbox has forgotten it, finds another state and moves no sum.
	closeReservationSQL = `
UPDATE refund_reservations SET state = $2, settled_at = clock_timestamp()
 WHERE refund_id = $1 AND state = 'reserved'
RETURNING payment_id, merchant_id, amount_minor, settled_at`

	reservationStateSQL = `SELECT state FROM refund_reservations WHERE refund_id = $1`

	refundedSQL = `
WITH p AS (
  UPDATE payments
     SET refunded_minor = refunded_minor + $2, refund_reserved_minor = refund_reserved_minor - $3,
         status = CASE WHEN refunded_minor + $2 = amount_minor THEN 'refunded' ELSE 'partially_refunded' END
   WHERE id = $1 AND status IN ('captured', 'partially_refunded')
  RETURNING order_id, status
)
UPDATE orders o SET status = p.status FROM p WHERE o.id = p.order_id`

	releasedSQL = `UPDATE payments SET refund_reserved_minor = refund_reserved_minor - $2 WHERE id = $1`

	// A statement after the one that locked the payment: it sees what was committed
	// before.
	anyReservedSQL = `SELECT EXISTS (SELECT FROM refund_reservations WHERE payment_id = $1 AND merchant_id = $2 AND state = 'reserved')`
)

// Handle closes each message's reservation, with payment and order, in tx, and
// says so when another refund of the payment may wait for it. After nil every
// reservation has its outcome's state, now or since before.
func (Refunds) Handle(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	// By payment: two workers with the same ones wait for each other in one order.
	batch = slices.Clone(batch)
	slices.SortStableFunc(batch, func(a, b inbox.Message) int { return strings.Compare(a.Correlation, b.Correlation) })
	for _, m := range batch {
		r, state, err := refundOutcome(m)
		if err != nil {
			return retry.Permanent(err)
		}
		if err := closeReservation(onceotel.WithTraceparent(ctx, m.Traceparent), tx, r, state); err != nil {
			return err
		}
	}
	return nil
}

func refundOutcome(m inbox.Message) (event.Refund, string, error) {
	switch m.Type {
	case event.TypeRefundCompleted:
		e, err := event.Decode[event.RefundCompleted](m.Payload)
		return e.Refund, "refunded", err
	case event.TypeRefundFailed:
		e, err := event.Decode[event.RefundFailed](m.Payload)
		return e.Refund, "released", err
	}
	return event.Refund{}, "", fmt.Errorf("%w: type %q", ErrUnknownEvent, m.Type)
}

func closeReservation(ctx context.Context, tx postgres.Tx, r event.Refund, state string) error {
	var closed struct {
		PaymentID  uuid.UUID `db:"payment_id"`
		MerchantID uuid.UUID `db:"merchant_id"`
		Minor      int64     `db:"amount_minor"`
		At         time.Time `db:"settled_at"`
	}
	err := tx.Get(ctx, &closed, closeReservationSQL, r.RefundID, state)
	if errors.Is(err, sql.ErrNoRows) {
		return closedBefore(ctx, tx, r, state)
	}
	if err != nil {
		return err
	}
	query, args := refundedSQL, []any{closed.PaymentID, closed.Minor, closed.Minor}
	if state == "released" {
		query, args = releasedSQL, args[:2]
	}
	n, err := tx.Exec(ctx, query, args...)
	if err == nil && n != 1 {
		err = retry.Permanent(fmt.Errorf("payment %s of refund %s cannot be refunded in its state", PaymentRef(closed.PaymentID), event.RefundName(r.RefundID)))
	}
	if err != nil {
		return err
	}
	return tellClosed(ctx, tx, event.RefundReservationClosed{
		Schema: event.SchemaVersion, RefundID: r.RefundID, MerchantID: closed.MerchantID, PaymentID: closed.PaymentID, State: state, ClosedAt: closed.At.UTC(),
	})
}

// tellClosed writes that a reservation is closed, when another one of its payment
// is open: a refund that was the only one keeps none waiting. A reservation is an
// aggregate of its own, with this one event.
func tellClosed(ctx context.Context, tx postgres.Tx, closed event.RefundReservationClosed) error {
	var others bool
	if err := tx.Get(ctx, &others, anyReservedSQL, closed.PaymentID, closed.MerchantID); err != nil || !others {
		return err
	}
	e, err := patterns.NewEvent(closed.MerchantID, closed.PaymentID, "refund_reservation", uuid.NewSHA1(closed.RefundID, []byte("reservation")),
		event.TypeRefundReservationClosed, closed)
	if err != nil {
		return err
	}
	e.AggregateVersion, e.Traceparent = 1, onceotel.Traceparent(ctx)
	return patterns.Append(ctx, tx, e)
}

const (
	// The same lock that reserving and closing take.
	lockRefundableSQL = `SELECT amount_minor - refunded_minor FROM payments WHERE id = $1 AND merchant_id = $2 FOR NO KEY UPDATE`

	// A later reservation is not asked about: it waits for this one.
	reservedBeforeSQL = `
SELECT r.amount_minor, EXISTS (
         SELECT FROM refund_reservations e WHERE e.payment_id = r.payment_id AND e.state = 'reserved' AND e.seq < r.seq) AS open
  FROM refund_reservations r
 WHERE r.refund_id = $1 AND r.payment_id = $2`
)

// LeftAfter says what a refund that has its reservation leaves of its payment. It
// is not known while an earlier reservation of the payment is open. The payment
// stays locked until tx ends, so the transaction that closes the earlier one either
// committed before this, or commits its event after tx.
func (Refunds) LeftAfter(ctx context.Context, tx postgres.Tx, r event.Refund) (minor int64, known bool, err error) {
	if err := tx.Get(ctx, &minor, lockRefundableSQL, r.PaymentID, r.MerchantID); err != nil {
		return 0, false, noReservation(err, r)
	}
	var mine struct {
		Minor int64 `db:"amount_minor"`
		Open  bool  `db:"open"`
	}
	if err := tx.Get(ctx, &mine, reservedBeforeSQL, r.RefundID, r.PaymentID); err != nil {
		return 0, false, noReservation(err, r)
	}
	return minor - mine.Minor, !mine.Open, nil
}

// noReservation tells a refund that never was from a database that cannot be asked.
func noReservation(err error, r event.Refund) error {
	if errors.Is(err, sql.ErrNoRows) {
		return retry.Permanent(fmt.Errorf("nothing was reserved for refund %s", event.RefundName(r.RefundID)))
	}
	return err
}

// closedBefore tells the same outcome, which is absorbed, from a contradicting
// one, which a person must see.
func closedBefore(ctx context.Context, tx postgres.Tx, r event.Refund, state string) error {
	var now string
	err := tx.Get(ctx, &now, reservationStateSQL, r.RefundID)
	if err != nil || now == state {
		return noReservation(err, r)
	}
	return AlertRefundContradiction.Raise(ctx, tx, r.MerchantID, event.RefundName(r.RefundID),
		map[string]any{"payment_id": PaymentRef(r.PaymentID), "stored": now, "said": state})
}
