package event

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// OrderName is how an order is called outside the database: "ord_" and 32 hex.
func OrderName(id uuid.UUID) string { return "ord_" + hex.EncodeToString(id[:]) }

// PaymentName is how a payment is called outside the database.
func PaymentName(id uuid.UUID) string { return "pay_" + hex.EncodeToString(id[:]) }

// RefundName is how a refund is called outside the database.
func RefundName(id uuid.UUID) string { return "ref_" + hex.EncodeToString(id[:]) }
