package refund

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
)

// ReasonExternal is the reason of a refund that was made at the provider.
const ReasonExternal = "made_at_provider"

const (
	bookedSQL = `SELECT count(*) FROM refunds WHERE provider_refund_id = $1`

	insertExternalSQL = `
INSERT INTO refunds (id, merchant_id, payment_id, order_id, status, amount_minor, currency, reason, provider_refund_id, finished_at)
VALUES ($1, $2, $3, $4, 'succeeded', $5, $6, $7, $8, clock_timestamp())
RETURNING finished_at`
)

// external is money that went back at the provider without a refund of ours. Of a
// charge of ours it is booked as what it is, once by the provider's id: a refund
// that has succeeded, with the payment, and refund.recorded for the ledger, the
// tickets and the mail. What cannot be booked is an alert, which the booking ends.
func (n Notices) external(ctx context.Context, tx postgres.Tx, e event.ProviderRefund) error {
	r, err := n.Payments.OfCharge(ctx, tx, e.ChargeID)
	if errors.Is(err, event.ErrUnknownCharge) {
		return n.ofNoPayment(ctx, tx, e)
	}
	if err != nil {
		return err
	}
	var booked int
	if err := tx.Get(ctx, &booked, bookedSQL, e.RefundID); err != nil || booked > 0 {
		return err
	}
	r.RefundID, r.Amount = uuid.Must(uuid.NewV7()), e.Amount
	whole, err := n.Payments.TakeRefund(ctx, tx, r)
	if errors.Is(err, event.ErrRefundUnderWay) || errors.Is(err, event.ErrExceedsCaptured) {
		return n.raise(ctx, tx, AlertUnknown, r.MerchantID, e.RefundID, err.Error(), e)
	}
	if err != nil {
		return err
	}
	if err := record(ctx, tx, r, whole, e); err != nil {
		return err
	}
	_, err = alert.Resolve(ctx, tx, e.RefundID, AlertUnknown)
	return err
}

// record writes the refund and tells of it.
func record(ctx context.Context, tx postgres.Tx, r event.Refund, whole bool, e event.ProviderRefund) error {
	var at time.Time
	if err := tx.Get(ctx, &at, insertExternalSQL, r.RefundID, r.MerchantID, r.PaymentID, r.OrderID,
		r.Amount.AmountMinor, r.Amount.Currency, ReasonExternal, e.RefundID); err != nil {
		return err
	}
	recorded, err := patterns.NewEvent(r.MerchantID, r.PaymentID, "refund", r.RefundID, event.TypeRefundRecorded, event.RefundRecorded{
		Schema: event.SchemaVersion, Refund: r, ProviderRefundID: e.RefundID, Whole: whole, RecordedAt: at.UTC(),
	})
	if err != nil {
		return err
	}
	recorded.AggregateVersion = 1
	return patterns.Append(ctx, tx, recorded)
}

// ofNoPayment is a refund of a charge that no payment was captured with. When a
// person was told of that charge, giving it back is what they were asked to do.
func (n Notices) ofNoPayment(ctx context.Context, tx postgres.Tx, e event.ProviderRefund) error {
	named, err := alert.Names(ctx, tx, e.ChargeID)
	if err != nil || named {
		return err
	}
	return n.raise(ctx, tx, AlertUnknown, uuid.Nil, e.RefundID, "", e)
}
