package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	amqp "github.com/rabbitmq/amqp091-go"
)

// naive is the capture of a shop that promises nothing: it charges, changes its row and
// publishes, one after the other. No key is kept, so a second click charges again; the
// message goes out unconfirmed, after the commit or never.
type naive struct {
	*handler
	broker *broker
}

func (n naive) capture(c *gin.Context) {
	o, err := read(c)
	if err != nil {
		return
	}
	ctx := c.Request.Context()
	made, err := n.ask(ctx, o, 1)
	if err != nil {
		c.JSON(http.StatusBadGateway, gin.H{"error": "the provider did not charge"})
		return
	}
	payload, body, err := o.texts(1, made, time.Now().UTC())
	if err == nil {
		_, err = n.update.ExecContext(ctx, o.payment, made.ID)
	}
	if err == nil {
		err = n.broker.publish(ctx, payload)
	}
	if err != nil {
		c.JSON(http.StatusServiceUnavailable, gin.H{"error": "try again"})
		return
	}
	c.Data(http.StatusOK, "application/json", body)
}

// lookUp answers with what is stored under the key: one read, and nothing else.
func (h *handler) lookUp(c *gin.Context) {
	var hash, body []byte
	var status int
	if err := h.lookKey.QueryRowContext(c.Request.Context(), c.GetHeader("Idempotency-Key")).Scan(&hash, &status, &body); err != nil {
		c.JSON(http.StatusNotFound, gin.H{"error": "no such key"})
		return
	}
	c.Data(status, "application/json", body)
}

// broker is one channel for all requests.
type broker struct {
	mu      sync.Mutex
	channel *amqp.Channel
	conn    *amqp.Connection
}

const queue = "byhand"

func connect(url string) (*broker, error) {
	conn, err := amqp.Dial(url)
	if err != nil {
		return nil, err
	}
	b := &broker{conn: conn}
	if b.channel, err = conn.Channel(); err == nil {
		// It has no reader: what is over a thousand falls off.
		_, err = b.channel.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-max-length": 1000})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return b, nil
}

func (b *broker) publish(ctx context.Context, payload []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.channel.PublishWithContext(ctx, "", queue, false, false, amqp.Publishing{
		ContentType: "application/json", DeliveryMode: amqp.Persistent, Type: "payment.captured", Body: payload,
	})
}
