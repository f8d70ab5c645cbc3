package tickets

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// Name is the consumer's name: of its queue and of its rows in the inbox.
const Name = event.ConsumerTickets

// Types are the events that tickets reads.
var Types = event.TypesOf(Name)

// MaxPerOrder bounds what one event can make: a line with a quantity of two
// billion is poison, not an order.
const MaxPerOrder = 1000

// Errors that no retry cures.
var (
	// ErrUnknownEvent says that the event is none this package can read.
	ErrUnknownEvent = errors.New("tickets: unknown event")
	// ErrUnknownOrder says that nobody placed the order that was paid.
	ErrUnknownOrder = errors.New("tickets: unknown order")
	// ErrContradiction says that the order has tickets already, but not these.
	// They stay as they are; a person has to look.
	ErrContradiction = errors.New("tickets: issued before for another payment or other seats")
)

// Consumer issues the tickets of paid orders. The zero value works.
type Consumer struct {
	// Chance is where codes come from; nil means crypto/rand.
	Chance io.Reader
	// Now stamps the event for its readers; nil means the host's clock.
	Now func() time.Time
}

// Handle issues the tickets of each paid order and announces them, in tx, and
// answers the refund saga's commands. After nil every order has exactly its
// tickets, issued now or found issued, those issued now are announced, and every
// command is answered. After an error tx must not commit.
func (c Consumer) Handle(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	orders := make([]paidOrder, 0, len(batch))
	var commands, external []inbox.Message
	for _, m := range batch {
		switch {
		case Refunds.Actions[m.Type] != nil:
			commands = append(commands, m)
			continue
		case m.Type == event.TypeRefundRecorded:
			external = append(external, m)
			continue
		}
		o, err := c.read(m)
		if err != nil {
			return retry.Permanent(err)
		}
		orders = append(orders, o)
	}
	if len(orders) > 0 {
		if err := c.issue(ctx, tx, orders); err != nil {
			return err
		}
	}
	for _, m := range external {
		if err := afterExternal(ctx, tx, m); err != nil {
			return err
		}
	}
	if len(commands) == 0 {
		return nil
	}
	return Refunds.Handle(ctx, tx, commands)
}

// A paidOrder is an order and the seats that it has paid for.
type paidOrder struct {
	merchant, order, payment uuid.UUID
	traceparent              string
	seats                    []seat
}

type seat struct{ line, number int }

func (c Consumer) read(m inbox.Message) (paidOrder, error) {
	if m.Type != event.TypePaymentCaptured {
		return paidOrder{}, fmt.Errorf("%w: type %q", ErrUnknownEvent, m.Type)
	}
	e, err := event.Decode[event.PaymentCaptured](m.Payload)
	if err != nil {
		return paidOrder{}, fmt.Errorf("%w: %w", ErrUnknownEvent, err)
	}
	o := paidOrder{merchant: e.MerchantID, order: e.OrderID, payment: e.PaymentID, traceparent: m.Traceparent}
	if slices.Contains([]uuid.UUID{o.merchant, o.order, o.payment}, uuid.Nil) {
		return paidOrder{}, fmt.Errorf("%w: no merchant, order or payment", ErrUnknownEvent)
	}
	for i, l := range e.Lines {
		if l.Quantity < 1 || l.Quantity > MaxPerOrder-len(o.seats) {
			return paidOrder{}, fmt.Errorf("%w: line %d asks for %d seats, an order may have 1 … %d", ErrUnknownEvent, i+1, l.Quantity, MaxPerOrder)
		}
		for n := range l.Quantity {
			o.seats = append(o.seats, seat{line: i + 1, number: n + 1})
		}
	}
	if len(o.seats) == 0 {
		return paidOrder{}, fmt.Errorf("%w: the order has no lines", ErrUnknownEvent)
	}
	return o, nil
}

func (c Consumer) chance() io.Reader {
	if c.Chance != nil {
		return c.Chance
	}
	return rand.Reader
}

func (c Consumer) now() time.Time {
	if c.Now != nil {
		return c.Now().UTC()
	}
	return time.Now().UTC() //nolint:forbidigo // shown to readers of the event, decides nothing
}
