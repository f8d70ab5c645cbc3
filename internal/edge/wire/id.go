package wire

import (
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
)

// Prefix says what an id names. It is part of the id, so that an id pasted into
// the wrong place is refused instead of looked up.
type Prefix string

// The prefixes.
const (
	PrefixMerchant Prefix = "mer_"
	PrefixOrder    Prefix = "ord_"
	PrefixPayment  Prefix = "pay_"
	PrefixRefund   Prefix = "ref_"
	PrefixSaga     Prefix = "saga_"
	PrefixTicket   Prefix = "tkt_"
	PrefixEvent    Prefix = "evt_"
	PrefixAttempt  Prefix = "att_"
	PrefixAlert    Prefix = "alr_"
	PrefixLetter   Prefix = "dlt_"
)

// ID writes an id as the contract does: the prefix and 32 hexadecimal digits.
func (p Prefix) ID(id uuid.UUID) string { return string(p) + hex.EncodeToString(id[:]) }

// Parse reads an id back. There is exactly one spelling of an id (lower case,
// no dashes); everything else is not ok, and the caller answers "not found".
func (p Prefix) Parse(text string) (id uuid.UUID, ok bool) {
	digits, has := strings.CutPrefix(text, string(p))
	if !has || len(digits) != 32 || strings.ToLower(digits) != digits {
		return uuid.Nil, false
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return uuid.Nil, false
	}
	return id, true
}
