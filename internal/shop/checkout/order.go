package checkout

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"payonce/internal/platform/observe"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/money"
	"payonce/once"
	"payonce/once/idempotency"
)

// PlaceOrder asks for tickets.
type PlaceOrder struct {
	Merchant uuid.UUID
	Key      string
	Items    []OrderItem
	Email    event.Address
}

// OrderItem is one position of a [PlaceOrder].
type OrderItem struct {
	SKU      string
	Quantity int
}

func (c PlaceOrder) request() idempotency.Request {
	r := idempotency.Request{
		Scope: c.Merchant.String(), Key: c.Key, Operation: "POST /v1/orders",
		Fields: []idempotency.Field{{Pointer: "/email", Value: string(c.Email)}},
	}
	for i, item := range c.Items {
		at := "/items/" + strconv.Itoa(i)
		r.Fields = append(r.Fields,
			idempotency.Field{Pointer: at + "/sku", Value: item.SKU},
			idempotency.Field{Pointer: at + "/quantity", Value: strconv.Itoa(item.Quantity)})
	}
	return r
}

// PlaceOrder makes one order with its payment per key. The effect is ours
// alone, so key, order, payment, event and answer are one transaction: a crash
// leaves nothing, a twin waits and reads the winner.
func (s *Service) PlaceOrder(ctx context.Context, c PlaceOrder) (Result, error) {
	lines, total, unpriced := price(c.Items)
	var placed Order
	out, err := s.Keys.Do(ctx, c.request(), func(keyed once.Tx) (answer idempotency.Answer, name string, err error) {
		tx := postgres.Reading(keyed)
		if unpriced == nil {
			placed, err = s.insertOrder(ctx, tx, c, lines, total)
		} else if placed, err = existingOrder(ctx, tx, c); errors.Is(err, ErrNotFound) {
			err = unpriced
		}
		if err != nil {
			return answer, "", err
		}
		return s.Render.OrderAnswer(placed), OrderRef(placed.ID), nil
	})
	if unpriced != nil && errors.Is(err, unpriced) {
		return s.refuse(ctx, c, unpriced)
	}
	if err != nil {
		return Result{Fate: Rejected}, s.keyed(err)
	}
	if out.Replayed {
		s.tell(ctx, observe.Replayed, observe.Event{Scope: c.Merchant, Operation: "order", Key: c.Key})
		return Result{Answer: out.Answer, Replayed: true, Fate: Replayed}, nil
	}
	s.Wake()
	s.tell(ctx, observe.Committed, observe.Event{Node: "postgres", Scope: c.Merchant, Correlation: placed.Payment.ID, Operation: "order", Key: c.Key})
	return Result{Answer: out.Answer, Fate: Executed, PaymentID: placed.Payment.ID}, nil
}

// keyed classes what a keyed operation can fail with.
func (s *Service) keyed(err error) error {
	var (
		mismatch *idempotency.MismatchError
		away     *UnavailableError
	)
	switch {
	// Who classed it first knew whether something had happened by then.
	case errors.As(err, &away), errors.As(err, &mismatch), errors.Is(err, idempotency.ErrInProgress):
		return err
	case errors.Is(err, once.ErrCommitUnknown):
		return maybeExecuted(err)
	case once.Unavailable(err), once.Canceled(err):
		return notExecuted(err)
	}
	return err
}

func price(items []OrderItem) ([]event.Line, money.Money, error) {
	var total money.Money
	lines := make([]event.Line, 0, len(items))
	for _, i := range items {
		on, found := itemBySKU(i.SKU)
		if !found {
			return nil, total, fmt.Errorf("%w: %q", ErrUnknownSKU, i.SKU)
		}
		total.Currency = on.Price.Currency
		total.AmountMinor += on.Price.AmountMinor * int64(i.Quantity)
		lines = append(lines, event.Line{SKU: on.SKU, Name: on.Name, Quantity: i.Quantity, UnitAmountMinor: on.Price.AmountMinor})
	}
	return lines, total, total.Valid()
}

