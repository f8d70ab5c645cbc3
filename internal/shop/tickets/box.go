package tickets

import (
	"context"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// Box answers questions about tickets. It never writes.
type Box struct {
	DB postgres.Reader
}

// Status is what a ticket is good for.
type Status string

// Statuses of a ticket.
const (
	Issued Status = "issued" // opens the door
	Used   Status = "used"   // has opened it
	Void   Status = "void"   // its money goes back
)

// Ticket is one seat sold.
type Ticket struct {
	ID        uuid.UUID `db:"id"`
	OrderID   uuid.UUID `db:"order_id"`
	PaymentID uuid.UUID `db:"payment_id"`
	Line      int       `db:"line"`   // position in the order, from 1
	Number    int       `db:"number"` // seat of the line, from 1
	Code      string    `db:"code"`
	Status    Status    `db:"status"`
	IssuedAt  time.Time `db:"issued_at"`
}

const ofOrderSQL = `
SELECT id, order_id, payment_id, line, number, code, status, issued_at
  FROM tickets WHERE order_id = $1 ORDER BY line, number`

// OfOrder returns an order's tickets by line and number; none before it is paid.
func (b Box) OfOrder(ctx context.Context, order uuid.UUID) ([]Ticket, error) {
	var all []Ticket
	err := b.DB.Select(ctx, &all, ofOrderSQL, order)
	return all, err
}
