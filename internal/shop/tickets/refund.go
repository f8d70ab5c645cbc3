package tickets

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/retry"
	"payonce/once/saga"
)

// Refunds is the tickets' part in the refund saga.
var Refunds = patterns.Participant(map[string]saga.Action{
	event.CommandVoidTickets:      patterns.Act(void),
	event.CommandReinstateTickets: patterns.Act(reinstate),
})

// RefusedUsed says that somebody came in with one of the tickets.
const RefusedUsed = "ticket_used"

// errNotIssued says that there is nothing to void yet: payment.captured is still
// on its way, and void needs issued tickets.
var errNotIssued = errors.New("tickets: void needs issued tickets")

const (
	// In one order for all: a check-in locks one of these, another void all.
	lockOrderSQL = `SELECT status FROM tickets WHERE order_id = $1 ORDER BY id FOR UPDATE`

	voidSQL = `UPDATE tickets SET status = 'void', voided_by = $2 WHERE order_id = $1 AND status = 'issued'`

	// Only what this refund voided comes back.
	reinstateSQL = `UPDATE tickets SET status = 'issued', voided_by = NULL WHERE order_id = $1 AND voided_by = $2 AND status = 'void'`
)

// void makes an order's tickets worthless, all of them or none.
func void(ctx context.Context, tx postgres.Tx, c saga.Command) error {
	r, err := refundOf(c)
	if err != nil {
		return err
	}
	var states []Status
	if err := tx.Select(ctx, &states, lockOrderSQL, r.OrderID); err != nil {
		return err
	}
	if len(states) == 0 {
		return retry.Transient(errNotIssued)
	}
	for _, s := range states {
		if s == Used {
			return saga.Refuse(RefusedUsed)
		}
	}
	_, err = tx.Exec(ctx, voidSQL, r.OrderID, r.RefundID)
	return err
}

func reinstate(ctx context.Context, tx postgres.Tx, c saga.Command) error {
	r, err := refundOf(c)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, reinstateSQL, r.OrderID, r.RefundID)
	return err
}

func refundOf(c saga.Command) (event.Refund, error) {
	r, err := saga.DataOf[event.Refund](c)
	if err == nil && (r.OrderID == uuid.Nil || r.RefundID == uuid.Nil) {
		err = errors.New("no order or no refund")
	}
	if err != nil {
		return r, retry.Permanent(fmt.Errorf("%w: %w", ErrUnknownEvent, err))
	}
	return r, nil
}
