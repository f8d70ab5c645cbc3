// Command watermill is a consumer on Watermill: it reads messages from RabbitMQ and has
// one effect of each, by an inbox of its own in SQL.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, os.Getenv("SUBJECT_POSTGRES"))
	if err != nil {
		return err
	}
	logger := watermill.NopLogger{}
	subscriber, err := amqp.NewSubscriber(amqp.NewDurableQueueConfig(os.Getenv("SUBJECT_AMQP")), logger)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, logger)
	if err != nil {
		return err
	}
	router.AddConsumerHandler("mail", "subject.watermill", subscriber, func(m *message.Message) error {
		return apply(m.Context(), pool, string(m.Payload))
	})
	go func() { // it is ready when it reads
		<-router.Running()
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", os.Getenv("SUBJECT_LISTEN"))
		for err == nil {
			_, err = l.Accept()
		}
		log.Fatal(err)
	}()
	return router.Run(ctx)
}

// apply remembers the message with the effect; the router acknowledges it afterwards.
func apply(ctx context.Context, pool *pgxpool.Pool, id string) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		fresh, err := tx.Exec(ctx, `INSERT INTO seen (id) VALUES ($1) ON CONFLICT DO NOTHING`, id)
		if err != nil || fresh.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO effects VALUES ($1, 'mail')`, id)
		return err
	})
}
