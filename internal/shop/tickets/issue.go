package tickets

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/outbox"
	"payonce/once/retry"
)

// issuedVersion is the place of tickets.issued among an order's events: it comes
// second, after order.placed, and there is one.
const issuedVersion = 2

// issueSQL inserts the seats that are not taken yet and tells which those were.
const issueSQL = `
INSERT INTO tickets (id, merchant_id, order_id, payment_id, line, number, code)
SELECT id, merchant_id, order_id, payment_id, line, number, code
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::integer[], $6::integer[], $7::text[])
    AS t (id, merchant_id, order_id, payment_id, line, number, code)
ON CONFLICT ON CONSTRAINT tickets_once DO NOTHING
RETURNING id, order_id`

// issue inserts the tickets of all orders in one round trip and writes one event
// for each order that got them now. Orders are sorted, so that two workers with
// the same ones wait for each other in one order and never in a circle.
func (c Consumer) issue(ctx context.Context, tx postgres.Tx, orders []paidOrder) error {
	slices.SortFunc(orders, func(a, b paidOrder) int { return bytes.Compare(a.order[:], b.order[:]) })
	args, err := c.columns(orders)
	if err != nil {
		return err
	}
	var rows []struct {
		ID      uuid.UUID `db:"id"`
		OrderID uuid.UUID `db:"order_id"`
	}
	if err := tx.Select(ctx, &rows, issueSQL, args...); err != nil {
		return classify(err)
	}
	issued := map[uuid.UUID][]uuid.UUID{}
	for _, r := range rows {
		issued[r.OrderID] = append(issued[r.OrderID], r.ID)
	}
	return c.announce(ctx, tx, orders, issued)
}

// columns draws ids and codes and lays the seats out for unnest.
func (c Consumer) columns(orders []paidOrder) ([]any, error) {
	var (
		ids, merchants, of, payments, codes []string
		lines, numbers                      []int64
	)
	for _, o := range orders {
		for _, s := range o.seats {
			id, err := uuid.NewV7()
			if err != nil {
				return nil, err
			}
			code, err := drawCode(c.chance())
			if err != nil {
				return nil, err
			}
			ids, codes = append(ids, id.String()), append(codes, code)
			merchants = append(merchants, o.merchant.String())
			of = append(of, o.order.String())
			payments = append(payments, o.payment.String())
			lines, numbers = append(lines, int64(s.line)), append(numbers, int64(s.number))
		}
	}
	return []any{
		pq.Array(ids), pq.Array(merchants), pq.Array(of), pq.Array(payments),
		pq.Array(lines), pq.Array(numbers), pq.Array(codes),
	}, nil
}

// classify tells poison from bad luck: the next run draws other codes.
func classify(err error) error {
	switch postgres.Violated(err) {
	case "tickets_order_id_fkey":
		return retry.Permanent(fmt.Errorf("%w: %w", ErrUnknownOrder, err))
	case "tickets_code_once":
		return retry.Transient(err)
	}
	return err
}

// announce writes tickets.issued for every order whose tickets tx inserted, and
// checks those that had theirs before.
func (c Consumer) announce(ctx context.Context, tx postgres.Tx, orders []paidOrder, issued map[uuid.UUID][]uuid.UUID) error {
	var news []outbox.Event
	for _, o := range orders {
		ids := issued[o.order]
		if len(ids) == 0 {
			if err := alreadyIssued(ctx, tx, o); err != nil {
				return err
			}
			continue
		}
		if len(ids) != len(o.seats) {
			return retry.Permanent(fmt.Errorf("%w: %s", ErrContradiction, event.OrderName(o.order)))
		}
		delete(issued, o.order) // a twin in the same batch announces nothing
		e, err := c.issuedEvent(o, ids)
		if err != nil {
			return err
		}
		news = append(news, e)
	}
	return patterns.Append(ctx, tx, news...)
}

func (c Consumer) issuedEvent(o paidOrder, tickets []uuid.UUID) (outbox.Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return outbox.Event{}, err
	}
	payload, err := json.Marshal(event.TicketsIssued{
		Schema: event.SchemaVersion, MerchantID: o.merchant, OrderID: o.order, PaymentID: o.payment,
		TicketIDs: tickets, IssuedAt: c.now(),
	})
	return outbox.Event{
		ID: id.String(), Type: event.TypeTicketsIssued, Payload: payload,
		AggregateType: "order", AggregateID: o.order.String(), AggregateVersion: issuedVersion,
		Scope: patterns.Text(o.merchant), Correlation: patterns.Text(o.payment), Traceparent: o.traceparent,
	}, err
}

// alreadyIssued says whether the tickets that are there are the ones paid for.
func alreadyIssued(ctx context.Context, tx postgres.Tx, o paidOrder) error {
	there, err := Box{DB: tx}.OfOrder(ctx, o.order)
	if err != nil {
		return err
	}
	same := len(there) == len(o.seats)
	for _, t := range there {
		same = same && t.PaymentID == o.payment && slices.Contains(o.seats, seat{t.Line, t.Number})
	}
	if !same {
		return retry.Permanent(fmt.Errorf("%w: %s", ErrContradiction, event.OrderName(o.order)))
	}
	return nil
}
