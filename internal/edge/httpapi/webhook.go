package httpapi

import (
	"context"
	"errors"

	"github.com/gin-gonic/gin"

	"payonce/internal/edge/httpapi/gen"
	"payonce/internal/edge/wire"
	"payonce/internal/platform/fault"
	"payonce/internal/shop/provider"
	"payonce/once/webhook"
)

// signed lets a message of the provider in: 400, 401. It stands before
// everything else that would look into the body.
func (s *server) signed(c *gin.Context) {
	if !operationOf(c).signed {
		return
	}
	if s.Webhooks == nil || s.ReadNotice == nil {
		s.refuse(c, errNotFound)
		return
	}
	if err := fault.Point("webhook.before_verify"); err != nil {
		s.refuse(c, err)
		return
	}
	m, err := s.Webhooks.Verify(c.Request.Header, bodyOf(c))
	if err != nil {
		s.limits.take(forger(s.client(c)))
		s.refused.Do(func() {
			s.Log.Warn("a webhook was refused; others within this second are not logged", "request_id", requestID(c.Request.Context()), "error", err)
		})
		s.refuse(c, err)
		return
	}
	notice, err := s.ReadNotice(m.Body)
	if err != nil {
		s.refuse(c, s.unreadable(c.Request.Context(), m, err))
		return
	}
	with(c, webhookKey, believed{m, notice})
}

// believed is a message that is the provider's and can be read.
type believed struct {
	message webhook.Message
	notice  provider.Notice
}

// unreadable tells a person before the sender. When that cannot be written down
// either, the store is away, and the sender comes again.
func (s *server) unreadable(ctx context.Context, m webhook.Message, why error) error {
	s.Log.Error("a signed webhook cannot be read", "request_id", requestID(ctx), "message", m.ID, "error", why)
	if err := s.Checkout.UnreadableNotice(ctx, m, why); err != nil {
		return err
	}
	return why
}

// unbelieved is the part of the table from error to problem that speaks of
// webhooks; nil when err does not.
func unbelieved(err error) *refusal {
	switch {
	case errors.Is(err, webhook.ErrMalformed):
		return no(wire.KindWebhookMalformed, "Send webhook-id, webhook-timestamp and webhook-signature, each once.")
	case errors.Is(err, webhook.ErrSignature):
		return no(wire.KindWebhookSignature, "No signature of this message fits its bytes.")
	case errors.Is(err, webhook.ErrTimestamp):
		return no(wire.KindWebhookTimestamp, "The timestamp must be within five minutes of now.")
	case errors.Is(err, webhook.ErrTooLarge):
		return no(wire.KindBodyTooLarge, "A body may have at most 65,536 bytes.")
	case errors.Is(err, provider.ErrNotice):
		return no(wire.KindWebhookUnreadable, "The signed body is no message that can be read.")
	}
	return nil
}

// ReceiveProviderWebhook is POST /v1/webhooks/provider. What it answers with 200
// is durable.
func (s *server) ReceiveProviderWebhook(ctx context.Context, _ gen.ReceiveProviderWebhookRequestObject) (gen.ReceiveProviderWebhookResponseObject, error) {
	ctx = detach(ctx)
	b, verified := ctx.Value(webhookKey).(believed)
	if !verified {
		return nil, errors.New("a webhook that nobody verified")
	}
	got, err := s.Checkout.ReceiveNotice(ctx, b.message, b.notice)
	if err != nil {
		return nil, err
	}
	if err := fault.Point("webhook.before_2xx", got.Merchant, got.Payment); err != nil {
		return nil, err
	}
	outcome := wire.WebhookReceiptOutcomeAccepted
	switch {
	case got.Verdict == webhook.Known:
		outcome = wire.WebhookReceiptOutcomeKnown
	case got.Verdict == webhook.Altered, b.notice.Charge == nil && b.notice.Refund == nil:
		outcome = wire.WebhookReceiptOutcomeIgnored
	}
	return gen.ReceiveProviderWebhook200JSONResponse(wire.WebhookReceipt{MessageID: b.message.ID, Outcome: outcome}), nil
}
