package naive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/money"
	"payonce/internal/shop/provider"
	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/retry"
	"payonce/once/saga"
)

// The refund's messages.
const (
	typeRefundRequested = "naive.refund_requested"
	voidTickets         = "naive.void_tickets"
	reinstateTickets    = "naive.reinstate_tickets"
	askRefund           = "naive.refund"
)

// story is the refund with undo before do: from the commit that records "void the
// tickets" their reinstatement is due, whatever is heard of it.
var story = saga.Definition{
	Store: patterns.Sagas,
	Name:  "naive refund", Start: typeRefundRequested, Ended: refundEnded,
	Steps: []saga.Step{
		{Name: "void_tickets", Do: voidTickets, Undo: reinstateTickets, Deadline: 2 * time.Second, Tries: 1},
		{Name: "refund", Do: askRefund, Pivot: true, Deadline: 10 * time.Second},
	},
}

// refundOf is what the saga carries.
type refundOf struct {
	Checkout    uuid.UUID `json:"checkout_id"`
	Merchant    uuid.UUID `json:"merchant_id"`
	ChargeID    string    `json:"charge_id"`
	AmountMinor int64     `json:"amount_minor"`
	Currency    string    `json:"currency"`
	OneKey      bool      `json:"one_key"` // the guard provider-key
}

// key is the refund's key at the provider: one for ever, or another each time.
func (r refundOf) key() string {
	if r.OneKey {
		return "naive:" + prefix.ID(r.Checkout) + ":refund"
	}
	return "naive:" + uuid.NewString()
}

func (r refundOf) request() provider.RefundRequest {
	return provider.RefundRequest{Key: r.key(), ChargeID: r.ChargeID, Reference: prefix.ID(r.Checkout), Amount: money.Of(r.AmountMinor, r.Currency)}
}

// errNotCaptured says that there is nothing to give back.
var errNotCaptured = errors.New("the checkout is not captured, or its refund was asked for")

const (
	askedSQL = `
UPDATE naive.checkouts SET refund = 'asked', events = events + 1
 WHERE id = $1 AND merchant_id = $2 AND status = 'captured' AND refund <> 'asked'
RETURNING events`
	endedSQL     = `UPDATE naive.checkouts SET refund = $2 WHERE id = $1`
	voidSQL      = `UPDATE naive.tickets SET status = 'void' WHERE checkout_id = $1 AND status = 'issued'`
	reinstateSQL = `UPDATE naive.tickets SET status = 'issued' WHERE checkout_id = $1 AND status = 'void'`
)

// refund gives everything back. It returns how the checkout's refund stands.
func (s *Shop) refund(ctx context.Context, c checkout) (string, error) {
	r := refundOf{c.ID, c.Merchant, c.ChargeID.String, c.AmountMinor, c.Currency, c.has(ProviderKey)}
	guarded := c.has(UndoBeforeDo)
	err := postgres.InTx(ctx, s.db, func(tx postgres.Tx) error {
		var version []int64
		if err := tx.Select(ctx, &version, askedSQL, c.ID, c.Merchant); err != nil {
			return err
		}
		if len(version) == 0 {
			return errNotCaptured
		}
		if !guarded {
			return nil
		}
		return open(ctx, tx, r, version[0])
	})
	if postgres.Violated(err) != "" {
		err = errNotCaptured // A checkout has one saga.
	}
	if err != nil || guarded {
		return "asked", err
	}
	state, err := s.hastily(context.WithoutCancel(ctx), r)
	return state, errors.Join(err, s.run(context.WithoutCancel(ctx), endedSQL, c.ID, state))
}

func open(ctx context.Context, tx postgres.Tx, r refundOf, version int64) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	e, err := patterns.NewEvent(r.Merchant, r.Checkout, "naive_checkout", r.Checkout, typeRefundRequested, r)
	if err != nil {
		return err
	}
	e.AggregateVersion = version
	if err := story.Open(ctx, tx, saga.Saga{ID: id.String(), Scope: r.Merchant.String(), Correlation: r.Checkout.String(), Subject: r.Checkout.String(), Data: data}); err != nil {
		return err
	}
	return patterns.Append(ctx, tx, e)
}

// hastily is the refund as a function of three lines: each step, and the undo of
// what is known to be done. A step whose answer is lost is taken for one that
// failed, and what failed needs no undo.
func (s *Shop) hastily(ctx context.Context, r refundOf) (string, error) {
	if err := s.run(ctx, voidSQL, r.Checkout); err != nil {
		return "failed", err
	}
	if strikes(ctx, s.db, r.Checkout, LoseReply) {
		return "failed", nil
	}
	call, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	given, err := s.gateway.Refund(call, r.request())
	if err != nil || given.Status != provider.Succeeded {
		return "failed", s.run(ctx, reinstateSQL, r.Checkout)
	}
	return "refunded", nil
}

func (s *Shop) run(ctx context.Context, query string, args ...any) error {
	return postgres.InTx(ctx, s.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}

// refundEnded is the saga's last word.
func refundEnded(ctx context.Context, tx once.Tx, s saga.Saga) error {
	state := "refunded"
	if s.State == saga.Compensated {
		state = "failed"
	}
	_, err := tx.Exec(ctx, endedSQL, s.Subject, state)
	return err
}

// participant is the tickets' part of the saga.
func participant() saga.Participant {
	doing := func(query string) saga.Action {
		return func(ctx context.Context, tx once.Tx, c saga.Command) error {
			r, err := saga.DataOf[refundOf](c)
			if err != nil {
				return retry.Permanent(err)
			}
			_, err = tx.Exec(ctx, query, r.Checkout)
			return err
		}
	}
	return patterns.Participant(map[string]saga.Action{voidTickets: doing(voidSQL), reinstateTickets: doing(reinstateSQL)})
}

// outside is the provider's part: asked under one key, then recorded.
func outside(gateway provider.Refunder) *inbox.Around {
	return saga.Outside{Store: patterns.Sagas, Type: askRefund, Ask: func(ctx context.Context, c saga.Command, _ bool) error {
		r, err := saga.DataOf[refundOf](c)
		if err != nil {
			return retry.Permanent(err)
		}
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		given, err := gateway.Refund(ctx, r.request())
		switch {
		case err != nil:
			return retry.Ambiguous(fmt.Errorf("refund a naive checkout: %w", err))
		case given.Status != provider.Succeeded:
			return saga.Refuse(given.DeclineCode)
		}
		return nil
	}}.Around()
}
