package checkout

import (
	"errors"
	"fmt"
	"time"
)

// Errors that are outcomes of an operation: they are stored and replayed.
var (
	ErrAmountMismatch  = errors.New("the amount or currency is not the payment's")
	ErrAlreadyCaptured = errors.New("the payment was captured and refunded, partly or wholly")
	ErrUnknownSKU      = errors.New("nothing with that SKU is on sale")
)

// Errors that are not: nothing was stored, and asking again may end otherwise.
var (
	ErrNotFound    = errors.New("no such resource")
	ErrNeedsReview = errors.New("the provider contradicts the stored outcome of this payment; a person has to decide first")
	// ErrNotListed is an ErrNeedsReview: whether the provider holds money for the
	// payment could not be found out.
	ErrNotListed = fmt.Errorf("%w: its list of charges cannot be read to its end", ErrNeedsReview)
)

// DeclinedError is the outcome of an attempt that the provider refused.
type DeclinedError struct{ Payment Payment }

// Error implements error.
func (e *DeclinedError) Error() string {
	return "the card was declined: " + e.Payment.DeclineCode.String
}

// UnavailableError says that something the shop needs is away. The same request
// with the same key is safe to send again.
type UnavailableError struct {
	// Executed is "no" when certainly nothing happened, "unknown" otherwise.
	Executed   string
	RetryAfter time.Duration
	Cause      error
}

// Error implements error.
func (e *UnavailableError) Error() string { return "unavailable: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Cause }

func notExecuted(err error) error {
	return &UnavailableError{Executed: "no", RetryAfter: time.Second, Cause: err}
}
func maybeExecuted(err error) error {
	return &UnavailableError{Executed: "unknown", RetryAfter: time.Second, Cause: err}
}
