package tickets

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// AlertUsed is about an order, which is its subject.
var AlertUsed = alert.Kind{
	Name:     "ticket_used",
	Means:    "the money of an order went back at the provider, and tickets of it were used before",
	Remedy:   "find out who gave the money back; what was seen cannot be taken back",
	ByPerson: true,
}

// afterExternal voids what is left of an order whose money went back at the
// provider. Nothing can refuse it any more: a ticket that was used is an alert for a
// person.
func afterExternal(ctx context.Context, tx postgres.Tx, m inbox.Message) error {
	e, err := event.Decode[event.RefundRecorded](m.Payload)
	if err == nil && (e.OrderID == uuid.Nil || e.RefundID == uuid.Nil) {
		err = errors.New("no order or no refund")
	}
	if err != nil {
		return retry.Permanent(fmt.Errorf("%w: %w", ErrUnknownEvent, err))
	}
	if !e.Whole {
		return nil
	}
	var states []Status
	if err := tx.Select(ctx, &states, lockOrderSQL, e.OrderID); err != nil {
		return err
	}
	if len(states) == 0 {
		return retry.Transient(errNotIssued)
	}
	if _, err := tx.Exec(ctx, voidSQL, e.OrderID, e.RefundID); err != nil {
		return err
	}
	used := 0
	for _, s := range states {
		if s == Used {
			used++
		}
	}
	if used == 0 {
		return nil
	}
	return AlertUsed.Raise(ctx, tx, e.MerchantID, event.OrderName(e.OrderID), map[string]any{
		"payment_id": event.PaymentName(e.PaymentID), "refund_id": event.RefundName(e.RefundID), "used": used,
		"object": e.ProviderRefundID, "amount_minor": e.Amount.AmountMinor, "currency": e.Amount.Currency,
	})
}
