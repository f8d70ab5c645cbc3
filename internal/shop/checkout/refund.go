package checkout

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"payonce/internal/pattern/inbox"
	"payonce/internal/pattern/retry"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
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
RETURNING payment_id, amount_minor`

	reservationStateSQL = `SELECT state FROM refund_reservations WHERE refund_id = $1`

	refundedSQL = `
WITH p AS (
  UPDATE payments
     SET refunded_minor = refunded_minor + $2, refund_reserved_minor = refund_reserved_minor - $2,
         status = CASE WHEN refunded_minor + $2 = amount_minor THEN 'refunded' ELSE 'partially_refunded' END
   WHERE id = $1 AND status IN ('captured', 'partially_refunded')
  RETURNING order_id, status
)
UPDATE orders o SET status = p.status FROM p WHERE o.id = p.order_id`

	releasedSQL = `UPDATE payments SET refund_reserved_minor = refund_reserved_minor - $2 WHERE id = $1`
)

// Handle closes each message's reservation, with payment and order, in tx. After
// nil every reservation has its outcome's state, now or since before.
func (Refunds) Handle(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	for _, m := range batch {
		r, state, err := refundOutcome(m)
		if err != nil {
			return retry.Permanent(err)
		}
		if err := closeReservation(ctx, tx, r, state); err != nil {
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
		PaymentID uuid.UUID `db:"payment_id"`
		Minor     int64     `db:"amount_minor"`
	}
	err := tx.Get(ctx, &closed, closeReservationSQL, r.RefundID, state)
	if errors.Is(err, sql.ErrNoRows) {
		return closedBefore(ctx, tx, r, state)
	}
	if err != nil {
		return err
	}
	query := refundedSQL
	if state == "released" {
		query = releasedSQL
	}
	n, err := tx.Exec(ctx, query, closed.PaymentID, closed.Minor)
	if err == nil && n != 1 {
		err = retry.Permanent(fmt.Errorf("payment %s of refund %s cannot be refunded in its state", PaymentRef(closed.PaymentID), event.RefundName(r.RefundID)))
	}
	return err
}

// closedBefore tells the same outcome, which is absorbed, from a contradicting
// one, which a person must see.
func closedBefore(ctx context.Context, tx postgres.Tx, r event.Refund, state string) error {
	var now string
	err := tx.Get(ctx, &now, reservationStateSQL, r.RefundID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return retry.Permanent(fmt.Errorf("nothing was reserved for refund %s", event.RefundName(r.RefundID)))
	case err != nil || now == state:
		return err
	}
	return AlertRefundContradiction.Raise(ctx, tx, r.MerchantID, event.RefundName(r.RefundID),
		map[string]any{"payment_id": PaymentRef(r.PaymentID), "stored": now, "said": state})
}
