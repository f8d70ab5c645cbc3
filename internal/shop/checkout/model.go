package checkout

import (
	"context"
	"database/sql"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/once/idempotency"
)

// States of a payment.
const (
	RequiresCapture = "requires_capture"
	Capturing       = "capturing"
	InDoubt         = "in_doubt"
	Captured        = "captured"
	Declined        = "declined"
)

// States of an attempt.
const (
	attemptSending   = "sending"
	attemptInDoubt   = "in_doubt"
	attemptSucceeded = "succeeded"
	attemptDeclined  = "declined"
	attemptAbandoned = "abandoned"
	attemptNotSent   = "not_sent"
	attemptRefused   = "refused"
)

// Payment is one payment as the shop knows it.
type Payment struct {
	ID               uuid.UUID      `db:"id"`
	MerchantID       uuid.UUID      `db:"merchant_id"`
	OrderID          uuid.UUID      `db:"order_id"`
	Status           string         `db:"status"`
	AmountMinor      int64          `db:"amount_minor"`
	Currency         string         `db:"currency"`
	RefundedMinor    int64          `db:"refunded_minor"`
	AttemptNo        int            `db:"attempt_no"`
	ProviderChargeID sql.NullString `db:"provider_charge_id"`
	DeclineCode      sql.NullString `db:"decline_code"`
	CapturedAt       sql.NullTime   `db:"captured_at"`
	Version          int64          `db:"version"`
	CreatedAt        time.Time      `db:"created_at"`
	// UnknownChargeAt is when the provider told of a charge for this payment that no
	// attempt asked for, until it is known to hold nothing of it.
	UnknownChargeAt sql.NullTime `db:"unknown_charge_at"`
}

// Amount is the payment's amount.
func (p Payment) Amount() money.Money { return money.Of(p.AmountMinor, p.Currency) }

// Order is one order with its payment.
type Order struct {
	ID          uuid.UUID
	MerchantID  uuid.UUID
	Status      string
	Email       event.Address
	AmountMinor int64
	Currency    string
	Lines       []event.Line
	CreatedAt   time.Time
	Payment     Payment
}

// PaymentRef is how a payment is named to the outside world: at the provider,
// in mails and in URLs.
func PaymentRef(id uuid.UUID) string { return "pay_" + hex.EncodeToString(id[:]) }

// attemptNamed reads the key under which an attempt charges at the provider, as openAttempt
// writes it: it is made of the attempt's primary key.
func attemptNamed(providerKey string) (payment uuid.UUID, no int, ok bool) {
	reference, number, _ := strings.Cut(strings.TrimPrefix(providerKey, "capture:"), ":")
	payment, named := event.PaymentOf(reference)
	no, err := strconv.Atoi(number)
	return payment, no, named && err == nil && no > 0 && no <= math.MaxInt32 && providerKey == "capture:"+PaymentRef(payment)+":"+strconv.Itoa(no)
}

// OrderRef is how an order is named to the outside world.
func OrderRef(id uuid.UUID) string { return "ord_" + hex.EncodeToString(id[:]) }

// Renderer makes the bytes of answers. The api and the worker are given the
// same one, so that recovery stores what the handler would have sent.
type Renderer interface {
	OrderAnswer(o Order) idempotency.Answer
	// PaymentAnswer renders a payment with 200 or 202.
	PaymentAnswer(p Payment, status int) idempotency.Answer
	// ErrorAnswer renders an error that is an outcome.
	ErrorAnswer(ctx context.Context, err error) idempotency.Answer
}

// Fate says what became of one delivery.
type Fate string

// Fates of a delivery.
const (
	Executed  Fate = "executed"  // it ran the operation
	Replayed  Fate = "replayed"  // it got the stored answer
	Waited    Fate = "waited"    // it waited for its twin and got the twin's answer
	Matched   Fate = "matched"   // it came with another key and met the same effect
	Rejected  Fate = "rejected"  // it was refused
	Recovered Fate = "recovered" // it finished what a dead or doubting twin had begun
)

// Result is the answer to one delivery.
type Result struct {
	Answer   idempotency.Answer
	Replayed bool
	Fate     Fate
	// PaymentID is what the delivery was about, when that is known.
	PaymentID uuid.UUID
	// RetryAfter is set while the outcome is in doubt.
	RetryAfter time.Duration
}
