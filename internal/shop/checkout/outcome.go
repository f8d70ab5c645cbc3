package checkout

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once/idempotency"
	"payonce/once/outbox"
)

// outcome is what the provider definitely said about an attempt.
type outcome struct {
	attemptStatus string // succeeded, declined or abandoned
	chargeID      string
	declineCode   string
	amount        money.Money // of a charge that succeeded
}

func outcomeOf(c provider.Charge) outcome {
	switch c.Status {
	case provider.Succeeded:
		return outcome{attemptStatus: attemptSucceeded, chargeID: c.ID, amount: c.Amount}
	case provider.Cancelled:
		return outcome{attemptStatus: attemptAbandoned, declineCode: "abandoned"}
	case provider.Declined:
		return outcome{attemptStatus: attemptDeclined, chargeID: c.ID, declineCode: c.DeclineCode}
	}
	panic("provider: a charge is succeeded, declined or cancelled, not " + string(c.Status))
}

// givenBack is the outcome of an attempt whose charge went back as a whole before
// it was known here: nothing is held, and nothing is asked for again.
func givenBack(c provider.Charge) outcome {
	return outcome{attemptStatus: attemptAbandoned, chargeID: c.ID, declineCode: "given_back"}
}

func (o outcome) captured() bool { return o.attemptStatus == attemptSucceeded }

// apply writes the outcome into the payment as it will be.
func (o outcome) apply(a attempt, at time.Time) Payment {
	if !o.captured() {
		p := a.payment(Declined)
		p.DeclineCode.String, p.DeclineCode.Valid = o.declineCode, true
		p.Version++
		return p
	}
	p := a.payment(Captured)
	p.ProviderChargeID.String, p.ProviderChargeID.Valid = o.chargeID, true
	p.CapturedAt.Time, p.CapturedAt.Valid = at, true
	p.Version++
	return p
}

// final is what tx2 makes durable.
type final struct {
	status string
	at     time.Time
	answer idempotency.Answer
	event  outbox.Event
}

// finalOf is what an outcome becomes for the client and for the consumers.
func (s *Service) finalOf(ctx context.Context, a attempt, o outcome) (final, error) {
	at := s.Now().UTC().Truncate(time.Millisecond)
	p := o.apply(a, at)
	event, err := o.event(a, at)
	return final{status: p.Status, at: at, answer: s.answer(ctx, p), event: event}, err
}

// answer renders what a client gets for a payment in a final state.
func (s *Service) answer(ctx context.Context, p Payment) idempotency.Answer {
	if p.Status == Declined {
		return s.Render.ErrorAnswer(ctx, &DeclinedError{Payment: p})
	}
	return s.Render.PaymentAnswer(p, 200)
}

func (o outcome) event(a attempt, at time.Time) (outbox.Event, error) {
	if !o.captured() {
		return patterns.NewEvent(a.MerchantID, a.PaymentID, "payment", a.PaymentID, event.TypePaymentDeclined, event.PaymentDeclined{
			Schema: event.SchemaVersion, MerchantID: a.MerchantID, OrderID: a.OrderID, PaymentID: a.PaymentID, AttemptNo: a.No,
			Amount: a.payment("").Amount(), DeclineCode: o.declineCode, Email: a.Email, DeclinedAt: at,
		})
	}
	var lines []event.Line
	if err := json.Unmarshal(a.Items, &lines); err != nil {
		return outbox.Event{}, fmt.Errorf("stored items of order %s: %w", a.OrderID, err)
	}
	return patterns.NewEvent(a.MerchantID, a.PaymentID, "payment", a.PaymentID, event.TypePaymentCaptured, event.PaymentCaptured{
		Schema: event.SchemaVersion, MerchantID: a.MerchantID, OrderID: a.OrderID, PaymentID: a.PaymentID, AttemptNo: a.No,
		Amount: a.payment("").Amount(), ProviderChargeID: o.chargeID, Email: a.Email, Lines: lines, CapturedAt: at,
	})
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// storedAnswer is the outcome that an attempt has.
func (s *Service) storedAnswer(ctx context.Context, a attempt) (idempotency.Answer, error) {
	opener, err := s.opener(ctx, a)
	if err != nil {
		return idempotency.Answer{}, err
	}
	return s.answerOf(ctx, a, opener)
}

// opener reads the key that opened an attempt; nil when it is past its lifetime,
// or when a person's decision opened the attempt.
func (s *Service) opener(ctx context.Context, a attempt) (*idempotency.Row, error) {
	row, found, err := s.Keys.Lookup(ctx, a.MerchantID.String(), a.OpenedBy)
	if err != nil {
		return nil, notExecuted(err)
	}
	if !found || row.Subject != a.PaymentID.String() || row.SubjectNo != a.No {
		return nil, nil
	}
	return &row, nil
}

// answerOf is what is stored under the key that opened an attempt. Without it the
// answer is rendered from the attempt: the payment may have moved on since.
func (s *Service) answerOf(ctx context.Context, a attempt, opener *idempotency.Row) (idempotency.Answer, error) {
	if opener != nil && opener.Completed() {
		return opener.Answer()
	}
	return s.answer(ctx, a.outcomePayment()), nil
}

// outcomePayment is the payment as the attempt left it.
func (a attempt) outcomePayment() Payment {
	if a.Status == attemptSucceeded {
		p := a.payment(Captured)
		p.ProviderChargeID, p.CapturedAt = a.ChargeID, a.CapturedAt
		return p
	}
	p := a.payment(Declined)
	p.DeclineCode = a.DeclineCode
	return p
}

var contradictSQL = `
UPDATE payment_attempts SET contradicted_at = clock_timestamp()
 WHERE payment_id = $1 AND attempt_no = $2 AND contradicted_at IS NULL`

// contradiction keeps the stored outcome and raises an alert with both facts.
func (s *Service) contradiction(ctx context.Context, a attempt, o outcome) error {
	s.Log.Error("the provider contradicts a stored outcome", "payment", PaymentRef(a.PaymentID), "attempt", a.No, "stored", a.Status, "provider", o.attemptStatus)
	return postgres.InTx(ctx, s.DB, func(tx postgres.Tx) error { return contradict(ctx, tx, a, o) })
}

func contradict(ctx context.Context, tx postgres.Tx, a attempt, o outcome) error {
	if _, err := tx.Exec(ctx, contradictSQL, a.PaymentID, a.No); err != nil {
		return err
	}
	return provider.AlertContradiction.Raise(ctx, tx, a.MerchantID, PaymentRef(a.PaymentID), contradictionFacts{
		Attempt: a.No, Stored: a.Status, StoredCharge: a.ChargeID.String,
		ProviderSays: o.attemptStatus, ProviderCharge: o.chargeID, Money: o.moneyFor(a),
	})
}
