package checkout

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
)

// The payment's row is locked: a claim sees the mark, or this sees its attempt.
const markUnaskedSQL = `
UPDATE payments SET unknown_charge_at = coalesce(unknown_charge_at, clock_timestamp())
 WHERE id = $1 AND status NOT IN ('captured', 'partially_refunded', 'refunded')`

const paymentForUpdateSQL = anyPaymentSQL + ` FOR UPDATE`

const adoptedSQL = `SELECT count(*) FROM payment_attempts WHERE payment_id = $1 AND provider_charge_id = $2`

// unasked is a charge that no attempt of ours made. One that names no payment of
// ours is the operator's to find out about: it is known by its id alone. One that
// names a payment of ours is that merchant's: it contradicts the payment, the
// next attempt asks first, and a person decides whether it is booked.
func (n Notices) unasked(ctx context.Context, tx postgres.Tx, c provider.Charge) error {
	id, ok := event.PaymentOf(c.Reference)
	if !ok {
		return n.ofNobody(ctx, tx, c)
	}
	var p Payment
	err := tx.Get(ctx, &p, paymentForUpdateSQL, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return n.ofNobody(ctx, tx, c)
	case err != nil:
		return err
	case c.Status != provider.Succeeded:
		return nil // no money moved
	}
	var adopted int
	if err := tx.Get(ctx, &adopted, adoptedSQL, p.ID, c.ID); err != nil || adopted > 0 {
		return err // a person took it for the payment's
	}
	if _, err := tx.Exec(ctx, markUnaskedSQL, p.ID); err != nil {
		return err
	}
	n.Service.Log.Error("the provider speaks of a charge for a payment that no attempt asked for", "charge", c.ID, "payment", PaymentRef(p.ID))
	return provider.AlertContradiction.Raise(ctx, tx, p.MerchantID, PaymentRef(p.ID), contradictionFacts{
		Attempt: p.AttemptNo, Stored: p.Status, StoredCharge: p.ProviderChargeID.String,
		ProviderSays: string(c.Status), ProviderCharge: c.ID, Money: moneyOf(c.ID, c.Amount),
	})
}

func (n Notices) ofNobody(ctx context.Context, tx postgres.Tx, c provider.Charge) error {
	n.Service.Log.Error("the provider speaks of a charge that names no payment", "charge", c.ID, "reference", c.Reference)
	return AlertUnknownCharge.Raise(ctx, tx, uuid.Nil, c.ID, map[string]any{
		"reference": c.Reference, "provider_key": c.IdempotencyKey, "status": c.Status,
		"object": c.ID, "amount_minor": c.Amount.AmountMinor, "currency": c.Amount.Currency,
	})
}