// One round trip for order, payment and event. request_key is unique for ever:
// when the key's own lifetime is over, a retry meets its order here, inserts
// nothing and reads it.
var insertOrderSQL = once.Named(`
WITH o AS (
  INSERT INTO orders (id, merchant_id, request_key, status, email, amount_minor, currency, items)
  VALUES (@order::uuid, @merchant::uuid, @request::text, 'awaiting_payment', @email::text, @amount::bigint, @currency::text, @items::jsonb)
  ON CONFLICT ON CONSTRAINT orders_request_once DO NOTHING
  RETURNING id, version, created_at
), p AS (
  INSERT INTO payments (id, merchant_id, order_id, status, amount_minor, currency, created_at)
  SELECT @payment::uuid, @merchant::uuid, o.id, 'requires_capture', @amount::bigint, @currency::text, o.created_at FROM o
), e AS (` + patterns.Outbox.Fold("o", "o.version") + `)
SELECT created_at FROM o`)

const orderByRequestSQL = `SELECT ` + orderColumns + ` WHERE o.merchant_id = $1 AND o.request_key = $2`

func (s *Service) insertOrder(ctx context.Context, tx postgres.Tx, c PlaceOrder, lines []event.Line, total money.Money) (Order, error) {
	id, paymentID := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	items, err := json.Marshal(lines)
	if err != nil {
		return Order{}, err
	}
	placed, err := patterns.NewEvent(c.Merchant, paymentID, "order", id, event.TypeOrderPlaced, event.OrderPlaced{
		Schema: event.SchemaVersion, MerchantID: c.Merchant, OrderID: id, PaymentID: paymentID, Amount: total, PlacedAt: s.Now().UTC(),
	})
	if err != nil {
		return Order{}, err
	}
	o := Order{
		ID: id, MerchantID: c.Merchant, Status: "awaiting_payment", Email: c.Email,
		AmountMinor: total.AmountMinor, Currency: total.Currency, Lines: lines,
		Payment: Payment{
			ID: paymentID, MerchantID: c.Merchant, OrderID: id, Status: RequiresCapture,
			AmountMinor: total.AmountMinor, Currency: total.Currency,
		},
	}
	err = tx.Get(ctx, &o.CreatedAt, insertOrderSQL.Text(), insertOrderSQL.Values(patterns.EventArgs(ctx, placed).With(once.Args{
		"order": id, "payment": paymentID, "merchant": c.Merchant, "request": c.Key, "email": c.Email,
		"amount": total.AmountMinor, "currency": total.Currency, "items": string(items),
	}))...)
	o.Payment.CreatedAt = o.CreatedAt
	if errors.Is(err, sql.ErrNoRows) {
		return existingOrder(ctx, tx, c)
	}
	return o, err
}

// existingOrder finds the order that was placed under this key, if it was placed
// by this request. Names and prices are the shop's, and may have changed since.
func existingOrder(ctx context.Context, tx postgres.Tx, c PlaceOrder) (Order, error) {
	o, err := readOrder(ctx, tx, orderByRequestSQL, c.Merchant, c.Key)
	if err != nil {
		return o, err
	}
	before := PlaceOrder{Merchant: o.MerchantID, Key: c.Key, Email: o.Email}
	for _, l := range o.Lines {
		before.Items = append(before.Items, OrderItem{SKU: l.SKU, Quantity: l.Quantity})
	}
	return o, c.request().Match(before.request())
}

// refuse stores a refusal that is an outcome, so that its retry gets the same.
func (s *Service) refuse(ctx context.Context, c PlaceOrder, why error) (Result, error) {
	r := c.request()
	out, err := s.Keys.Store(ctx, r, s.Render.ErrorAnswer(ctx, why), "")
	if err != nil {
		return Result{Fate: Rejected}, s.keyed(err)
	}
	s.tell(ctx, observe.Rejected, observe.Event{Scope: c.Merchant, Operation: r.Operation, Key: r.Key, Detail: why.Error()})
	return Result{Answer: out.Answer, Replayed: out.Replayed, Fate: Rejected}, nil
}
