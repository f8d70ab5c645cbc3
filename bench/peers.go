package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	watermillamqp "github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"payonce/internal/lab/devstack"
)

// peer is another library's way of an event from a transaction to a queue. It runs in this
// program, on a driver and a pool of its own.
type peer struct {
	pool *pgxpool.Pool
	// add writes events into the transaction.
	add func(ctx context.Context, tx pgx.Tx, payloads [][]byte) error
	// behind says how many of them it has not done with.
	behind string
	ends   []func() error
}

// peerQueue is where peers publish: a quorum queue of the same broker.
const peerQueue = "bench.peer"

func (p *peer) end() error {
	var problems []error
	for i := len(p.ends) - 1; i >= 0; i-- {
		problems = append(problems, p.ends[i]())
	}
	return errors.Join(problems...)
}

// newPeer makes the pool and the queue that each of them needs, and lets begin do the rest.
func (h *house) newPeer(ctx context.Context, begin func(ctx context.Context, p *peer) error) (*peer, error) {
	pool, err := pgxpool.New(ctx, h.stack.PostgresDSN(devstack.MainDatabase))
	if err != nil {
		return nil, err
	}
	p := &peer{pool: pool, ends: []func() error{func() error { pool.Close(); return nil }}}
	err = h.withChannel(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(peerQueue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"})
		return err
	})
	if err == nil {
		err = begin(ctx, p)
	}
	if err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

// withChannel opens a channel for as long as do takes.
func (h *house) withChannel(do func(ch *amqp.Channel) error) error {
	conn, err := amqp.Dial(h.stack.AMQPURL("/"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	return do(ch)
}

const forwarded = "bench_forwarded" // the topic that Watermill's forwarder reads

// watermillPeer is Watermill's forwarder. Tuned, it waits for each confirm, keeps its
// channels, and polls a hundred times a second; as it is delivered it does neither.
func (h *house) watermillPeer(ctx context.Context, tuned bool) (*peer, error) {
	return h.newPeer(ctx, func(ctx context.Context, p *peer) error {
		logger := watermill.NopLogger{}
		schema, offsets := watermillsql.DefaultPostgreSQLSchema{}, watermillsql.DefaultPostgreSQLOffsetsAdapter{}
		config := watermillsql.SubscriberConfig{SchemaAdapter: schema, OffsetsAdapter: offsets, InitializeSchema: true}
		to := watermillamqp.NewDurableQueueConfig(h.stack.AMQPURL("/"))
		if tuned {
			config.PollInterval = lookInterval
			to.Publish.ConfirmDelivery, to.Publish.ChannelPoolSize = true, 1
		}
		from, err := watermillsql.NewSubscriber(watermillsql.BeginnerFromPgx(p.pool), config, logger)
		if err != nil {
			return err
		}
		publisher, err := watermillamqp.NewPublisher(to, logger)
		if err != nil {
			return err
		}
		p.ends = append(p.ends, publisher.Close)
		f, err := forwarder.NewForwarder(from, publisher, logger, forwarder.Config{ForwarderTopic: forwarded, CloseTimeout: 5 * time.Second})
		if err != nil {
			return err
		}
		p.ends = append(p.ends, f.Close)
		go func() { _ = f.Run(ctx) }()
		<-f.Running()
		p.behind = `SELECT count(*) FROM ` + schema.MessagesTable(forwarded) + ` WHERE "offset" > coalesce((SELECT max(offset_acked) FROM ` + offsets.MessagesOffsetsTable(forwarded) + `), 0)`
		p.add = func(_ context.Context, tx pgx.Tx, payloads [][]byte) error {
			inner, err := watermillsql.NewPublisher(watermillsql.TxFromPgx(tx), watermillsql.PublisherConfig{SchemaAdapter: schema}, logger)
			if err != nil {
				return err
			}
			outbox := forwarder.NewPublisher(inner, forwarder.PublisherConfig{ForwarderTopic: forwarded})
			const together = 500 // a statement has at most so many parameters
			for len(payloads) > 0 {
				page := payloads[:min(together, len(payloads))]
				payloads = payloads[len(page):]
				messages := make([]*message.Message, len(page))
				for i, payload := range page {
					messages[i] = message.NewMessage(watermill.NewUUID(), payload)
				}
				if err := outbox.Publish(peerQueue, messages...); err != nil {
					return err
				}
			}
			return nil
		}
		return nil
	})
}

// publication is a River job that publishes an event.
type publication struct {
	Payload []byte `json:"payload"`
}

// Kind names the job.
func (publication) Kind() string { return "publication" }

// publications are River's workers; each waits for the broker's confirm.
type publications struct {
	river.WorkerDefaults[publication]
	channel *amqp.Channel
}

// Work publishes one event.
func (w *publications) Work(ctx context.Context, job *river.Job[publication]) error {
	confirm, err := w.channel.PublishWithDeferredConfirmWithContext(ctx, "", peerQueue, true, false, amqp.Publishing{
		DeliveryMode: amqp.Persistent, ContentType: "application/json", Body: job.Args.Payload,
	})
	if err != nil {
		return err
	}
	acked, err := confirm.WaitContext(ctx)
	if err == nil && !acked {
		err = fmt.Errorf("%w: job %d", errNotConfirmed, job.ID)
	}
	return err
}

// riverPeer is River as a relay: a job for each event. Tuned, it has five hundred workers
// and looks for jobs as often as it may; as it is delivered it has a hundred.
func (h *house) riverPeer(ctx context.Context, tuned bool) (*peer, error) {
	return h.newPeer(ctx, func(ctx context.Context, p *peer) error {
		conn, err := amqp.Dial(h.stack.AMQPURL("/"))
		if err != nil {
			return err
		}
		p.ends = append(p.ends, conn.Close)
		ch, err := conn.Channel()
		if err != nil {
			return err
		}
		if err := ch.Confirm(false); err != nil {
			return err
		}
		driver := riverpgxv5.New(p.pool)
		migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
			return err
		}
		config := &river.Config{
			Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 100}}, Workers: river.NewWorkers(), Logger: slog.New(slog.DiscardHandler),
		}
		if tuned {
			config.Queues[river.QueueDefault] = river.QueueConfig{MaxWorkers: 500}
			config.FetchCooldown, config.FetchPollInterval = river.FetchCooldownMin, lookInterval
		}
		river.AddWorker(config.Workers, &publications{channel: ch})
		client, err := river.NewClient(driver, config)
		if err != nil {
			return err
		}
		if err := client.Start(ctx); err != nil {
			return err
		}
		p.ends = append(p.ends, func() error { return client.Stop(context.WithoutCancel(ctx)) })
		p.behind = `SELECT count(*) FROM river_job WHERE state <> 'completed'`
		p.add = func(ctx context.Context, tx pgx.Tx, payloads [][]byte) error {
			jobs := make([]river.InsertManyParams, len(payloads))
			for i, payload := range payloads {
				jobs[i].Args = publication{payload}
			}
			_, err := client.InsertManyFastTx(ctx, tx, jobs)
			return err
		}
		return nil
	})
}
