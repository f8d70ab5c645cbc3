package rabbit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"
)

// ErrNotRead says that nothing comes from a queue: it is not read here, or the
// broker knows of no reader.
var ErrNotRead = errors.New("nothing comes from the queue")

func (c *Conn) read(queue string, readers int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading[queue] += readers
}

func (c *Conn) begins(queue string, readers int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changing[queue] += readers
}

// Reads says whether this connection reads each of the queues and the broker hands
// out. A reader stays registered while its queue has no leader, because too few
// nodes are left; then the broker, which asks the leader, counts no readers at all.
func (c *Conn) Reads(ctx context.Context, queues ...string) error {
	l, err := c.link(ctx)
	if err != nil {
		return err
	}
	for _, queue := range queues {
		if c.readers(queue) == 0 {
			return fmt.Errorf("%w: %s has no reader here", ErrNotRead, queue)
		}
	}
	_, err = answered(ctx, c, func() (struct{}, error) { return struct{}{}, l.handsOut(c.settled(queues)) }, nil)
	return err
}

func (c *Conn) readers(queue string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reading[queue]
}

// settled leaves out the queues whose reader here is about to begin again: for that
// moment the broker knows of none.
func (c *Conn) settled(queues []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(queues), func(queue string) bool { return c.changing[queue] > 0 })
}

func (l *link) handsOut(queues []string) error {
	ch, err := l.conn.Channel()
	if err != nil {
		return err
	}
	for _, queue := range queues {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, amqp.Table{})
		if err != nil {
			return fmt.Errorf("queue %s: %w", queue, err)
		}
		if q.Consumers == 0 {
			return errors.Join(fmt.Errorf("%w: the broker knows of no reader of %s", ErrNotRead, queue), ch.Close())
		}
	}
	return ch.Close()
}
