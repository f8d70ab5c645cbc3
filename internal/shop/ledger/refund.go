package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/inbox"
	"payonce/once/retry"
	"payonce/once/saga"
)

// Refunds is the ledger's part in the refund saga.
var Refunds = patterns.Participant(map[string]saga.Action{
	event.CommandHoldRefund:    patterns.Act(hold),
	event.CommandReleaseRefund: patterns.Act(release),
	event.CommandSettleRefund:  patterns.Act(settle),
})

// Refusals.
const (
	RefusedExceeds = "exceeds_captured" // the book holds less than is to go back
	RefusedNotHeld = "not_held"         // nothing is held, or not any more
)

// errNotBooked says that the capture has not arrived yet: it comes by itself.
var errNotBooked = errors.New("ledger: a refund needs the booked capture")

const (
	// The lock makes refunds of one payment take turns: sums without it race.
	lockCaptureSQL = `SELECT id FROM ledger_transactions WHERE business_key = $1 FOR UPDATE`

	// What a payment earned and no hold has taken away yet.
	leftSQL = `
SELECT coalesce(-sum(e.amount_minor), 0)::bigint
  FROM ledger_transactions t
  JOIN ledger_entries e ON e.transaction_id = t.id
  JOIN ledger_accounts a ON a.id = e.account_id
 WHERE t.payment_id = $1 AND a.code = 'revenue'`

	heldSQL = `
SELECT EXISTS (SELECT FROM ledger_transactions WHERE business_key = $1)
   AND NOT EXISTS (SELECT FROM ledger_transactions WHERE business_key = $2)`
)

// hold takes what may go back out of revenue, as far as the payment has it.
func hold(ctx context.Context, tx postgres.Tx, c saga.Command) error {
	r, err := refundOf(c)
	if err != nil {
		return err
	}
	if err := lockCapture(ctx, tx, r); err != nil {
		return err
	}
	var left int64
	if err := tx.Get(ctx, &left, leftSQL, r.PaymentID); err != nil {
		return err
	}
	if left < r.Amount.AmountMinor {
		return saga.Refuse(RefusedExceeds)
	}
	return post(ctx, tx, []posting{refunding(patterns.ID(c.EventID), r, KindHold, Revenue, RefundsHeld)})
}

// lockCapture makes refunds of one payment take turns, once its capture is booked.
func lockCapture(ctx context.Context, tx postgres.Tx, r event.Refund) error {
	var capture string
	err := tx.Get(ctx, &capture, lockCaptureSQL, CaptureKey(r.PaymentID))
	if errors.Is(err, sql.ErrNoRows) {
		return retry.Transient(errNotBooked)
	}
	return err
}

// postExternal books money that went back at the provider: it was held by nothing,
// so it leaves revenue and the provider's account at once.
func postExternal(ctx context.Context, tx postgres.Tx, m inbox.Message) error {
	e, err := event.Decode[event.RefundRecorded](m.Payload)
	if err == nil {
		err = e.Amount.Valid()
	}
	if err == nil && (e.MerchantID == uuid.Nil || e.PaymentID == uuid.Nil || e.RefundID == uuid.Nil) {
		err = errors.New("no merchant, payment or refund")
	}
	if err != nil {
		return retry.Permanent(fmt.Errorf("%w: %w", ErrUnknownEvent, err))
	}
	if err := lockCapture(ctx, tx, e.Refund); err != nil {
		return err
	}
	return post(ctx, tx, []posting{refunding(patterns.ID(m.EventID), e.Refund, KindExternal, Revenue, ProviderClearing)})
}

// release gives revenue back what was held. The saga sends it only for a hold
// that was done.
func release(ctx context.Context, tx postgres.Tx, c saga.Command) error {
	return afterHold(ctx, tx, c, KindSettle, KindRelease, Revenue)
}

// settle books that what was held has left: the provider owes us less.
func settle(ctx context.Context, tx postgres.Tx, c saga.Command) error {
	return afterHold(ctx, tx, c, KindRelease, KindSettle, ProviderClearing)
}

// afterHold ends a hold in one of two ways, never in both.
func afterHold(ctx context.Context, tx postgres.Tx, c saga.Command, unless, kind, to string) error {
	r, err := refundOf(c)
	if err != nil {
		return err
	}
	var held bool
	if err := tx.Get(ctx, &held, heldSQL, RefundKey(KindHold, r), RefundKey(unless, r)); err != nil {
		return err
	}
	if !held {
		return saga.Refuse(RefusedNotHeld)
	}
	return post(ctx, tx, []posting{refunding(patterns.ID(c.EventID), r, kind, RefundsHeld, to)})
}

// refunding moves a refund's amount from one account to another one.
func refunding(cause uuid.UUID, r event.Refund, kind, debit, credit string) posting {
	return posting{
		businessKey: RefundKey(kind, r), kind: kind, merchant: r.MerchantID, payment: r.PaymentID, event: cause,
		currency: r.Amount.Currency,
		legs:     []leg{{debit, r.Amount.AmountMinor}, {credit, -r.Amount.AmountMinor}},
	}
}

func refundOf(c saga.Command) (event.Refund, error) {
	r, err := saga.DataOf[event.Refund](c)
	if err == nil {
		err = r.Amount.Valid()
	}
	if err != nil {
		return r, retry.Permanent(fmt.Errorf("%w: %w", ErrUnknownEvent, err))
	}
	return r, nil
}

// RefundKey is the business key of a refund's transaction of a kind: one for
// ever.
func RefundKey(kind string, r event.Refund) string {
	return kind + ":" + event.RefundName(r.RefundID)
}
