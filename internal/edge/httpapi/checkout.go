package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/strictjson"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/internal/shop/tickets"
	"payonce/once/idempotency"
)

// answer is the shop's answer to a keyed request, on its way to the client.
type answer struct{ checkout.Result }

// write sends the stored parts as they are and the fresh ones beside them.
func (a answer) write(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", a.Answer.ContentType)
	h.Set("Idempotent-Replayed", strconv.FormatBool(a.Replayed))
	if a.Answer.Location != "" {
		h.Set("Location", a.Answer.Location)
	}
	if a.Answer.Matched != "" {
		h.Set("Payonce-Matched", a.Answer.Matched)
	}
	if a.RetryAfter > 0 {
		h.Set("Retry-After", seconds(a.RetryAfter))
	}
	w.WriteHeader(a.Answer.Status)
	_, err := w.Write(a.Answer.Body)
	return err
}

// VisitPlaceOrderResponse implements gen.PlaceOrderResponseObject.
func (a answer) VisitPlaceOrderResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitCapturePaymentResponse implements gen.CapturePaymentResponseObject.
func (a answer) VisitCapturePaymentResponse(w http.ResponseWriter) error { return a.write(w) }

// PlaceOrder is POST /v1/orders.
func (s *server) PlaceOrder(ctx context.Context, r gen.PlaceOrderRequestObject) (gen.PlaceOrderResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	email, err := event.ParseAddress(r.Body.Email)
	if err != nil {
		return nil, misplaced([]strictjson.Violation{{Pointer: "/email", Detail: err.Error()}})
	}
	items := make([]checkout.OrderItem, 0, len(r.Body.Items))
	for _, i := range r.Body.Items {
		items = append(items, checkout.OrderItem{SKU: i.Sku, Quantity: i.Quantity})
	}
	res, err := s.Checkout.PlaceOrder(ctx, checkout.PlaceOrder{Merchant: merchant, Key: key(ctx), Items: items, Email: email})
	if err != nil {
		return nil, noteError(ctx, err)
	}
	noteResult(ctx, res)
	return answer{res}, nil
}

// CapturePayment is POST /v1/payments/{id}/capture.
func (s *server) CapturePayment(ctx context.Context, r gen.CapturePaymentRequestObject) (gen.CapturePaymentResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	id, ok := wire.PrefixPayment.Parse(r.PaymentID)
	if !ok {
		return nil, errNotFound
	}
	wait := time.Duration(0)
	if r.Params.Prefer != nil {
		wait, _ = preferredWait([]string{*r.Params.Prefer})
	}
	res, err := s.Checkout.Capture(ctx, checkout.Capture{
		Merchant: merchant, Key: key(ctx), Payment: id, Amount: money.Of(r.Body.AmountMinor, r.Body.Currency), Token: r.Body.CardToken, Wait: wait,
	})
	if err != nil {
		return nil, noteError(ctx, s.unknownFirst(ctx, merchant, id, err))
	}
	noteResult(ctx, res)
	return answer{res}, nil
}

// unknownFirst keeps the order of refusals: a payment that does not exist is
// said before a key that was used for another one.
func (s *server) unknownFirst(ctx context.Context, merchant, payment uuid.UUID, err error) error {
	var mismatch *idempotency.MismatchError
	if !errors.As(err, &mismatch) {
		if !errors.Is(err, checkout.ErrNotFound) {
			note(ctx).payment = payment
		}
		return err
	}
	if _, missing := s.Checkout.Payment(ctx, merchant, payment); missing != nil {
		return missing
	}
	note(ctx).payment = payment
	return err
}

func noteResult(ctx context.Context, res checkout.Result) {
	n := note(ctx)
	n.fate, n.payment, n.observed = res.Fate, res.PaymentID, true
}

// noteError leaves "refused for certain" to be told from "nobody knows".
func noteError(ctx context.Context, err error) error {
	var away *checkout.UnavailableError
	if errors.As(err, &away) && away.Executed == "no" {
		note(ctx).fate = checkout.Rejected
	}
	return err
}

// GetCatalogue is GET /v1/catalogue.
func (s *server) GetCatalogue(context.Context, gen.GetCatalogueRequestObject) (gen.GetCatalogueResponseObject, error) {
	c := wire.Catalogue{Data: []wire.Concert{}}
	for _, i := range checkout.Catalogue() {
		c.Data = append(c.Data, wire.ConcertView(i))
	}
	return gen.GetCatalogue200JSONResponse(c), nil
}

// GetOrder is GET /v1/orders/{id}.
func (s *server) GetOrder(ctx context.Context, r gen.GetOrderRequestObject) (gen.GetOrderResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	id, ok := wire.PrefixOrder.Parse(r.OrderID)
	if !ok {
		return nil, errNotFound
	}
	o, err := s.Checkout.Order(ctx, merchant, id)
	if err != nil {
		return nil, err
	}
	view, err := s.orderView(ctx, o)
	return gen.GetOrder200JSONResponse(view), err
}

func (s *server) orderView(ctx context.Context, o checkout.Order) (wire.Order, error) {
	issued, err := tickets.Box{DB: s.DB}.OfOrder(ctx, o.ID)
	if err != nil {
		return wire.Order{}, err
	}
	views := make([]wire.Ticket, 0, len(issued))
	for _, t := range issued {
		views = append(views, wire.TicketView(t.ID, t.Line, t.Number, t.Code, string(t.Status)))
	}
	return wire.OrderView(o, views), nil
}

// GetPayment is GET /v1/payments/{id}.
func (s *server) GetPayment(ctx context.Context, r gen.GetPaymentRequestObject) (gen.GetPaymentResponseObject, error) {
	p, err := s.payment(detach(ctx), r.PaymentID)
	return gen.GetPayment200JSONResponse(wire.PaymentView(p)), err
}

// payment reads a payment of the caller's.
func (s *server) payment(ctx context.Context, name string) (checkout.Payment, error) {
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return checkout.Payment{}, err
	}
	id, ok := wire.PrefixPayment.Parse(name)
	if !ok {
		return checkout.Payment{}, errNotFound
	}
	return s.Checkout.Payment(ctx, merchant, id)
}
