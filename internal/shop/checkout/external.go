package checkout

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
)

const (
	ofChargeSQL = `
SELECT id, merchant_id, order_id, currency FROM payments
 WHERE id = (SELECT payment_id FROM payment_attempts WHERE provider_charge_id = $1 AND status = 'succeeded')
   AND provider_charge_id = $1 AND status IN ('captured', 'partially_refunded', 'refunded') FOR UPDATE`

	leftForUpdateSQL = `SELECT amount_minor - refunded_minor AS left_minor, refund_reserved_minor, currency FROM payments WHERE id = $1 FOR UPDATE`

	noteExternalSQL = `
INSERT INTO refund_reservations (refund_id, merchant_id, payment_id, amount_minor, state, settled_at)
VALUES ($1, $2, $3, $4, 'refunded', clock_timestamp())`
)

// OfCharge locks the captured payment whose charge it is, and returns what a
// refund of it needs to know; event.ErrUnknownCharge when no payment was captured
// with it. Refunds of one payment take turns here.
func (s *Service) OfCharge(ctx context.Context, tx postgres.Tx, charge string) (event.Refund, error) {
	var row struct {
		ID       uuid.UUID `db:"id"`
		Merchant uuid.UUID `db:"merchant_id"`
		Order    uuid.UUID `db:"order_id"`
		Currency string    `db:"currency"`
	}
	err := tx.Get(ctx, &row, ofChargeSQL, charge)
	if errors.Is(err, sql.ErrNoRows) {
		return event.Refund{}, event.ErrUnknownCharge
	}
	if err != nil {
		return event.Refund{}, err
	}
	r := event.Refund{
		MerchantID: row.Merchant, PaymentID: row.ID, OrderID: row.Order,
		Amount: money.Of(0, row.Currency), ProviderChargeID: charge,
	}
	return r, tx.Get(ctx, &r.Email, emailOfOrderSQL, r.OrderID)
}

// TakeRefund writes that r.Amount of a captured payment has gone back, without a
// reservation before; whole says that nothing captured is left. While another
// refund of the payment is under way it is event.ErrRefundUnderWay: that one has
// reserved its amount, and what is left is known when it has ended.
func (s *Service) TakeRefund(ctx context.Context, tx postgres.Tx, r event.Refund) (whole bool, err error) {
	var p struct {
		Left     int64  `db:"left_minor"`
		Reserved int64  `db:"refund_reserved_minor"`
		Currency string `db:"currency"`
	}
	if err := tx.Get(ctx, &p, leftForUpdateSQL, r.PaymentID); err != nil {
		return false, err
	}
	switch {
	case p.Reserved > 0:
		return false, event.ErrRefundUnderWay
	case r.Amount.AmountMinor > p.Left, r.Amount.Currency != p.Currency:
		return false, event.ErrExceedsCaptured
	}
	if _, err := tx.Exec(ctx, noteExternalSQL, r.RefundID, r.MerchantID, r.PaymentID, r.Amount.AmountMinor); err != nil {
		return false, err
	}
	n, err := tx.Exec(ctx, refundedSQL, r.PaymentID, r.Amount.AmountMinor, 0)
	if err == nil && n != 1 {
		err = fmt.Errorf("payment %s cannot be refunded in its state", PaymentRef(r.PaymentID))
	}
	return p.Left == r.Amount.AmountMinor, err
}
