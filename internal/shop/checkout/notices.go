package checkout

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// NoticesName is the name of the consumer that reads what the provider told us.
const NoticesName = event.ConsumerProvider

// NoticesTypes are the events it reads.
var NoticesTypes = event.TypesOf(NoticesName)

// Notices converges payments with what the provider told us, whatever arrives
// first: the message, the provider's answer, or the question of a retry.
//
// A message is a hint. About an attempt that is still open it only makes the
// question due now, and [Service.Recover] asks the provider itself, so that one
// function decides what becomes of an attempt. About an attempt that is over it
// agrees, and is done with, or it contradicts: then both facts go to a person
// and nothing moves. It always speaks of the one attempt that its key names.
type Notices struct{ Service *Service }

// Handle implements patterns.Handler. It makes no call.
func (n Notices) Handle(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	charges := make([]event.ProviderCharge, 0, len(batch))
	for _, m := range batch {
		e, err := event.Decode[event.ProviderCharge](m.Payload)
		if err != nil {
			return retry.Permanent(err)
		}
		if e.ChargeID == "" || e.Reference == "" {
			return retry.Permanent(errors.New("a provider's charge without id or reference"))
		}
		charges = append(charges, e)
	}
	// Two workers lock payments, and the attempts of each, in one order.
	slices.SortStableFunc(charges, func(a, b event.ProviderCharge) int {
		return cmp.Or(cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.ProviderKey, b.ProviderKey))
	})
	for _, e := range charges {
		if err := n.Hear(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

// The attempt's row is locked: it is over when this is committed, or it will see
// that it is asked about now.
const namedSQL = `
SELECT payment_id, attempt_no, merchant_id, amount_minor, currency, status, provider_charge_id, decline_code
  FROM payment_attempts WHERE payment_id = $1 AND attempt_no = $2 FOR UPDATE`

// named locks the attempt that charges under a provider key; sql.ErrNoRows when no attempt
// of ours does.
func named(ctx context.Context, tx postgres.Tx, providerKey string) (a attempt, err error) {
	payment, no, ours := attemptNamed(providerKey)
	if !ours {
		return a, sql.ErrNoRows
	}
	return a, tx.Get(ctx, &a, namedSQL, payment, no)
}

const askNowSQL = `
UPDATE payment_attempts SET next_ask_at = clock_timestamp()
 WHERE payment_id = $1 AND attempt_no = $2 AND status IN ('sending', 'in_doubt') AND next_ask_at > clock_timestamp()`

// Hear compares what the provider says of a charge with what is stored, however
// that came: by a message, or by the reconciliation.
func (n Notices) Hear(ctx context.Context, tx postgres.Tx, e event.ProviderCharge) error {
	c := provider.Charge{
		ID: e.ChargeID, Reference: e.Reference, IdempotencyKey: e.ProviderKey, Amount: e.Amount,
		Status: provider.Status(e.Status), DeclineCode: e.DeclineCode,
	}
	if c.Status != provider.Succeeded && c.Status != provider.Declined {
		return retry.Permanent(fmt.Errorf("a provider's charge is %q", e.Status))
	}
	a, err := named(ctx, tx, e.ProviderKey)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		// An attempt is durable before its charge is sent, so no attempt of ours
		// made this charge.
		return n.unasked(ctx, tx, c)
	case err != nil:
		return err
	case a.unfinished():
		_, err := tx.Exec(ctx, askNowSQL, a.PaymentID, a.No)
		return err
	case c.Amount.AmountMinor != a.AmountMinor || c.Amount.Currency != a.Currency:
		return otherAmount(ctx, tx, a, c)
	case agrees(a, c):
		return nil
	}
	n.Service.Log.Error("a webhook contradicts a stored outcome", "payment", PaymentRef(a.PaymentID), "attempt", a.No, "stored", a.Status, "provider", e.Status)
	return contradict(ctx, tx, a, outcomeOf(c))
}

// agrees says whether a message repeats what is stored. No money moved in either
// of a decline and an attempt that was given up, not sent or refused. An attempt
// that was given up with its charge is one whose charge went back.
func agrees(a attempt, c provider.Charge) bool {
	if c.Status == provider.Declined {
		return a.Status != attemptSucceeded
	}
	return (a.Status == attemptSucceeded || a.Status == attemptAbandoned) && a.ChargeID.String == c.ID
}
