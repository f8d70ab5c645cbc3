package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/internal/platform/patterns"
	"payonce/once/envelope"
)

// window is how many messages the relay keeps unconfirmed by default.
const window = 1000

const readSQL = `
SELECT event_id, aggregate_id, aggregate_version, correlation_id, payload, traceparent, created_at
  FROM outbox_events WHERE merchant_id = $1 ORDER BY seq`

// raw measures a bare client: the messages are in memory when the clock starts.
func (r *relays) raw(ctx context.Context, t *clock) error {
	n := r.events(t)
	merchant, payload, trace, err := example()
	if err != nil {
		return err
	}
	if _, err := r.db.ExecContext(ctx, insertSQL, n, merchant, r.traffic.eventType, payload, trace, true); err != nil {
		return err
	}
	messages, err := r.messages(ctx, merchant, n)
	if err != nil {
		return err
	}
	ch, err := r.conn.Channel()
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }()
	if err := ch.Confirm(false); err != nil {
		return err
	}
	t.start(ctx)
	err = publish(ch, patterns.Relays.Exchange, r.traffic.eventType, messages)
	t.stop(n)
	if err != nil {
		return err
	}
	r.rate = float64(n) / t.took.Seconds()
	return r.verify(ctx, merchant, n)
}

func (r *relays) messages(ctx context.Context, merchant uuid.UUID, n int) ([]amqp.Publishing, error) {
	rows, err := r.db.QueryContext(ctx, readSQL, merchant)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	messages := make([]amqp.Publishing, 0, n)
	for rows.Next() {
		e := envelope.Envelope{Type: r.traffic.eventType, Source: "/payonce/shop", Scope: merchant.String(), Attempt: 1}
		if err := rows.Scan(&e.EventID, &e.AggregateID, &e.AggregateVersion, &e.Correlation, &e.Payload, &e.Traceparent, &e.Time); err != nil {
			return nil, err
		}
		messages = append(messages, messageOf(e))
	}
	return messages, rows.Err()
}

var errNotConfirmed = errors.New("not every message was confirmed")

// publish sends all messages, mandatory and persistent, and returns when the
// broker has confirmed each.
func publish(ch *amqp.Channel, exchange, key string, messages []amqp.Publishing) error {
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, window))
	free := make(chan struct{}, window)
	for range window {
		free <- struct{}{}
	}
	all := make(chan error, 1)
	go func() {
		for confirmed := range messages {
			if c, open := <-confirms; !open || !c.Ack {
				all <- fmt.Errorf("%w: %d of %d", errNotConfirmed, confirmed, len(messages))
				close(free)
				return
			}
			free <- struct{}{}
		}
		all <- nil
	}()
	for _, m := range messages {
		if _, open := <-free; !open {
			break
		}
		if err := ch.Publish(exchange, key, true, false, m); err != nil {
			return err
		}
	}
	return <-all
}
