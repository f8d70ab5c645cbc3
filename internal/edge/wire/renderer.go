package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/refund"
	"payonce/once/idempotency"
)

// Media types of the contract.
const (
	JSON        = "application/json"
	ProblemJSON = "application/problem+json"
)

// Renderer makes the answers that are stored: [checkout.Renderer]. The api and
// the worker are given the same one. Equal arguments make equal bytes, in any
// process and at any time: no clock, no request id, no map order.
type Renderer struct{}

var (
	_ checkout.Renderer = Renderer{}
	_ refund.Renderer   = Renderer{}
)

// OrderAnswer is the 201 of a new order, which has no tickets yet.
func (Renderer) OrderAnswer(o checkout.Order) idempotency.Answer {
	return idempotency.Answer{
		Status: http.StatusCreated, ContentType: JSON, Location: "/v1/orders/" + PrefixOrder.ID(o.ID),
		Body: Encode(OrderView(o, nil)),
	}
}

// PaymentAnswer is the 200 of a captured payment, or the 202 of one in doubt,
// which says where to look.
func (Renderer) PaymentAnswer(p checkout.Payment, status int) idempotency.Answer {
	a := idempotency.Answer{Status: status, ContentType: JSON, Body: Encode(PaymentView(p))}
	if status == http.StatusAccepted {
		a.Location = paymentPath(p)
	}
	return a
}

// RefundAnswer is the 202 of a refund that was accepted, which says where to
// look.
func (Renderer) RefundAnswer(r refund.Refund) idempotency.Answer {
	return idempotency.Answer{
		Status: http.StatusAccepted, ContentType: JSON, Location: "/v1/refunds/" + PrefixRefund.ID(r.ID), Body: Encode(RefundView(r)),
	}
}

// ErrorAnswer is the problem document of an error that is an outcome. Everything
// in it comes from the outcome itself and never from the request that happened
// to meet it first, except the path, which all requests of one key share.
func (Renderer) ErrorAnswer(ctx context.Context, err error) idempotency.Answer {
	d := outcomeDocument(Instance(ctx), err)
	return idempotency.Answer{Status: d.Status, ContentType: ProblemJSON, Body: Encode(d)}
}

func outcomeDocument(instance string, err error) Problem {
	var declined *checkout.DeclinedError
	switch {
	case errors.As(err, &declined):
		d := KindDeclined.Document(paymentPath(declined.Payment)+"/capture", "The provider refused to charge the card. Another try, with this card or another, needs a new Idempotency-Key.")
		if declined.Payment.DeclineCode.Valid {
			d.DeclineCode = &declined.Payment.DeclineCode.String
		}
		view := PaymentView(declined.Payment)
		d.Payment = &view
		return d
	case errors.Is(err, checkout.ErrAmountMismatch):
		d := KindAmountMismatch.Document(instance, "The amount or the currency is not the payment's. The card was not charged. Ask for the payment's own, with a new Idempotency-Key.")
		d.Errors = at("amount and currency must be the payment's own", "/amount_minor", "/currency")
		return d
	case errors.Is(err, checkout.ErrAlreadyCaptured):
		return KindAlreadyCaptured.Document(instance, "The payment was captured and refunded, partly or wholly.")
	case errors.Is(err, event.ErrNotCaptured):
		return KindNotCaptured.Document(instance, "The payment is not captured. Nothing was done. Once it is captured, ask with a new Idempotency-Key.")
	case errors.Is(err, event.ErrExceedsCaptured):
		d := KindExceedsCaptured.Document(instance, "The refund exceeds what is left of the payment. Nothing was done. Once there is enough left, ask with a new Idempotency-Key.")
		d.Errors = at("must not exceed what is left of the payment", "/amount_minor")
		return d
	case errors.Is(err, checkout.ErrUnknownSKU):
		d := KindUnknownItem.Document(instance, "Something in this order is not on sale. No order was made. Another order needs a new Idempotency-Key.")
		d.Errors = at("each sku must be one of GET /v1/catalogue", "/items")
		return d
	}
	return KindUnknownItem.Document(instance, "These items cannot be sold together: the total is outside of 1 … 99 999 999 minor units. Another order needs a new Idempotency-Key.")
}

func at(detail string, pointers ...string) *[]ProblemError {
	list := make([]ProblemError, 0, len(pointers))
	for _, p := range pointers {
		list = append(list, ProblemError{Pointer: &p, Detail: detail})
	}
	return &list
}

func paymentPath(p checkout.Payment) string { return "/v1/payments/" + PrefixPayment.ID(p.ID) }

// Encode writes a view as JSON with a newline, so that it reads well in a
// terminal. Views always encode.
func Encode(view any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(view); err != nil {
		panic("wire: a view does not encode: " + err.Error())
	}
	return b.Bytes()
}

type instanceKey struct{}

// WithInstance notes the path that was asked, for problem documents.
func WithInstance(ctx context.Context, path string) context.Context {
	return context.WithValue(ctx, instanceKey{}, path)
}

// Instance is the path that was asked, "" outside of a request.
func Instance(ctx context.Context) string {
	path, _ := ctx.Value(instanceKey{}).(string)
	return path
}
