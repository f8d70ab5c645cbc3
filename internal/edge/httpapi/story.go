package httpapi

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/journal"
	"payonce/internal/edge/rows"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/event"
)

// ListActivity is GET /v1/payments/{id}/activity.
func (s *server) ListActivity(ctx context.Context, r gen.ListActivityRequestObject) (gen.ListActivityResponseObject, error) {
	ctx = detach(ctx)
	payment, err := s.payment(ctx, r.PaymentID)
	if err != nil {
		return nil, err
	}
	p, err := pageOf(wire.PrefixEvent, r.Params.Limit, nil)
	if err != nil {
		return nil, err
	}
	if at := r.Params.Cursor; at != nil {
		if p.before.UUID, err = uuid.Parse(*at); err != nil {
			return nil, misgiven("cursor", "is no next_cursor of this list")
		}
		p.before.Valid = true
	}
	s.settle(ctx)
	story, err := journal.Story(ctx, s.DB, payment.MerchantID, payment.ID, p.before, p.limit+1)
	if err != nil {
		return nil, err
	}
	var next *string
	if len(story) > p.limit {
		story = story[:p.limit]
		next = &story[p.limit-1].ID
	}
	return gen.ListActivity200JSONResponse{Data: story, NextCursor: next}, nil
}

// ListRows is GET /v1/rows.
func (s *server) ListRows(ctx context.Context, r gen.ListRowsRequestObject) (gen.ListRowsResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	scope := rows.Scope{Merchant: merchant}
	if scope.Payment, err = paymentFilter(r.Params.PaymentID); err != nil {
		return nil, err
	}
	all, err := rows.Read(ctx, s.DB, scope)
	if err != nil {
		return nil, err
	}
	list := make([]wire.Table, 0, len(all))
	for _, t := range all {
		list = append(list, wire.Table{Table: t.Name, Pattern: t.Pattern, Keeps: t.Keeps, Written: t.Written, Columns: t.Columns, Rows: t.Rows})
	}
	return gen.ListRows200JSONResponse{Data: list}, nil
}

// paymentFilter reads ?payment_id= of a list.
func paymentFilter(asked *string) (uuid.NullUUID, error) {
	if asked == nil {
		return uuid.NullUUID{}, nil
	}
	id, ok := wire.PrefixPayment.Parse(*asked)
	if !ok {
		return uuid.NullUUID{}, misgiven("payment_id", "is no id of a payment")
	}
	return uuid.NullUUID{UUID: id, Valid: true}, nil
}

// ListEventTypes is GET /v1/event-types.
func (s *server) ListEventTypes(context.Context, gen.ListEventTypesRequestObject) (gen.ListEventTypesResponseObject, error) {
	list := make([]wire.EventType, 0, len(event.Catalogue))
	for _, d := range event.Catalogue {
		list = append(list, wire.EventType{Type: d.Type, Means: d.Means, Command: d.Command, Readers: d.Readers(), Fields: d.Fields()})
	}
	return gen.ListEventTypes200JSONResponse{Data: list}, nil
}
