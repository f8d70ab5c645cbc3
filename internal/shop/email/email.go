package email

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// Name is the consumer's name: of its queue and of its rows in the inbox.
const Name = event.ConsumerEmail

// Types are the events that owe somebody a mail.
var Types = event.TypesOf(Name)

// Templates.
const (
	Receipt      = "receipt"
	Declined     = "declined"
	Refunded     = "refunded"
	RefundFailed = "refund_failed"
)

// ErrUnknownEvent says that the event is none this package can read, or that no
// mail can be made of it. No retry cures it.
var ErrUnknownEvent = errors.New("email: unknown event")

// Consumer queues mails.
type Consumer struct {
	// PublicURL is where the shop is, for links.
	PublicURL string
}

// Handle queues one mail for each message, in one round trip. After nil every
// mail is owed: queued now, or queued (and perhaps sent) before. Wake the
// [Mailer] after the commit.
func (c Consumer) Handle(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	letters := make([]letter, 0, len(batch))
	for _, m := range batch {
		l, err := c.read(m)
		if err != nil {
			return retry.Permanent(err)
		}
		letters = append(letters, l)
	}
	return queue(ctx, tx, letters)
}

func (c Consumer) read(m inbox.Message) (letter, error) {
	switch m.Type {
	case event.TypePaymentCaptured:
		e, err := event.Decode[event.PaymentCaptured](m.Payload)
		if err != nil {
			return letter{}, fmt.Errorf("%w: %w", ErrUnknownEvent, err)
		}
		return checked(c.receipt(e), m)
	case event.TypePaymentDeclined:
		e, err := event.Decode[event.PaymentDeclined](m.Payload)
		if err != nil {
			return letter{}, fmt.Errorf("%w: %w", ErrUnknownEvent, err)
		}
		return checked(c.declined(e), m)
	case event.TypeRefundCompleted:
		e, err := event.Decode[event.RefundCompleted](m.Payload)
		if err != nil {
			return letter{}, fmt.Errorf("%w: %w", ErrUnknownEvent, err)
		}
		return checked(c.refunded(e), m)
	case event.TypeRefundFailed:
		e, err := event.Decode[event.RefundFailed](m.Payload)
		if err != nil {
			return letter{}, fmt.Errorf("%w: %w", ErrUnknownEvent, err)
		}
		return checked(c.refundFailed(e), m)
	case event.TypeRefundRecorded:
		e, err := event.Decode[event.RefundRecorded](m.Payload)
		if err != nil {
			return letter{}, fmt.Errorf("%w: %w", ErrUnknownEvent, err)
		}
		return checked(c.refundRecorded(e), m)
	}
	return letter{}, fmt.Errorf("%w: type %q", ErrUnknownEvent, m.Type)
}

// checked refuses a mail that could not be sent, before it is owed.
func checked(l letter, m inbox.Message) (letter, error) {
	if l.merchant == uuid.Nil || l.payment == uuid.Nil {
		return letter{}, fmt.Errorf("%w: no merchant or no payment", ErrUnknownEvent)
	}
	if err := l.amount.Valid(); err != nil {
		return letter{}, fmt.Errorf("%w: %w", ErrUnknownEvent, err)
	}
	if _, err := event.ParseAddress(string(l.recipient)); err != nil {
		return letter{}, fmt.Errorf("%w: the recipient %w", ErrUnknownEvent, err)
	}
	l.traceparent = m.Traceparent
	return l, nil
}

// queueSQL has no conflict target: the Message-ID is made of the business key,
// so a rival may be met on either of the table's two unique indexes.
const queueSQL = `
INSERT INTO emails (id, merchant_id, payment_id, template, business_key, message_id, recipient, subject, body, traceparent)
SELECT id, merchant_id, payment_id, template, business_key, message_id, recipient, subject, body, traceparent
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
    AS m (id, merchant_id, payment_id, template, business_key, message_id, recipient, subject, body, traceparent)
 ORDER BY template, business_key -- one order for all workers: they wait, but not in a circle
ON CONFLICT DO NOTHING`

func queue(ctx context.Context, tx postgres.Tx, letters []letter) error {
	columns := make([][]string, 10)
	for _, l := range letters {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		for i, value := range []string{
			id.String(), l.merchant.String(), l.payment.String(), l.template, l.businessKey,
			l.messageID(), string(l.recipient), l.subject, l.body, l.traceparent,
		} {
			columns[i] = append(columns[i], value)
		}
	}
	args := make([]any, 0, len(columns))
	for _, c := range columns {
		args = append(args, pq.Array(c))
	}
	_, err := tx.Exec(ctx, queueSQL, args...)
	return err
}
