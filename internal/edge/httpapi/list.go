package httpapi

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
)

// defaultLimit is the length of a page when nobody says; maxLimit the longest.
const (
	defaultLimit = 20
	maxLimit     = 100
)

// page is one request for a part of a list, newest first.
type page struct {
	prefix wire.Prefix
	before uuid.NullUUID
	limit  int
}

// pageOf reads limit and cursor. A cursor is the id of the last entry that the
// client has, so that entries which come meanwhile neither repeat nor hide any.
func pageOf(prefix wire.Prefix, limit *int, cursor *string) (page, error) {
	p := page{prefix: prefix, limit: defaultLimit}
	if limit != nil {
		p.limit = *limit
	}
	// `limit=` passes the contract's validator as "not given" and the generated
	// code as zero.
	if p.limit < 1 || p.limit > maxLimit {
		return p, misgiven("limit", "must be 1 … 100")
	}
	if cursor == nil {
		return p, nil
	}
	id, ok := prefix.Parse(*cursor)
	if !ok {
		return p, misgiven("cursor", "is no next_cursor of this list")
	}
	p.before = uuid.NullUUID{UUID: id, Valid: true}
	return p, nil
}

// cut splits one entry too many off a list and makes the cursor of it.
func cut[T any](p page, list []T, id func(T) uuid.UUID) ([]T, *string) {
	if len(list) <= p.limit {
		return list, nil
	}
	list = list[:p.limit]
	next := p.prefix.ID(id(list[len(list)-1]))
	return list, &next
}

// ListOrders is GET /v1/orders.
func (s *server) ListOrders(ctx context.Context, r gen.ListOrdersRequestObject) (gen.ListOrdersResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	p, err := pageOf(wire.PrefixOrder, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	orders, err := s.Checkout.Orders(ctx, merchant, p.before, p.limit+1)
	if err != nil {
		return nil, err
	}
	list := make([]wire.Order, 0, len(orders))
	for _, o := range orders[:min(len(orders), p.limit)] {
		view, err := s.orderView(ctx, o)
		if err != nil {
			return nil, err
		}
		list = append(list, view)
	}
	var next *string
	if len(orders) > p.limit {
		next = &list[len(list)-1].ID
	}
	return gen.ListOrders200JSONResponse{Data: list, NextCursor: next}, nil
}

// ListPayments is GET /v1/payments.
func (s *server) ListPayments(ctx context.Context, r gen.ListPaymentsRequestObject) (gen.ListPaymentsResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	p, err := pageOf(wire.PrefixPayment, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	read := s.Checkout.Payments
	if r.Params.Undecided != nil && *r.Params.Undecided {
		read = s.Checkout.Undecided
	}
	payments, err := read(ctx, merchant, p.before, p.limit+1)
	if err != nil {
		return nil, err
	}
	list := make([]wire.Payment, 0, len(payments))
	for _, one := range payments {
		list = append(list, wire.PaymentView(one))
	}
	var next *string
	if len(list) > p.limit {
		list = list[:p.limit]
		next = &list[p.limit-1].ID
	}
	return gen.ListPayments200JSONResponse{Data: list, NextCursor: next}, nil
}
