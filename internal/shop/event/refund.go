package event

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"payonce/internal/shop/money"
)

// Types of events about refunds.
const (
	TypeRefundRequested = "refund.requested"
	TypeRefundCompleted = "refund.completed"
	TypeRefundFailed    = "refund.failed"

	TypeRefundReservationClosed = "refund.reservation_closed"
	TypeRefundRecorded          = "refund.recorded"
)

// Commands of the refund saga. Each is answered by its own type and ".done" or
// ".failed".
const (
	CommandHoldRefund       = "ledger.hold_refund"
	CommandReleaseRefund    = "ledger.release_refund" // undoes the hold
	CommandVoidTickets      = "tickets.void"
	CommandReinstateTickets = "tickets.reinstate" // undoes the void
	CommandRefund           = "provider.refund"   // the pivot: nothing undoes it
	CommandSettleRefund     = "ledger.settle_refund"
)

// replies lists what a command can be answered with.
func replies(commands ...string) []string {
	var all []string
	for _, c := range commands {
		all = append(all, c+".done", c+".failed")
	}
	return all
}

// Refund is what every command of the saga and every event about a refund
// carries, so that nobody has to read the refund or its payment.
type Refund struct {
	RefundID         uuid.UUID   `json:"refund_id"`
	MerchantID       uuid.UUID   `json:"merchant_id"`
	PaymentID        uuid.UUID   `json:"payment_id"`
	OrderID          uuid.UUID   `json:"order_id"`
	Amount           money.Money `json:"amount"`
	ProviderChargeID string      `json:"provider_charge_id"`
	Email            Address     `json:"email"`
}

// RefundRequested says that money is to go back and is reserved for that.
type RefundRequested struct {
	Schema int `json:"schema"`
	Refund
	Reason      string    `json:"reason"`
	RequestedAt time.Time `json:"requested_at"`
}

// RefundCompleted says that the money went back.
type RefundCompleted struct {
	Schema int `json:"schema"`
	Refund
	CompletedAt time.Time `json:"completed_at"`
}

// RefundFailed says that it did not, and that everything else was taken back.
type RefundFailed struct {
	Schema int `json:"schema"`
	Refund
	FailureCode string    `json:"failure_code"`
	FailedAt    time.Time `json:"failed_at"`
}

// RefundReservationClosed says that the payment has taken over a refund's
// outcome, while other refunds of it are still open: one of them may wait for
// what is left.
type RefundReservationClosed struct {
	Schema     int       `json:"schema"`
	RefundID   uuid.UUID `json:"refund_id"`
	MerchantID uuid.UUID `json:"merchant_id"`
	PaymentID  uuid.UUID `json:"payment_id"`
	State      string    `json:"state"` // "refunded" or "released"
	ClosedAt   time.Time `json:"closed_at"`
}

// RefundRecorded says that money went back at the provider without a request
// here, and is booked as a refund.
type RefundRecorded struct {
	Schema int `json:"schema"`
	Refund
	ProviderRefundID string `json:"provider_refund_id"`
	// Whole says that nothing captured is left.
	Whole      bool      `json:"whole"`
	RecordedAt time.Time `json:"recorded_at"`
}

// What whoever owns a payment can say when a refund is to be booked without a
// reservation.
var (
	ErrUnknownCharge  = errors.New("no payment was captured with that charge")
	ErrRefundUnderWay = errors.New("another refund of the payment is under way")
)

// What whoever owns a payment can say when a refund is to be reserved. Both are
// outcomes: asked again with the same key, the same is said.
var (
	ErrNotCaptured     = errors.New("the payment is not captured, there is nothing to refund")
	ErrExceedsCaptured = errors.New("the refund exceeds what is left of the payment")
)
