package event

import (
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
)

// OrderName is how an order is called outside the database: "ord_" and 32 hex.
func OrderName(id uuid.UUID) string { return "ord_" + hex.EncodeToString(id[:]) }

// PaymentName is how a payment is called outside the database.
func PaymentName(id uuid.UUID) string { return "pay_" + hex.EncodeToString(id[:]) }

// RefundName is how a refund is called outside the database.
func RefundName(id uuid.UUID) string { return "ref_" + hex.EncodeToString(id[:]) }

// PaymentOf is the payment that a name names; ok is false for any other text.
func PaymentOf(name string) (id uuid.UUID, ok bool) { return named("pay_", name) }

// RefundOf is the refund that a name names; ok is false for any other text.
func RefundOf(name string) (id uuid.UUID, ok bool) { return named("ref_", name) }

func named(prefix, name string) (id uuid.UUID, ok bool) {
	digits, has := strings.CutPrefix(name, prefix)
	if !has || len(digits) != 2*len(id) {
		return uuid.Nil, false
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return uuid.Nil, false
	}
	return id, true
}
