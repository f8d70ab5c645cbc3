package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/patterns"
	"payonce/internal/shop/checkout"
	"payonce/internal/shop/refund"
	"payonce/internal/shop/tickets"
	"payonce/once"
	"payonce/once/saga"
)

// VisitRequestRefundResponse implements gen.RequestRefundResponseObject.
func (a answer) VisitRequestRefundResponse(w http.ResponseWriter) error { return a.write(w) }

// RequestRefund is POST /v1/refunds.
func (s *server) RequestRefund(ctx context.Context, r gen.RequestRefundRequestObject) (gen.RequestRefundResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	id, ok := wire.PrefixPayment.Parse(r.Body.PaymentID)
	if !ok {
		return nil, errNotFound
	}
	res, err := s.Refunds.Request(ctx, refund.Ask{Merchant: merchant, Key: key(ctx), Payment: id, Amount: r.Body.AmountMinor, Reason: r.Body.Reason})
	if errors.Is(err, once.ErrCommitUnknown) {
		err = &checkout.UnavailableError{Executed: "unknown", RetryAfter: time.Second, Cause: err}
	}
	if err != nil {
		return nil, noteError(ctx, s.unknownFirst(ctx, merchant, id, err))
	}
	result := checkout.Result{Answer: res.Answer, Replayed: res.Replayed, Fate: fateOfRefund(res), PaymentID: id}
	noteResult(ctx, result)
	return answer{result}, nil
}

func fateOfRefund(r refund.Result) checkout.Fate {
	switch {
	case r.Replayed:
		return checkout.Replayed
	case r.Refused:
		return checkout.Rejected
	}
	return checkout.Executed
}

// ListRefunds is GET /v1/refunds.
func (s *server) ListRefunds(ctx context.Context, r gen.ListRefundsRequestObject) (gen.ListRefundsResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	p, err := pageOf(wire.PrefixRefund, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	of, err := paymentFilter(r.Params.PaymentID)
	if err != nil {
		return nil, err
	}
	all, err := s.Refunds.Refunds(ctx, merchant, of, p.before, p.limit+1)
	if err != nil {
		return nil, err
	}
	all, next := cut(p, all, func(r refund.Refund) uuid.UUID { return r.ID })
	list := make([]wire.Refund, 0, len(all))
	for _, one := range all {
		list = append(list, wire.RefundView(one))
	}
	return gen.ListRefunds200JSONResponse{Data: list, NextCursor: next}, nil
}

// GetRefund is GET /v1/refunds/{id}.
func (s *server) GetRefund(ctx context.Context, r gen.GetRefundRequestObject) (gen.GetRefundResponseObject, error) {
	one, err := s.refund(detach(ctx), r.RefundID)
	return gen.GetRefund200JSONResponse(wire.RefundView(one)), err
}

// GetRefundSaga is GET /v1/refunds/{id}/saga.
func (s *server) GetRefundSaga(ctx context.Context, r gen.GetRefundSagaRequestObject) (gen.GetRefundSagaResponseObject, error) {
	ctx = detach(ctx)
	one, err := s.refund(ctx, r.RefundID)
	if err != nil {
		return nil, err
	}
	story, err := patterns.Sagas.Read(ctx, s.DB.Once(), one.SagaID.String())
	return gen.GetRefundSaga200JSONResponse(wire.SagaView(s.Refunds.Story, story)), err
}

// refund reads a refund of the caller's.
func (s *server) refund(ctx context.Context, name string) (refund.Refund, error) {
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return refund.Refund{}, err
	}
	id, ok := wire.PrefixRefund.Parse(name)
	if !ok {
		return refund.Refund{}, errNotFound
	}
	return s.Refunds.Refund(ctx, merchant, id)
}

// CheckInTicket is POST /v1/tickets/{id}/check-in.
func (s *server) CheckInTicket(ctx context.Context, r gen.CheckInTicketRequestObject) (gen.CheckInTicketResponseObject, error) {
	ctx = detach(ctx)
	merchant, err := merchantOf(caller.From(ctx))
	if err != nil {
		return nil, err
	}
	id, ok := wire.PrefixTicket.Parse(r.TicketID)
	if !ok {
		return nil, errNotFound
	}
	t, err := tickets.Door{DB: s.DB}.CheckIn(ctx, merchant, id)
	return gen.CheckInTicket200JSONResponse(wire.TicketView(t.ID, t.Line, t.Number, t.Code, string(t.Status))), err
}

// ListSagas is GET /v1/ops/sagas. A sandbox sees its own, the operator all.
func (s *server) ListSagas(ctx context.Context, r gen.ListSagasRequestObject) (gen.ListSagasResponseObject, error) {
	ctx = detach(ctx)
	p, err := pageOf(wire.PrefixSaga, r.Params.Limit, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	who := caller.From(ctx)
	scope, before := "", ""
	if !who.Operator {
		scope = who.Merchant.String()
	}
	if p.before.Valid {
		before = p.before.UUID.String()
	}
	all, err := patterns.Sagas.Newest(ctx, s.DB.Once(), scope, before, p.limit+1)
	if err != nil {
		return nil, err
	}
	all, next := cut(p, all, func(s saga.Saga) uuid.UUID { return patterns.ID(s.ID) })
	list := make([]wire.Saga, 0, len(all))
	for _, one := range all {
		list = append(list, wire.SagaView(s.Refunds.Story, one))
	}
	return gen.ListSagas200JSONResponse{Data: list, NextCursor: next}, nil
}

// RetrySaga is POST /v1/ops/sagas/{id}/retry.
func (s *server) RetrySaga(ctx context.Context, r gen.RetrySagaRequestObject) (gen.RetrySagaResponseObject, error) {
	ctx = detach(ctx)
	id, err := s.saga(ctx, r.SagaID)
	if err != nil {
		return nil, err
	}
	if _, err := s.Refunds.Story.Retry(ctx, s.DB.Once(), id.String()); err != nil {
		return nil, err
	}
	s.Refunds.Wake()
	now, err := patterns.Sagas.Read(ctx, s.DB.Once(), id.String())
	return gen.RetrySaga202JSONResponse(wire.SagaView(s.Refunds.Story, now)), err
}

// ResolveSaga is POST /v1/ops/sagas/{id}/resolve.
func (s *server) ResolveSaga(ctx context.Context, r gen.ResolveSagaRequestObject) (gen.ResolveSagaResponseObject, error) {
	ctx = detach(ctx)
	id, err := s.saga(ctx, r.SagaID)
	if err != nil {
		return nil, err
	}
	who := "operator"
	if c := caller.From(ctx); !c.Operator {
		who = wire.PrefixMerchant.ID(c.Merchant)
	}
	if _, err := s.Refunds.Story.Resolve(ctx, s.DB.Once(), id.String(), saga.State(r.Body.Outcome), who, r.Body.Reason); err != nil {
		return nil, err
	}
	s.Refunds.Wake()
	now, err := patterns.Sagas.Read(ctx, s.DB.Once(), id.String())
	return gen.ResolveSaga202JSONResponse(wire.SagaView(s.Refunds.Story, now)), err
}

// saga finds a saga that the caller may decide about: its own, or, for the
// operator, anybody's.
func (s *server) saga(ctx context.Context, name string) (uuid.UUID, error) {
	id, ok := wire.PrefixSaga.Parse(name)
	if !ok {
		return uuid.Nil, errNotFound
	}
	one, err := patterns.Sagas.Read(ctx, s.DB.Once(), id.String())
	if who := caller.From(ctx); err == nil && !who.Operator && one.Scope != who.Merchant.String() {
		return uuid.Nil, errNotFound
	}
	return id, err
}
