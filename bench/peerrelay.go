package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

// peer measures another library as relay: from the commit of the rows until it has done
// with the last and the queue holds them all. firstGuess is how many it does in a second.
func (r *relays) peer(begin func(ctx context.Context, tuned bool) (*peer, error), firstGuess float64) func(context.Context, *clock) error {
	rate := firstGuess
	return func(ctx context.Context, t *clock) (err error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		p, err := begin(ctx, true)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.end()) }()
		_, payload, _, err := example()
		if err != nil {
			return err
		}
		payloads := make([][]byte, int(rate*t.length.Seconds()))
		for i := range payloads {
			payloads[i] = payload
		}
		err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
			if err := p.add(ctx, tx, payloads); err != nil {
				return err
			}
			t.start(ctx)
			return nil
		})
		if err != nil {
			return err
		}
		if err := p.done(ctx); err != nil {
			return err
		}
		t.stop(len(payloads))
		rate = max(firstGuess, float64(len(payloads))/t.took.Seconds())
		return r.withChannel(func(ch *amqp.Channel) error {
			n, err := ch.QueuePurge(peerQueue, false)
			if err == nil && n != len(payloads) {
				err = fmt.Errorf("%d events, but %d messages", len(payloads), n)
			}
			return err
		})
	}
}

// done waits until the library has done with every event.
func (p *peer) done(ctx context.Context) error {
	err := until(ctx, time.Minute, func() (bool, error) {
		var left int
		err := p.pool.QueryRow(ctx, p.behind).Scan(&left)
		return left == 0, err
	})
	if err != nil {
		return fmt.Errorf("the peer does not finish: %w", err)
	}
	return nil
}
