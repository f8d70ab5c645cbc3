package naive

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/email"
	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// The consumers. Each has two queues: one that is read through an inbox, and one
// that is acknowledged first.
const (
	ledgerQueue  = "naive.ledger"
	ticketsQueue = "naive.tickets"
	emailQueue   = "naive.email"
	sagaQueue    = "naive.saga"
	refundsQueue = "naive.refunds"
)

func readFact(body []byte) (f fact, err error) {
	if err := json.Unmarshal(body, &f); err != nil {
		return f, fmt.Errorf("read a naive event: %w", err)
	}
	return f, nil
}

const (
	bookSQL  = `INSERT INTO naive.ledger_transactions (merchant_id, checkout_id, amount_minor) VALUES ($1, $2, $3)`
	issueSQL = `INSERT INTO naive.tickets (merchant_id, checkout_id) SELECT $1, $2 FROM generate_series(1, $3::integer)`
)

// effect is what a consumer does for one event.
type effect func(ctx context.Context, tx postgres.Tx, f fact) error

func book(ctx context.Context, tx postgres.Tx, f fact) error {
	_, err := tx.Exec(ctx, bookSQL, f.Merchant, f.Checkout, f.AmountMinor)
	return err
}

func issue(ctx context.Context, tx postgres.Tx, f fact) error {
	_, err := tx.Exec(ctx, issueSQL, f.Merchant, f.Checkout, f.Quantity)
	return err
}

// deduped lets the inbox decide: the effect commits with the inbox row.
func deduped(do effect) inbox.Handler {
	return patterns.Handler(func(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
		for _, m := range batch {
			f, err := readFact(m.Payload)
			if err != nil {
				return retry.Permanent(err)
			}
			if err := do(ctx, tx, f); err != nil {
				return err
			}
		}
		return nil
	}).Inbox()
}

// bare consumes as most consumers begin their lives: acknowledged first, so that
// nothing is ever redelivered, and applied then, whatever came before.
func (b *Back) bare(do func(ctx context.Context, f fact) error) func(ctx context.Context, batch []rabbit.Delivery) {
	return func(ctx context.Context, batch []rabbit.Delivery) {
		for _, d := range batch {
			_ = rabbit.Ack(d) // What cannot be acknowledged comes twice, and is applied twice.
			f, err := readFact(d.Body)
			if err == nil {
				err = do(context.WithoutCancel(ctx), f)
			}
			if err != nil {
				b.log.Warn("the naive shop lost a message that it had acknowledged", "queue", d.Queue, "error", err)
			}
		}
	}
}

func (b *Back) inTx(do effect) func(ctx context.Context, f fact) error {
	return func(ctx context.Context, f fact) error {
		return postgres.InTx(ctx, b.db, func(tx postgres.Tx) error { return do(ctx, tx, f) })
	}
}

// asking sends mails through the inbox: ask, then record. Its Message-ID is made
// of the event's, so a mail that is sent again is one message at the mailbox.
func asking(sender email.Sender) *inbox.Around {
	return &inbox.Around{Types: []string{typeCaptured, typeDeclined}, Intend: func(_ context.Context, _ once.Tx, m inbox.Message) (inbox.Call, error) {
		f, err := readFact(m.Payload)
		if err != nil {
			return nil, retry.Permanent(err)
		}
		return func(ctx context.Context) (inbox.Record, error) {
			if err := send(ctx, sender, f, patterns.ID(m.EventID), m.Time); err != nil {
				return nil, retry.Ambiguous(err)
			}
			return func(context.Context, once.Tx) error { return nil }, nil
		}, nil
	}}
}

// sending sends a mail under an id made up for it, as mail libraries do.
func sending(sender email.Sender) func(ctx context.Context, f fact) error {
	return func(ctx context.Context, f fact) error {
		return send(ctx, sender, f, uuid.New(), time.Now())
	}
}

func send(ctx context.Context, sender email.Sender, f fact, id uuid.UUID, at time.Time) error {
	name := prefix.ID(f.Checkout)
	m := email.Mail{
		MessageID: "<naive." + id.String() + "@payonce>", To: f.Email, Date: at,
		Subject: "Your tickets, from the naive shop", Body: fmt.Sprintf("Thank you. %d tickets of %s.\n", f.Quantity, name),
	}
	if f.Status == "declined" {
		m.Subject, m.Body = "Your card was declined", "Nothing was charged for "+name+".\n"
	}
	return sender.Send(ctx, m)
}
