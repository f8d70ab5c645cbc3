package refund

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// Notices applies what the provider tells by itself about refunds. A message is
// a hint, and the saga asks for itself: about a refund under way nothing is to be
// done. About one that is over it agrees, or it contradicts: then both facts go
// to a person and nothing moves. Money that went back without a refund of ours, or
// after ours had failed, is an external refund and is booked.
type Notices struct {
	Payments Payments
	Log      *slog.Logger
}

// Handle implements patterns.Handler. It makes no call.
func (n Notices) Handle(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	for _, m := range batch {
		e, err := event.Decode[event.ProviderRefund](m.Payload)
		if err == nil && (e.RefundID == "" || e.Amount.Valid() != nil) {
			err = errors.New("a provider's refund without id or amount")
		}
		if err != nil {
			return retry.Permanent(err)
		}
		if err := n.Hear(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

const byKeySQL = `SELECT ` + columns + ` FROM refunds WHERE id = $1`

// Hear compares what the provider says of a refund with what is stored, however
// that came: by a message, or by the reconciliation.
func (n Notices) Hear(ctx context.Context, tx postgres.Tx, e event.ProviderRefund) error {
	moved := e.Status == string(provider.Succeeded)
	var r Refund
	err := tx.Get(ctx, &r, byKeySQL, keyed(e.ProviderKey))
	switch {
	case errors.Is(err, sql.ErrNoRows) && !moved:
		return nil // Nothing of ours, and no money either.
	case errors.Is(err, sql.ErrNoRows):
		return n.external(ctx, tx, e)
	case err != nil:
		return err
	case r.Status == Failed && moved:
		return n.afterAll(ctx, tx, r, e)
	case moved && money.Of(r.AmountMinor, r.Currency) != e.Amount, r.Status == Succeeded && !moved:
		return n.raise(ctx, tx, provider.AlertContradiction, r.MerchantID, event.RefundName(r.ID), r.Status, e)
	}
	return nil
}

// afterAll is money that went back although our refund had failed and everything
// else was taken back: it is booked as a refund of its own, and the contradiction is
// over. Where it cannot be booked yet, that is an alert of its own.
func (n Notices) afterAll(ctx context.Context, tx postgres.Tx, r Refund, e event.ProviderRefund) error {
	_, err := n.Payments.OfCharge(ctx, tx, e.ChargeID)
	if errors.Is(err, event.ErrUnknownCharge) {
		return n.raise(ctx, tx, provider.AlertContradiction, r.MerchantID, event.RefundName(r.ID), r.Status, e)
	}
	if err != nil {
		return err
	}
	if err := n.external(ctx, tx, e); err != nil {
		return err
	}
	_, err = alert.Resolve(ctx, tx, event.RefundName(r.ID), provider.AlertContradiction)
	return err
}

// keyed is the refund that one of our keys names; the zero id for another key.
func keyed(key string) uuid.UUID {
	name, ours := strings.CutPrefix(key, "refund:")
	id, _ := event.RefundOf(name)
	if !ours {
		return uuid.Nil
	}
	return id
}

func (n Notices) raise(ctx context.Context, tx postgres.Tx, kind alert.Kind, merchant uuid.UUID, subject, stored string, e event.ProviderRefund) error {
	if n.Log != nil {
		n.Log.Error("the provider's word about a refund is not ours", "kind", kind.Name, "subject", subject, "message", e.MessageID)
	}
	return kind.Raise(ctx, tx, merchant, subject, map[string]any{
		"stored": stored, "provider_says": e.Status, "provider_refund": e.RefundID, "provider_charge": e.ChargeID,
		"reference": e.Reference, "provider_key": e.ProviderKey,
		"object": e.RefundID, "amount_minor": e.Amount.AmountMinor, "currency": e.Amount.Currency,
	})
}
