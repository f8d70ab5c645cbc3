package naive

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/message"
	"payonce/once/outbox"
)

const (
	// Exchange is where everything of the naive shop is published.
	Exchange = "payonce.naive"
	source   = "/payonce/naive"
	// nowhere is a routing key that no queue is bound for.
	nowhere = "naive.nowhere"
	// unguarded is added to the routing key of what goes to consumers without an
	// inbox.
	unguarded = ".bare"
)

// fact is what an event tells of a checkout. Its guards travel with it.
type fact struct {
	Checkout    uuid.UUID `json:"checkout_id"`
	Merchant    uuid.UUID `json:"merchant_id"`
	Guards      []string  `json:"guards"`
	Status      string    `json:"status"`
	Email       string    `json:"email"`
	Quantity    int       `json:"quantity"`
	AmountMinor int64     `json:"amount_minor"`
	Currency    string    `json:"currency"`
}

func factOf(c checkout) fact {
	return fact{c.ID, c.Merchant, c.Guards, c.Status, c.Email, c.Quantity, c.AmountMinor, c.Currency}
}

func (f fact) has(g Guard) bool { return checkout{Guards: f.Guards}.has(g) }

func isFact(kind string) bool { return kind == typeCaptured || kind == typeDeclined }

// outlet publishes for the api and for the relay. It is where troubles on the way
// strike, so that they do the same to both.
type outlet struct {
	db        *postgres.DB
	publisher outbox.Publisher
}

// Send implements outbox.Publisher. Without the guard confirms nobody listens to
// what the broker says of the message: it is out as soon as it was written.
func (o outlet) Send(ctx context.Context, m message.Message, done func(error)) error {
	m.Exchange = Exchange
	if !isFact(m.Type) { // The refund's own messages are always guarded.
		if m.Type == voidTickets+".done" && o.strikes(ctx, m, LoseReply) {
			done(nil)
			return nil
		}
		return o.publisher.Send(ctx, m, done)
	}
	var f fact
	if err := json.Unmarshal(m.Body, &f); err != nil {
		return err
	}
	if !f.has(Inbox) {
		m.Key += unguarded
	}
	if o.strikes(ctx, m, NoQueue) {
		m.Key = nowhere
	}
	nobody := func(error) {}
	if o.strikes(ctx, m, DeliverTwice) {
		if err := o.publisher.Send(ctx, m, nobody); err != nil {
			return err
		}
	}
	if f.has(Confirms) {
		return o.publisher.Send(ctx, m, done)
	}
	if err := o.publisher.Send(ctx, m, nobody); err != nil {
		return err
	}
	done(nil)
	return nil
}

func (o outlet) strikes(ctx context.Context, m message.Message, t Trouble) bool {
	e, err := patterns.Format.Parse(m)
	return err == nil && strikes(ctx, o.db, patterns.ID(e.Correlation), t)
}
