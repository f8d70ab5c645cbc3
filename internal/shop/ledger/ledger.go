package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// Name is the consumer's name: of its queue and of its rows in the inbox.
const Name = event.ConsumerLedger

// Types are the events the ledger reads.
var Types = event.TypesOf(Name)

// Accounts of each merchant's book, one per currency.
const (
	ProviderClearing = "provider_clearing" // what the provider holds for us
	Revenue          = "revenue"           // what we earned
	RefundsHeld      = "refunds_held"      // what we are about to give back
)

// Kinds of transactions.
const (
	KindCapture = "capture"        // a captured payment
	KindHold    = "refund_hold"    // money that may go back
	KindRelease = "refund_release" // it did not
	KindSettle  = "refund_settle"  // it did
	// KindExternal is money that went back at the provider without a request here.
	KindExternal = "refund_external"
)

// Errors that no retry cures.
var (
	// ErrUnknownEvent says that the event is none the ledger can read.
	ErrUnknownEvent = errors.New("ledger: unknown event")
	// ErrContradiction says that the business cause is booked already, with
	// other amounts. The book stays as it is; a person has to look.
	ErrContradiction = errors.New("ledger: booked before with other amounts")
)

// Consumer posts what events say. It has no state; the zero value works.
type Consumer struct{}

// Handle posts one transaction for each captured payment, all in two round
// trips, and answers the refund saga's commands. After nil every payment's
// transaction is in tx, posted now or found posted with the same amounts, and
// every command is answered. After an error tx must not commit.
func (Consumer) Handle(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	postings := make([]posting, 0, len(batch))
	var commands, external []inbox.Message
	for _, m := range batch {
		switch {
		case Refunds.Actions[m.Type] != nil:
			commands = append(commands, m)
			continue
		case m.Type == event.TypeRefundRecorded:
			external = append(external, m)
			continue
		}
		p, err := read(m)
		if err != nil {
			return retry.Permanent(err)
		}
		postings = append(postings, p)
	}
	if len(postings) > 0 {
		if err := post(ctx, tx, postings); err != nil {
			return err
		}
	}
	for _, m := range external {
		if err := postExternal(ctx, tx, m); err != nil {
			return err
		}
	}
	if len(commands) == 0 {
		return nil
	}
	return Refunds.Handle(ctx, tx, commands)
}

func read(m inbox.Message) (posting, error) {
	switch m.Type {
	case event.TypePaymentCaptured:
		return capture(m)
	}
	return posting{}, fmt.Errorf("%w: type %q", ErrUnknownEvent, m.Type)
}

// capture is the whole bookkeeping of a captured payment.
func capture(m inbox.Message) (posting, error) {
	e, err := event.Decode[event.PaymentCaptured](m.Payload)
	if err != nil {
		return posting{}, fmt.Errorf("%w: %w", ErrUnknownEvent, err)
	}
	if e.MerchantID == uuid.Nil || e.PaymentID == uuid.Nil {
		return posting{}, fmt.Errorf("%w: no merchant or no payment", ErrUnknownEvent)
	}
	if err := e.Amount.Valid(); err != nil {
		return posting{}, fmt.Errorf("%w: %w", ErrUnknownEvent, err)
	}
	return posting{
		businessKey: CaptureKey(e.PaymentID),
		kind:        KindCapture,
		merchant:    e.MerchantID,
		payment:     e.PaymentID,
		event:       patterns.ID(m.EventID),
		currency:    e.Amount.Currency,
		legs: []leg{
			{ProviderClearing, e.Amount.AmountMinor},
			{Revenue, -e.Amount.AmountMinor},
		},
	}, nil
}

// CaptureKey is the business key of a payment's capture: one for ever.
func CaptureKey(payment uuid.UUID) string { return "capture:" + event.PaymentName(payment) }
