// Package event holds the wire events that features of the shop send each
// other: the only thing siblings share besides money. A type name is
// noun.past_tense; a payload carries its schema version, an unknown major
// version is a permanent error for its reader and an unknown field is ignored.
package event

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/shop/money"
)

// Types of events.
const (
	TypeOrderPlaced     = "order.placed"
	TypePaymentCaptured = "payment.captured"
	TypePaymentDeclined = "payment.declined"
	TypeTicketsIssued   = "tickets.issued"

	// What the provider told us in a signed message.
	TypeProviderChargeSucceeded = "provider.charge_succeeded"
	TypeProviderChargeFailed    = "provider.charge_failed"
)

// SchemaVersion is the major version of every payload in this package.
const SchemaVersion = 1

// Line is one position of an order.
type Line struct {
	SKU             string `json:"sku"`
	Name            string `json:"name"`
	Quantity        int    `json:"quantity"`
	UnitAmountMinor int64  `json:"unit_amount_minor"`
}

// OrderPlaced says that an order and its payment exist.
type OrderPlaced struct {
	Schema     int         `json:"schema"`
	MerchantID uuid.UUID   `json:"merchant_id"`
	OrderID    uuid.UUID   `json:"order_id"`
	PaymentID  uuid.UUID   `json:"payment_id"`
	Amount     money.Money `json:"amount"`
	PlacedAt   time.Time   `json:"placed_at"`
}

// PaymentCaptured says that the provider holds the money. It carries what every
// consumer needs, so that none has to read the payment.
type PaymentCaptured struct {
	Schema           int         `json:"schema"`
	MerchantID       uuid.UUID   `json:"merchant_id"`
	OrderID          uuid.UUID   `json:"order_id"`
	PaymentID        uuid.UUID   `json:"payment_id"`
	AttemptNo        int         `json:"attempt_no"`
	Amount           money.Money `json:"amount"`
	ProviderChargeID string      `json:"provider_charge_id"`
	Email            Address     `json:"email"`
	Lines            []Line      `json:"lines"`
	CapturedAt       time.Time   `json:"captured_at"`
}

// PaymentDeclined says that the provider refused one attempt.
type PaymentDeclined struct {
	Schema      int         `json:"schema"`
	MerchantID  uuid.UUID   `json:"merchant_id"`
	OrderID     uuid.UUID   `json:"order_id"`
	PaymentID   uuid.UUID   `json:"payment_id"`
	AttemptNo   int         `json:"attempt_no"`
	Amount      money.Money `json:"amount"`
	DeclineCode string      `json:"decline_code"`
	Email       Address     `json:"email"`
	DeclinedAt  time.Time   `json:"declined_at"`
}

// TicketsIssued says that an order has its tickets.
type TicketsIssued struct {
	Schema     int         `json:"schema"`
	MerchantID uuid.UUID   `json:"merchant_id"`
	OrderID    uuid.UUID   `json:"order_id"`
	PaymentID  uuid.UUID   `json:"payment_id"`
	TicketIDs  []uuid.UUID `json:"ticket_ids"`
	IssuedAt   time.Time   `json:"issued_at"`
}

// ProviderCharge is what a provider's message said about a charge. It is a hint:
// whoever acts on it asks the provider.
type ProviderCharge struct {
	Schema      int         `json:"schema"`
	Provider    string      `json:"provider"`
	MessageID   string      `json:"message_id"`
	ChargeID    string      `json:"charge_id"`
	Reference   string      `json:"reference"`
	ProviderKey string      `json:"provider_key"` // ours: it names one attempt
	Amount      money.Money `json:"amount"`
	Status      string      `json:"status"`
	DeclineCode string      `json:"decline_code"`
	SentAt      time.Time   `json:"sent_at"`
}

// Decode reads a payload of this package. An error is permanent: the same bytes
// will never decode.
func Decode[T any](payload []byte) (T, error) {
	var version struct {
		Schema int `json:"schema"`
	}
	var out T
	if err := json.Unmarshal(payload, &version); err != nil {
		return out, fmt.Errorf("the payload is no JSON object: %w", err)
	}
	if version.Schema != SchemaVersion {
		return out, fmt.Errorf("schema version %d is unknown here, expected %d", version.Schema, SchemaVersion)
	}
	if err := json.Unmarshal(payload, &out); err != nil {
		return out, fmt.Errorf("the payload does not fit %T: %w", out, err)
	}
	return out, nil
}
