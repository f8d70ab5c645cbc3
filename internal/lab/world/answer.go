package world

import (
	"encoding/hex"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// What the provider says about a charge that was not made. Only the refusals
// that are outcomes (a decline, a cancelled key) are stored under the key;
// after each of these the key is as free as before.
var (
	errInvalidToken = &apiError{status: http.StatusPaymentRequired, Code: "invalid_token",
		Message: "No card has this token. Nothing was charged."}
	errKeyReused = &apiError{status: http.StatusUnprocessableEntity, Code: "idempotency_key_reused",
		Message: "This Idempotency-Key belongs to another request."}
	errInProgress = &apiError{status: http.StatusConflict, Code: "idempotency_key_in_progress",
		Message: "A request with this Idempotency-Key is still running.", retryAfter: "1"}
	errHiccup = &apiError{status: http.StatusInternalServerError, Code: "provider_error",
		Message: "The provider stumbled."}
	errTooMany = &apiError{status: http.StatusTooManyRequests, Code: "rate_limited",
		Message: "Too many requests. Nothing was charged.", retryAfter: "1"}
)

// newCharge is the charge that this card's bank would make of the order.
func (w *World) newCharge(c card, o order) Charge {
	id := uuid.Must(uuid.NewV7()) // sorts by time, so ids can be cursors
	charge := Charge{
		ID:          "ch_" + hex.EncodeToString(id[:]),
		Reference:   o.reference,
		AmountMinor: o.amount,
		Currency:    o.currency,
		Status:      "succeeded",
		// Milliseconds, as on the wire: the row and the stored answer agree.
		at: w.options.Now().Truncate(time.Millisecond),
	}
	charge.CreatedAt = stamp(charge.at)
	if o.key != "" {
		charge.IdempotencyKey = &o.key
	}
	if c.decline != "" {
		charge.Status, charge.DeclineCode = "declined", &c.decline
	}
	return charge
}

// refused is the body of a refusal that left a charge in the books.
type refused struct {
	Error  apiError `json:"error"`
	Charge Charge   `json:"charge"`
}

// render turns a charge into the answer that is stored and sent.
func render(c Charge) answer {
	switch c.Status {
	case "declined":
		return answer{status: http.StatusPaymentRequired, body: mustEncode(refused{
			apiError{Code: "card_declined", Message: "The bank declined the card.", DeclineCode: *c.DeclineCode}, c})}
	case "cancelled":
		return answer{status: http.StatusGone, body: mustEncode(refused{
			apiError{Code: "charge_cancelled", Message: "This key was cancelled before its charge arrived. Nothing was charged."}, c})}
	default:
		return answer{status: http.StatusCreated, body: mustEncode(c)}
	}
}
