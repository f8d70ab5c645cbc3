package checkout

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"payonce/internal/platform/fault"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
	"payonce/once/outbox"
	"payonce/once/webhook"
)

// A provider's messages are aggregates of their own, each of one event. Their
// ids are made of what the provider calls them.
var messages = uuid.MustParse("7d0f0a4e-5d0c-4f0e-9a39-0d5a8f9be0a1")

// receipts are in the shop's own schema.
var receipts webhook.Receipts

// Noticed is a message that was received, and whose it is as far as anybody here
// knows; the zero ids when it is about nothing of ours.
type Noticed struct {
	Verdict           webhook.Verdict
	Merchant, Payment uuid.UUID
}

// ReceiveNotice writes down a verified message of the provider together with the
// event that it starts, in one transaction. After nil both are durable and the
// provider may be told so; after an error it has to send again. A message that
// was received before starts nothing.
func (s *Service) ReceiveNotice(ctx context.Context, m webhook.Message, n provider.Notice) (Noticed, error) {
	// A sender that hangs up does not undo what it has told.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)
	defer cancel()
	got, err := s.whose(ctx, n)
	if err != nil {
		return got, maybeExecuted(err)
	}
	e, err := noticeEvent(m, n, got)
	if err != nil {
		return got, err
	}
	err = fault.Point("webhook.before_receipt", got.Merchant, got.Payment)
	if err == nil {
		err = postgres.InTx(ctx, s.DB, func(tx postgres.Tx) (err error) {
			if got.Verdict, err = receipts.Receive(ctx, tx, n.Provider, m); err != nil {
				return err
			}
			switch {
			case got.Verdict == webhook.Altered:
				return AlertAltered.Raise(ctx, tx, uuid.Nil, n.Provider+"/"+m.ID, map[string]any{"kind": n.Kind})
			case got.Verdict == webhook.Fresh && e.Type != "":
				return patterns.Append(ctx, tx, e)
			}
			return nil
		})
	}
	if err == nil {
		err = fault.Point("webhook.after_receipt", got.Merchant, got.Payment)
	}
	if err != nil {
		return got, maybeExecuted(err)
	}
	s.noticed(ctx, m, n, got, e)
	return got, nil
}

const (
	// A charge that no attempt asked for may still name a payment.
	whoseSQL = `
SELECT merchant_id, payment_id FROM payment_attempts WHERE payment_id = $1 AND attempt_no = $2
UNION ALL
SELECT merchant_id, id FROM payments WHERE id = $3::uuid
LIMIT 1`
	// A refund names the charge that it takes from.
	whoseRefundSQL = `SELECT merchant_id, payment_id FROM payment_attempts WHERE provider_charge_id = $1 AND status = 'succeeded'`
)

// whose finds the payment that a message is about. It matters to whoever looks
// at the event, not to what becomes of it.
func (s *Service) whose(ctx context.Context, n provider.Notice) (Noticed, error) {
	var row struct {
		Merchant uuid.UUID `db:"merchant_id"`
		Payment  uuid.UUID `db:"payment_id"`
	}
	var err error
	switch {
	case n.Charge != nil:
		of, no, _ := attemptNamed(n.Charge.IdempotencyKey)
		spoken, _ := event.PaymentOf(n.Charge.Reference)
		err = s.DB.Get(ctx, &row, whoseSQL, of, no, spoken)
	case n.Refund != nil:
		err = s.DB.Get(ctx, &row, whoseRefundSQL, n.Refund.ChargeID)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Noticed{}, err
	}
	return Noticed{Merchant: row.Merchant, Payment: row.Payment}, nil
}

// noticeEvent is the event that a message starts; none for a message of no use.
func noticeEvent(m webhook.Message, n provider.Notice, of Noticed) (outbox.Event, error) {
	kind, payload := eventOf(m, n)
	if kind == "" {
		return outbox.Event{}, nil
	}
	aggregate := uuid.NewSHA1(messages, []byte(n.Provider+"\x00"+m.ID))
	e, err := patterns.NewEvent(of.Merchant, of.Payment, "provider_message", aggregate, kind, payload)
	e.AggregateVersion = 1
	return e, err
}

func eventOf(m webhook.Message, n provider.Notice) (kind string, payload any) {
	switch {
	case n.Charge != nil:
		kind = event.TypeProviderChargeFailed
		if n.Charge.Status == provider.Succeeded {
			kind = event.TypeProviderChargeSucceeded
		}
		return kind, event.ProviderCharge{
			Schema: event.SchemaVersion, Provider: n.Provider, MessageID: m.ID,
			ChargeID: n.Charge.ID, Reference: n.Charge.Reference, ProviderKey: n.Charge.IdempotencyKey,
			Amount: n.Charge.Amount, Status: string(n.Charge.Status), DeclineCode: n.Charge.DeclineCode, SentAt: m.At,
		}
	case n.Refund != nil:
		kind = event.TypeProviderRefundFailed
		if n.Refund.Status == provider.Succeeded {
			kind = event.TypeProviderRefundSucceeded
		}
		return kind, event.ProviderRefund{
			Schema: event.SchemaVersion, Provider: n.Provider, MessageID: m.ID,
			RefundID: n.Refund.ID, ChargeID: n.Refund.ChargeID, Reference: n.Refund.Reference, ProviderKey: n.Refund.IdempotencyKey,
			Amount: n.Refund.Amount, Status: string(n.Refund.Status), DeclineCode: n.Refund.DeclineCode, SentAt: m.At,
		}
	}
	return "", nil
}

// noticed shows what became of a message, in the words that there are for an
// attempt: it is one, of the provider.
func (s *Service) noticed(ctx context.Context, m webhook.Message, n provider.Notice, got Noticed, e outbox.Event) {
	about := observe.Event{Scope: got.Merchant, Correlation: got.Payment, Operation: "webhook", Key: m.ID, Detail: n.Kind}
	s.tell(ctx, observe.AttemptReceived, about)
	switch got.Verdict {
	case webhook.Known:
		s.tell(ctx, observe.Replayed, about)
	case webhook.Altered:
		s.Log.Error("a webhook came again with other content", "provider", n.Provider, "message", m.ID)
		s.tell(ctx, observe.Rejected, about)
	case webhook.Fresh:
		if e.Type == "" {
			return
		}
		s.Wake()
		about.Node, about.EventID, about.Type = "postgres", patterns.ID(e.ID), e.Type
		s.tell(ctx, observe.Committed, about)
	}
}

// UnreadableNotice tells a person that the provider signs what nobody here can
// read: once while it is open, however many messages follow. No receipt is
// written, so that the message may come again when somebody has taught us.
func (s *Service) UnreadableNotice(ctx context.Context, m webhook.Message, why error) error {
	return AlertUnreadable.RaiseAlone(ctx, s.DB, uuid.Nil, "provider", map[string]any{
		"message_id": m.ID, "sent_at": m.At, "bytes": len(m.Body), "reason": why.Error(),
	})
}
