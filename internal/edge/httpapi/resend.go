package httpapi

import (
	"context"
	"errors"
	"time"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/delivery"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/strictjson"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/postgres"
)

// ResendEvents is POST /v1/ops/events/resend.
func (s *server) ResendEvents(ctx context.Context, r gen.ResendEventsRequestObject) (gen.ResendEventsResponseObject, error) {
	n, err := s.again(ctx, *r.Body, delivery.Resend, "events were sent again")
	if err != nil {
		return nil, err
	}
	s.Wake()
	return gen.ResendEvents202JSONResponse{Consumer: r.Body.Consumer, Queued: n, Complete: n < delivery.MostAgain}, nil
}

// TakeBackEvents is POST /v1/ops/events/take-back.
func (s *server) TakeBackEvents(ctx context.Context, r gen.TakeBackEventsRequestObject) (gen.TakeBackEventsResponseObject, error) {
	n, err := s.again(ctx, *r.Body, delivery.TakeBack, "events that were sent again were taken back")
	if err != nil {
		return nil, err
	}
	return gen.TakeBackEvents202JSONResponse{Consumer: r.Body.Consumer, TakenBack: n}, nil
}

// again does what the operator asks about a consumer's events of a time, and says how
// many they are.
func (s *server) again(ctx context.Context, asked wire.EventResendRequest, do func(context.Context, *postgres.DB, delivery.Again) (int64, error), done string) (int64, error) {
	ctx = detach(ctx)
	who := caller.From(ctx)
	if !who.Operator {
		return 0, errOperator
	}
	from, until := time.Time(asked.From), time.Time(asked.Until)
	if !from.Before(until) {
		return 0, misplaced([]strictjson.Violation{{Pointer: "/until", Detail: "must be after from"}})
	}
	n, err := do(ctx, s.DB, delivery.Again{
		Consumer: asked.Consumer, From: from, Until: until, Limit: s.Letters.Limit, Who: nameOf(who), Why: asked.Reason,
	})
	if errors.Is(err, delivery.ErrNoConsumer) {
		return 0, misplaced([]strictjson.Violation{{Pointer: "/consumer", Detail: "is no consumer to which events are owed"}})
	}
	if err != nil {
		return 0, err
	}
	s.Log.Info(done, "consumer", asked.Consumer, "events", n, "who", nameOf(who), "request_id", requestID(ctx))
	return n, nil
}
