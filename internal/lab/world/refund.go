package world

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Refund is one row of the provider's books, and its wire form.
type Refund struct {
	ID             string  `json:"id"`
	ChargeID       string  `json:"charge_id"`
	Reference      string  `json:"reference"`
	IdempotencyKey *string `json:"idempotency_key"`
	AmountMinor    int64   `json:"amount_minor"`
	Currency       string  `json:"currency"`
	Status         string  `json:"status"` // succeeded | declined
	DeclineCode    *string `json:"decline_code"`
	CreatedAt      string  `json:"created_at"`

	at time.Time
}

// refundOrder is a checked request for a refund.
type refundOrder struct {
	chargeID, reference, key string
	amount                   int64
	hash                     []byte
}

// postRefund is POST /v1/refunds.
func (w *World) postRefund(rw http.ResponseWriter, r *http.Request) {
	o, err := readRefundOrder(rw, r)
	if err != nil {
		writeError(rw, err)
		return
	}
	// Whoever hangs up does not undo what the provider has begun.
	ctx := context.WithoutCancel(r.Context())
	result, replayed, then, err := w.refund(ctx, o)
	if then == loseAnswer {
		w.hold(r)
	}
	if o.key != "" {
		rw.Header().Set("Idempotent-Replayed", fmt.Sprint(err == nil && replayed))
	}
	if err != nil {
		w.logUnexpected("refund", err)
		writeError(rw, err)
		return
	}
	a := renderRefund(result)
	writeBytes(rw, a.status, a.body)
}

func readRefundOrder(rw http.ResponseWriter, r *http.Request) (refundOrder, error) {
	key, err := idempotencyKey(r)
	if err != nil {
		return refundOrder{}, err
	}
	body, err := readObject(rw, r, "charge_id", "reference", "amount_minor")
	if err != nil {
		return refundOrder{}, err
	}
	o := refundOrder{key: key}
	for name, into := range map[string]*string{"charge_id": &o.chargeID, "reference": &o.reference} {
		if *into, err = body.str(name); err != nil {
			return refundOrder{}, err
		}
		if !isVisible(*into) {
			return refundOrder{}, invalid(name, "%s must be 1 to 255 visible ASCII characters.", name)
		}
	}
	if o.amount, err = body.integer("amount_minor"); err != nil {
		return refundOrder{}, err
	}
	if o.amount < 1 || o.amount > maxAmount {
		return refundOrder{}, invalid("amount_minor", "amount_minor must be between 1 and %d.", maxAmount)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "refund\x00%s\x00%s\x00%d", o.chargeID, o.reference, o.amount))
	o.hash = sum[:]
	return o, nil
}

// refund is the provider's protocol, as for a charge: a twin that is running is
// refused, a key with an outcome answers from its row, and refund and key are
// written in one statement. It never gives back more than the charge.
func (w *World) refund(ctx context.Context, o refundOrder) (Refund, bool, trouble, error) {
	busy := order{hash: o.hash}
	if o.key != "" {
		busy.key = "refund:" + o.key // a charge under the same key is another matter
	}
	leave, err := w.running.enter(busy)
	if err != nil {
		return Refund{}, false, smooth, err
	}
	defer leave()
	charges, err := w.books.list(ctx, filter{id: o.chargeID, limit: 1})
	if err != nil {
		return Refund{}, false, smooth, err
	}
	if len(charges) == 0 || charges[0].Status != "succeeded" {
		return Refund{}, false, smooth, errNoCharge
	}
	c, err := w.books.cardOf(ctx, o.chargeID)
	if err != nil {
		return Refund{}, false, smooth, err
	}
	mine := w.newRefund(o, charges[0])
	done, hash, err := w.books.refund(ctx, mine, c.refundDecline, charges[0].AmountMinor, o.hash)
	if err != nil {
		return Refund{}, false, smooth, err
	}
	if !bytes.Equal(hash, o.hash) {
		return Refund{}, false, smooth, errKeyReused
	}
	if err := w.tellRefund(ctx, done); err != nil {
		return Refund{}, false, smooth, err
	}
	if c.refundTrouble == loseAnswer && o.key != "" {
		first, err := w.books.isFirstTry(ctx, "refund:"+o.key, c.Token, w.options.Now())
		if err != nil || first {
			return done, false, loseAnswer, err
		}
	}
	return done, done.ID != mine.ID, smooth, nil
}

// tellRefund writes the message about a refund down, once, whoever asks how
// often. It stands behind the refund: a provider killed in between tells of it
// when it is asked again under the same key, or never, and the shop asks anyway.
func (w *World) tellRefund(ctx context.Context, r Refund) error {
	if w.options.Webhooks.URL == "" || ofSecondAccount(r.Reference) {
		return nil
	}
	return w.announcedAfter(w.books.announceRefund(ctx, r, w.announceRefund(r)))
}

var errNoCharge = &apiError{status: http.StatusNotFound, Code: "charge_not_found",
	Message: "There is no live charge by that id. Nothing was refunded."}

func (w *World) newRefund(o refundOrder, c Charge) Refund {
	id := uuid.Must(uuid.NewV7())
	r := Refund{ID: "re_" + hex.EncodeToString(id[:]), ChargeID: o.chargeID, Reference: o.reference,
		AmountMinor: o.amount, Currency: c.Currency, at: w.options.Now().Truncate(time.Millisecond)}
	if o.key != "" {
		r.IdempotencyKey = &o.key
	}
	return r
}

// refusedRefund is the body of a refusal that left a refund in the books.
type refusedRefund struct {
	Error  apiError `json:"error"`
	Refund Refund   `json:"refund"`
}

func renderRefund(r Refund) answer {
	if r.Status == "declined" {
		return answer{status: http.StatusPaymentRequired, body: mustEncode(refusedRefund{
			apiError{Code: "refund_declined", Message: "The money stays where it is.", DeclineCode: *r.DeclineCode}, r})}
	}
	return answer{status: http.StatusCreated, body: mustEncode(r)}
}

// getRefunds is GET /v1/refunds?reference=&idempotency_key=&charge_id=&cursor=&limit=,
// oldest first, with a cursor as for charges.
func (w *World) getRefunds(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := readLimit(query.Get("limit"))
	if err != nil {
		writeError(rw, err)
		return
	}
	for _, name := range []string{"reference", "idempotency_key", "charge_id"} {
		if query.Has(name) && query.Get(name) == "" {
			writeError(rw, invalid(name, "%s is empty; leave it out to list everything.", name))
			return
		}
	}
	from, err := readFrom(query.Get("created_from"))
	if err != nil {
		writeError(rw, err)
		return
	}
	refunds, err := w.books.refunds(r.Context(), filter{
		from: from, reference: cleanText(query.Get("reference")), key: cleanText(query.Get("idempotency_key")),
		after: cleanText(query.Get("cursor")), limit: limit + 1,
	}, cleanText(query.Get("charge_id")))
	if err != nil {
		w.logUnexpected("list refunds", err)
		writeError(rw, err)
		return
	}
	writeJSON(rw, http.StatusOK, cut(refunds, limit, func(f Refund) string { return f.ID }))
}
