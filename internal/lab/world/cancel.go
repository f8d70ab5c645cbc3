package world

import (
	"context"
	"net/http"
)

// Cancellation is the answer to POST /v1/charges/cancel. Outcome is cancelled
// (nothing was charged under the key, and nothing ever will be), charged or
// declined (too late: here is what happened). Charge is the row that the key
// produced, if one did; under cancelled it is the late arrival that was
// refused.
type Cancellation struct {
	IdempotencyKey string  `json:"idempotency_key"`
	Outcome        string  `json:"outcome"`
	Charge         *Charge `json:"charge"`
}

// postCancel is POST /v1/charges/cancel. It needs no key of its own: asked
// again it finds the tombstone it left, and says the same.
func (w *World) postCancel(rw http.ResponseWriter, r *http.Request) {
	if _, err := idempotencyKey(r); err != nil {
		writeError(rw, err)
		return
	}
	body, err := readObject(rw, r, "idempotency_key")
	if err != nil {
		writeError(rw, err)
		return
	}
	key, err := body.str("idempotency_key")
	if err == nil && !isVisible(key) {
		err = invalid("idempotency_key", "idempotency_key must be 1 to 255 visible ASCII characters.")
	}
	if err != nil {
		writeError(rw, err)
		return
	}
	cancellation, err := w.cancel(context.WithoutCancel(r.Context()), key)
	if err != nil {
		w.logUnexpected("cancel", err)
		writeError(rw, err)
		return
	}
	writeJSON(rw, http.StatusOK, cancellation)
}

// cancel races with a charge of the same key for one row: whoever inserts it
// first decides. A charge that is still under way (a slow card) finds the
// tombstone when it comes to write.
func (w *World) cancel(ctx context.Context, key string) (Cancellation, error) {
	result := Cancellation{IdempotencyKey: key, Outcome: "cancelled"}
	if err := w.books.bury(ctx, key, w.options.Now()); err != nil {
		return result, err
	}
	charges, err := w.books.list(ctx, filter{key: key, limit: 1})
	if err != nil || len(charges) == 0 {
		return result, err
	}
	result.Charge = &charges[0]
	switch result.Charge.Status {
	case "succeeded":
		result.Outcome = "charged"
	case "declined":
		result.Outcome = "declined"
	}
	return result, nil
}
