package refund

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"

	"github.com/google/uuid"

	"payonce/internal/pattern/inbox"
	"payonce/internal/pattern/retry"
	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
)

// Notices applies what the provider tells by itself about refunds. A message is
// a hint, and the saga asks for itself: about a refund under way nothing is to be
// done. About one that is over it agrees, or it contradicts: then both facts go
// to a person and nothing moves. Money that went back without a refund of ours is
// told to a person too.
type Notices struct{ Log *slog.Logger }

// Handle implements inbox.Handler. It calls nobody.
func (n Notices) Handle(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	for _, m := range batch {
		e, err := event.Decode[event.ProviderRefund](m.Payload)
		if err == nil && (e.RefundID == "" || e.Amount.Valid() != nil) {
			err = errors.New("a provider's refund without id or amount")
		}
		if err != nil {
			return retry.Permanent(err)
		}
		if err := n.hear(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

const toldOfSQL = `SELECT ` + columns + ` FROM refunds WHERE id = $1`

func (n Notices) hear(ctx context.Context, tx postgres.Tx, e event.ProviderRefund) error {
	moved := e.Status == string(provider.Succeeded)
	var r Refund
	err := tx.Get(ctx, &r, toldOfSQL, keyed(e.ProviderKey))
	switch {
	case errors.Is(err, sql.ErrNoRows) && !moved:
		return nil // Nothing of ours, and no money either.
	case errors.Is(err, sql.ErrNoRows):
		return n.raise(ctx, tx, AlertUnknown, uuid.Nil, e.RefundID, "", e)
	case err != nil:
		return err
	case moved && money.Of(r.AmountMinor, r.Currency) != e.Amount,
		r.Status == Failed && moved, r.Status == Succeeded && !moved:
		return n.raise(ctx, tx, provider.AlertContradiction, r.MerchantID, event.RefundName(r.ID), r.Status, e)
	}
	return nil
}

// keyed is the refund that one of our keys names; the zero id for another key.
func keyed(key string) (id uuid.UUID) {
	digits, ours := strings.CutPrefix(key, "refund:ref_")
	if !ours || len(digits) != 32 {
		return uuid.Nil
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
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
