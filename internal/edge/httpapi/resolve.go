package httpapi

import (
	"context"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
	"payonce/internal/shop/checkout"
)

// ResolvePayment is POST /v1/ops/payments/{id}/resolve. The answer stands behind
// the commit of decision and effect.
func (s *server) ResolvePayment(ctx context.Context, r gen.ResolvePaymentRequestObject) (gen.ResolvePaymentResponseObject, error) {
	ctx = detach(ctx)
	p, who, err := s.decidable(ctx, r.PaymentID)
	if err != nil {
		return nil, err
	}
	done, err := s.Checkout.Resolve(ctx, checkout.Resolve{Payment: p, Decision: string(r.Body.Decision), Reason: r.Body.Reason, By: who})
	if err != nil {
		return nil, err
	}
	return gen.ResolvePayment202JSONResponse{
		Payment: wire.PaymentView(done.Payment), AttemptNo: done.AttemptNo, Decision: wire.PaymentResolutionDecision(done.Decision),
		Reason: done.Reason, DecidedBy: done.By, DecidedAt: wire.At(done.DecidedAt),
	}, nil
}

// decidable is a payment that the caller may decide about, its own or, for the
// operator, anybody's, and how the caller is written down.
func (s *server) decidable(ctx context.Context, name string) (checkout.Payment, string, error) {
	who := caller.From(ctx)
	if !who.Operator {
		p, err := s.payment(ctx, name)
		return p, nameOf(who), err
	}
	id, ok := wire.PrefixPayment.Parse(name)
	if !ok {
		return checkout.Payment{}, "", errNotFound
	}
	p, err := s.Checkout.AnyPayment(ctx, id)
	return p, nameOf(who), err
}
