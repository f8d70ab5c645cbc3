package checkout

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/provider"
)

// clear asks the provider, before another attempt may open, whether it holds
// money for this payment: a charge that is alive under any attempt forbids a new
// one. The question is by reference, because it is about all attempts; nothing
// that it answers becomes an attempt's outcome. After nil the delivery may open
// the attempt that follows p's.
func (s *Service) clear(ctx context.Context, d *delivery, p Payment) error {
	a, err := s.latest(ctx, p)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && d.cleared == p.AttemptNo && !a.Contradicted && !p.UnknownChargeAt.Valid:
		return nil // it moved while we looked
	case err != nil:
		return err
	case a.Contradicted:
		return ErrNeedsReview
	}
	live, err := s.live(ctx, p)
	switch {
	case errors.Is(err, provider.ErrIncomplete):
		if err := s.unlisted(ctx, a, err); err != nil {
			return notExecuted(err)
		}
		return ErrNotListed
	case err != nil:
		return notExecuted(fmt.Errorf("%w: %w", provider.ErrNotSent, err))
	case len(live) == 0:
		if err := s.foundNone(ctx, p); err != nil {
			return notExecuted(err)
		}
		d.cleared = p.AttemptNo
		return nil
	}
	// The next attempt may have opened while the provider was asked, and it is in
	// the list by then. An attempt is durable before its charge is sent.
	now, err := s.Payment(ctx, p.MerchantID, p.ID)
	if err != nil {
		return err
	}
	if now.AttemptNo != p.AttemptNo {
		return nil
	}
	if err := s.foundAlive(ctx, a, live[0].Charge); err != nil {
		return notExecuted(err)
	}
	return ErrNeedsReview
}

// live are the charges of which the provider holds something for a payment, under
// whatever key.
func (s *Service) live(ctx context.Context, p Payment) ([]provider.Holding, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ProviderDeadline)
	defer cancel()
	live, err := provider.Alive(ctx, s.Provider, PaymentRef(p.ID))
	s.heard(ctx, err)
	return live, err
}

// What was told while we asked stays: the question did not cover it.
const forgetChargeSQL = `UPDATE payments SET unknown_charge_at = NULL WHERE id = $1 AND unknown_charge_at = $2`

// foundNone ends the alert about it: the whole list was read, and the
// provider holds nothing for the payment.
func (s *Service) foundNone(ctx context.Context, p Payment) error {
	if !p.UnknownChargeAt.Valid {
		return alert.ResolveAlone(ctx, s.DB, PaymentRef(p.ID), AlertUnlisted)
	}
	return postgres.InTx(ctx, s.DB, func(tx postgres.Tx) error {
		n, err := tx.Exec(ctx, forgetChargeSQL, p.ID, p.UnknownChargeAt.Time)
		if err != nil || n == 0 {
			return err
		}
		_, err = alert.Resolve(ctx, tx, PaymentRef(p.ID), AlertUnlisted, provider.AlertContradiction)
		return err
	})
}

// unlisted tells a person, once, that the provider's charges of a payment could
// not be listed to their end: whether it holds money is unknown.
func (s *Service) unlisted(ctx context.Context, a attempt, why error) error {
	s.Log.Error("the provider's charges of a payment cannot be listed to their end", "payment", PaymentRef(a.PaymentID), "error", why)
	return AlertUnlisted.RaiseAlone(ctx, s.DB, a.MerchantID, PaymentRef(a.PaymentID), map[string]any{
		"attempt_no": a.No, "amount_minor": a.AmountMinor, "currency": a.Currency,
	})
}

// foundAlive lays a charge at the door of the attempt that it was made under, or
// of the latest when its key is none of ours.
func (s *Service) foundAlive(ctx context.Context, latest attempt, c provider.Charge) error {
	s.Log.Error("the provider holds a charge that no attempt knows of", "payment", PaymentRef(latest.PaymentID), "charge", c.ID)
	return postgres.InTx(ctx, s.DB, func(tx postgres.Tx) error {
		made, err := named(ctx, tx, c.IdempotencyKey)
		if errors.Is(err, sql.ErrNoRows) || made.PaymentID != latest.PaymentID {
			made, err = latest, nil
		}
		if err != nil {
			return err
		}
		return contradict(ctx, tx, made, outcomeOf(c))
	})
}
