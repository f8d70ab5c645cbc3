package email

import (
	"context"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// Box answers questions about mails. It never writes.
type Box struct {
	DB postgres.Reader
}

// Entry is one mail that is or was owed.
type Entry struct {
	Template  string     `db:"template"`
	MessageID string     `db:"message_id"`
	Recipient string     `db:"recipient"`
	Subject   string     `db:"subject"`
	Status    string     `db:"status"` // queued, sent or failed
	Attempts  int        `db:"attempts"`
	QueuedAt  time.Time  `db:"queued_at"`
	SentAt    *time.Time `db:"sent_at"`
}

const ofPaymentSQL = `
SELECT template, message_id, recipient, subject, status, attempts, queued_at, sent_at
  FROM emails WHERE payment_id = $1 ORDER BY id`

// OfPayment returns a payment's mails, oldest first.
func (b Box) OfPayment(ctx context.Context, payment uuid.UUID) ([]Entry, error) {
	var all []Entry
	err := b.DB.Select(ctx, &all, ofPaymentSQL, payment)
	return all, err
}
