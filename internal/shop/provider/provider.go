// Package provider is the shop's port to its card provider: what the shop needs
// to ask, and the few classes into which every answer falls. Adapters are in
// the folders below; nothing here knows how a provider is reached.
//
// The classes matter more than the calls. After a call the money has moved,
// has not moved, or nobody here knows, and each needs another next step:
//
//	Charge, no error, succeeded   the money moved                    finalise
//	Charge, no error, declined    it did not, and never will         store the decline
//	ErrNotSent                    nothing left this process          release, ask the client to retry
//	ErrRefused                    the provider rejects the request   release, alert: our bug or theirs
//	ErrInDoubt                    anything may have happened         ask by key, never assume
//
// Every charge carries a deterministic key. Asking is by that key: asking by
// reference alone would let one attempt's answer speak for another.
//
// # What is believed of a provider
//
//   - A key charges once while the provider remembers it. It may forget: what may
//     have been sent is asked for in a list before it is sent again.
//   - A list that was read to its last page has everything, in any order, a row
//     perhaps twice, the newest perhaps a moment later.
//   - An answer is about what it names. It proves nothing of a charge or a refund
//     unless key, reference and amount are those that were asked for.
//   - A message is a hint. It comes before the answer or after it, often, or never.
//
// Each of these is held against providers that behave so, and against some that
// break them, by the mutants of the simulator (internal/lab/mutants).
package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"payonce/internal/shop/money"
)

// Status is what became of a charge.
type Status string

// The states of a charge at the provider.
const (
	Succeeded Status = "succeeded"
	Declined  Status = "declined"
	Cancelled Status = "cancelled" // a tombstone: this key will never charge
)

// Charge is what the provider's books say.
type Charge struct {
	ID             string
	Reference      string
	IdempotencyKey string
	Amount         money.Money
	Status         Status
	DeclineCode    string
	CreatedAt      time.Time
}

// Request asks for one charge.
type Request struct {
	Key       string // deterministic: the same intent always has the same key
	Reference string // our payment, for people and for reconciliation
	Amount    money.Money
	Token     string // the card; never logged
}

// Notice is what a provider told us by itself, in a message whose signature was
// verified.
type Notice struct {
	// Provider names who spoke, Kind what the provider calls it.
	Provider string
	Kind     string
	// Charge is set when it is about a charge that has its outcome, Refund when it
	// is about a refund; neither when the shop has no use for the notice.
	Charge *Charge
	Refund *Refund
}

// ErrNotice says that a provider's message cannot be read.
var ErrNotice = errors.New("provider: the message cannot be read")

// Errors into which every failed call falls; see the package comment.
var (
	ErrNotSent = errors.New("provider: nothing was sent")
	ErrRefused = errors.New("provider: the request was refused")
	ErrInDoubt = errors.New("provider: the outcome is unknown")
	// ErrIncomplete is an ErrInDoubt of a listing that began and could not be read
	// to its end. A part of a list proves what is in it, and nothing of the rest.
	ErrIncomplete = fmt.Errorf("%w: the listing could not be read to its end", ErrInDoubt)
)

// Charger charges cards and answers questions about charges.
type Charger interface {
	// Charge charges once per key. Calling it again with the same request is
	// safe at any time and gives the same outcome. A returned Charge is final;
	// every error is one of ErrNotSent, ErrRefused, ErrInDoubt.
	Charge(ctx context.Context, r Request) (Charge, error)
	// ChargeByKey returns what became of a key; found is false when the
	// provider has never heard of it. An error is always ErrInDoubt.
	ChargeByKey(ctx context.Context, key string) (c Charge, found bool, err error)
	// Cancel makes sure that a key will never charge. The answer is the charge
	// if it was too late for that, or a Cancelled tombstone.
	Cancel(ctx context.Context, key string) (Charge, error)
	// ChargesByReference lists every charge ever made for a payment, under
	// whatever key, however many pages they fill. It tells whether money is held,
	// never what became of an attempt. An error is always ErrInDoubt, and then no
	// charge is returned: a part of the list is not the list (ErrIncomplete).
	ChargesByReference(ctx context.Context, reference string) ([]Charge, error)
	// RefundsOfCharge lists every refund ever asked for of a charge, by us or by hand.
	// An error is always ErrInDoubt, and then no refund is returned.
	RefundsOfCharge(ctx context.Context, chargeID string) ([]Refund, error)
}

// Refund is what the provider's books say of money that was to go back.
type Refund struct {
	ID             string
	ChargeID       string
	Reference      string
	IdempotencyKey string
	Amount         money.Money
	Status         Status // Succeeded or Declined
	DeclineCode    string
	CreatedAt      time.Time
}

// RefundRequest asks for one refund.
type RefundRequest struct {
	Key       string // deterministic: the same intent always has the same key
	ChargeID  string
	Reference string // our refund
	Amount    money.Money
}

// Refunder gives money back and answers questions about it. Its errors fall into
// the same classes as a charge's; after ErrRefused the request was rejected,
// which says nothing about an earlier try under the same key.
type Refunder interface {
	// Refund refunds once per key. A returned Refund is final; every error is one
	// of ErrNotSent, ErrRefused, ErrInDoubt.
	Refund(ctx context.Context, r RefundRequest) (Refund, error)
	// RefundByKey returns what became of a key; found is false when the provider
	// has never heard of it. An error is always ErrInDoubt.
	RefundByKey(ctx context.Context, key string) (r Refund, found bool, err error)
}

// Statement lists what happened at the provider since a moment, ours or made by hand.
// An error is always ErrInDoubt, and then nothing is returned: a part of the list
// is not the list.
type Statement interface {
	ChargesSince(ctx context.Context, from time.Time) ([]Charge, error)
	RefundsSince(ctx context.Context, from time.Time) ([]Refund, error)
}

// RefundCanceller is an ability that a [Refunder] may have; nothing depends on it.
// CancelRefund makes sure that a key will never refund. The answer is the refund
// if it was too late for that, or a Cancelled tombstone.
type RefundCanceller interface {
	CancelRefund(ctx context.Context, key string) (Refund, error)
}

// Books is what an auditor may ask of the outside world.
type Books interface {
	// ChargesByReference lists every charge ever made for a payment, also
	// those that our own books do not know.
	ChargesByReference(ctx context.Context, reference string) ([]Charge, error)
	// EachCharge calls f for every charge ever made, oldest first.
	EachCharge(ctx context.Context, f func(Charge) error) error
	// RefundsOfCharge lists every refund ever asked for of a charge.
	RefundsOfCharge(ctx context.Context, chargeID string) ([]Refund, error)
	// EachRefund calls f for every refund ever asked for, oldest first.
	EachRefund(ctx context.Context, f func(Refund) error) error
	// Balance is the sum of succeeded charges less succeeded refunds, per
	// currency.
	Balance(ctx context.Context) (map[string]int64, error)
}
