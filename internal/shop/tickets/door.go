package tickets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// Errors of the door.
var (
	ErrNotFound = errors.New("tickets: no such ticket")
	ErrVoid     = errors.New("the ticket is void: its money went back, or is on its way")
)

// UsedError says that somebody came in with this ticket before. Who asks twice
// with one ticket in hand is two people as far as a door can tell, so the second
// one is refused; the time lets staff tell a lost answer from a copy.
type UsedError struct{ At time.Time }

// Error implements error.
func (e *UsedError) Error() string {
	return fmt.Sprintf("the ticket was used at %s", e.At.UTC().Format(time.RFC3339))
}

// Door lets people in.
type Door struct {
	DB *postgres.DB
}

const (
	lookSQL = `SELECT status, used_at FROM tickets WHERE id = $1 AND merchant_id = $2 FOR UPDATE`
	useSQL  = `
UPDATE tickets SET status = 'used', used_at = clock_timestamp()
 WHERE id = $1 AND merchant_id = $2 AND status = 'issued'
RETURNING id, order_id, payment_id, line, number, code, status, issued_at`
)

// CheckIn uses a ticket, once. After nil nobody comes in with it again, and no
// refund voids it; [ErrVoid] and [*UsedError] say why it was refused.
func (d Door) CheckIn(ctx context.Context, merchant, ticket uuid.UUID) (t Ticket, err error) {
	err = postgres.InTx(ctx, d.DB, func(tx postgres.Tx) error {
		var now struct {
			Status Status       `db:"status"`
			UsedAt sql.NullTime `db:"used_at"`
		}
		err := tx.Get(ctx, &now, lookSQL, ticket, merchant)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrNotFound
		case err != nil:
			return err
		case now.Status == Void:
			return ErrVoid
		case now.Status == Used:
			return &UsedError{At: now.UsedAt.Time}
		}
		return tx.Get(ctx, &t, useSQL, ticket, merchant)
	})
	return t, err
}
