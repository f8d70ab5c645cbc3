package checkout

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once"
	"payonce/once/idempotency"
	"payonce/once/outbox"
)

// current finds the attempt that may be finished: this number, this fence,
// still open, and its payment waiting for exactly it. Everything that a
// finishing statement does comes from this one row, so it does all or nothing;
// a holder that lost its lease has an old fence, finds no row, and does nothing.
const current = `
cur AS (
  SELECT a.payment_id AS subject_id, a.attempt_no AS subject_no, p.order_id, p.version
    FROM payment_attempts a
    JOIN payments p ON p.id = a.payment_id AND p.attempt_no = a.attempt_no
   WHERE a.payment_id = @payment::uuid AND a.attempt_no = @attempt::integer AND a.fence = @fence::bigint
     AND a.status IN ('sending', 'in_doubt') AND p.status IN ('capturing', 'in_doubt')
     FOR UPDATE
)`

// held are the parameters of current.
func (a attempt) held() once.Args {
	return once.Args{"payment": a.PaymentID, "attempt": a.No, "fence": a.Fence}
}

// finaliseSQL is tx2 in one round trip: attempt, payment, order, event and the
// key's exact answer. A second run by the driver finds the attempt finished,
// changes nothing and returns 0; the caller reads what is stored.
var finaliseSQL = postgres.Guarded("capture.finalise", `
WITH `+current+`, a AS (
  UPDATE payment_attempts a
     SET status = @attempt_status::text, provider_charge_id = @charge::text, decline_code = @decline_code::text,
         card_token = NULL, lease_until = NULL, next_ask_at = NULL, finished_at = clock_timestamp()
    FROM cur WHERE a.payment_id = cur.subject_id AND a.attempt_no = cur.subject_no
), p AS (
  UPDATE payments p
     SET status = @status::text, decline_code = @decline_code::text, version = p.version + 1,
         provider_charge_id = CASE WHEN @status::text = 'captured' THEN @charge::text END,
         captured_at = CASE WHEN @status::text = 'captured' THEN @at::timestamptz END
    FROM cur WHERE p.id = cur.subject_id
), o AS (
  UPDATE orders o SET status = 'paid'
    FROM cur WHERE o.id = cur.order_id AND o.status = 'awaiting_payment' AND @status::text = 'captured'
), al AS (
  -- An alert about this doubt is answered by the outcome.
  `+alert.ResolveFrom("cur", "'pay_' || replace(cur.subject_id::text, '-', '')", AlertInDoubt, AlertAmount, AlertRefused)+`
     AND (l.kind = 'provider_refused' OR l.facts->>'attempt_no' = cur.subject_no::text)
), k AS (`+KeyTable.CompleteFrom("cur")+`
), e AS (`+patterns.Outbox.Fold("cur", "cur.version + 1")+`)
SELECT count(*) FROM cur`)

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

// final is what a finalise makes durable beside the rows.
type final struct {
	status string
	answer idempotency.Answer
	event  outbox.Event
}

// finalValues are the parameters of finaliseSQL.
func (s *Service) finalValues(ctx context.Context, a attempt, o outcome) ([]any, final, error) {
	at := s.Now().UTC().Truncate(time.Millisecond)
	p := o.apply(a, at)
	f := final{status: p.Status, answer: s.answer(ctx, p)}
	var err error
	if f.event, err = o.event(a, at); err != nil {
		return nil, f, err
	}
	return finaliseSQL.Values(a.held().With(s.Keys.CompleteArgs(f.answer, PaymentRef(p.ID))).With(patterns.EventArgs(ctx, f.event)).With(once.Args{
		"attempt_status": o.attemptStatus, "charge": nullable(o.chargeID), "decline_code": nullable(o.declineCode), "status": p.Status, "at": at,
	})), f, nil
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
