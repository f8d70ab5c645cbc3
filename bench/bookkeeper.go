package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/internal/shop/event"
	"payonce/internal/shop/ledger"
)

// bare measures a consumer with nothing around it, which books so many messages in one
// transaction.
func (l *ledgers) bare(together int) func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) error {
		// The worker is stopped, or it would take the messages.
		if err := stop(l.worker); err != nil {
			return err
		}
		merchant, n, err := l.fill(ctx, t, together)
		if err != nil {
			return err
		}
		b, err := l.newBookkeeper(ctx, merchant)
		if err != nil {
			return err
		}
		defer func() { _ = b.conn.Close() }()
		if err := t.startWithLog(ctx, l.db); err != nil {
			return err
		}
		if err := b.book(ctx, n, together); err != nil {
			return err
		}
		if err := l.finish(ctx, t, merchant, n, together); err != nil {
			return err
		}
		_, err = l.worker.Start(ctx)
		return err
	}
}

// bookkeeper reads the ledger's queue and writes its rows.
type bookkeeper struct {
	db       *sql.DB
	conn     *amqp.Connection
	merchant uuid.UUID
	clearing uuid.UUID
	revenue  uuid.UUID

	remember, post, enter *sql.Stmt
}

func (l *ledgers) newBookkeeper(ctx context.Context, merchant uuid.UUID) (*bookkeeper, error) {
	b := &bookkeeper{db: l.db, merchant: merchant, clearing: uuid.New(), revenue: uuid.New()}
	_, err := l.db.ExecContext(ctx, `INSERT INTO ledger_accounts (id, merchant_id, code, currency)
	  VALUES ($1, $3, 'provider_clearing', $4), ($2, $3, 'revenue', $4)`, b.clearing, b.revenue, merchant, item.Price.Currency)
	if err != nil {
		return nil, err
	}
	for to, text := range map[**sql.Stmt]string{
		&b.remember: `INSERT INTO consumer_inbox (consumer, event_id) SELECT 'ledger', id FROM unnest($1::uuid[]) AS e (id) ORDER BY id ON CONFLICT DO NOTHING`,
		&b.post: `INSERT INTO ledger_transactions (id, merchant_id, business_key, kind, payment_id, event_id)
		  SELECT payment, $1, key, 'capture', payment, event FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS t (payment, event, key)`,
		&b.enter: `INSERT INTO ledger_entries (id, merchant_id, transaction_id, account_id, amount_minor, currency)
		  SELECT leg.id, $1, t.payment, leg.account, leg.minor, $4
		    FROM unnest($5::uuid[], $6::uuid[], $7::uuid[]) AS t (payment, debit, credit),
		         LATERAL (VALUES (t.debit, $2::uuid, $8::bigint), (t.credit, $3::uuid, -$8::bigint)) AS leg (id, account, minor)`,
	} {
		if *to, err = l.db.PrepareContext(ctx, text); err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
	}
	b.conn, err = amqp.Dial(l.stack.AMQPURL("/"))
	return b, err
}

// book takes n messages.
func (b *bookkeeper) book(ctx context.Context, n, together int) error {
	ch, err := b.conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Qos(2*bookedTogether, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.ConsumeWithContext(ctx, event.ConsumerLedger, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for n > 0 {
		batch := make([]amqp.Delivery, 0, together)
		for len(batch) < min(together, n) {
			d, open := <-deliveries
			if !open {
				return errors.New("the broker ended the channel")
			}
			batch = append(batch, d)
		}
		if err := b.commit(ctx, batch); err != nil {
			return err
		}
		if err := batch[len(batch)-1].Ack(true); err != nil {
			return err
		}
		n -= len(batch)
	}
	return nil
}

// commit writes inbox rows, transactions and entries of a batch together.
func (b *bookkeeper) commit(ctx context.Context, batch []amqp.Delivery) error {
	var events, payments, debits, credits, keys []string
	var minor int64
	for _, d := range batch {
		var e event.PaymentCaptured
		if err := json.Unmarshal(d.Body, &e); err != nil {
			return err
		}
		debit, credit := e.PaymentID, e.PaymentID
		debit[15]++
		credit[15] += 2
		events, payments, keys = append(events, d.MessageId), append(payments, e.PaymentID.String()), append(keys, ledger.CaptureKey(e.PaymentID))
		debits, credits, minor = append(debits, debit.String()), append(credits, credit.String()), e.Amount.AmountMinor
	}
	tx, err := b.db.BeginTx(ctx, nil) //nolint:forbidigo // nothing of ours
	if err != nil {
		return err
	}
	for _, step := range []struct {
		statement *sql.Stmt
		args      []any
	}{
		{b.remember, []any{pq.Array(events)}},
		{b.post, []any{b.merchant, pq.Array(payments), pq.Array(events), pq.Array(keys)}},
		{b.enter, []any{b.merchant, b.clearing, b.revenue, item.Price.Currency, pq.Array(payments), pq.Array(debits), pq.Array(credits), minor}},
	} {
		if _, err := tx.StmtContext(ctx, step.statement).ExecContext(ctx, step.args...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}
