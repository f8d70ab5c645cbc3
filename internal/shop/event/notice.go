package event

import (
	"time"

	"payonce/internal/shop/money"
)

// Types of events that a signed message of the provider about a refund becomes.
const (
	TypeProviderRefundSucceeded = "provider.refund_succeeded"
	TypeProviderRefundFailed    = "provider.refund_failed"
)

// ProviderRefund is what a provider's message said about a refund. It is a hint,
// as [ProviderCharge] is.
type ProviderRefund struct {
	Schema      int         `json:"schema"`
	Provider    string      `json:"provider"`
	MessageID   string      `json:"message_id"`
	RefundID    string      `json:"provider_refund_id"`
	ChargeID    string      `json:"charge_id"`
	Reference   string      `json:"reference"`
	ProviderKey string      `json:"provider_key"` // ours: it names one refund
	Amount      money.Money `json:"amount"`
	Status      string      `json:"status"`
	DeclineCode string      `json:"decline_code"`
	SentAt      time.Time   `json:"sent_at"`
}
