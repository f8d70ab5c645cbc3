package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// ErrNotRead says that nothing comes from a queue: it is not read here, or the
// broker knows of no reader.
var ErrNotRead = errors.New("nothing comes from the queue")

// phase is how far a reader of a queue has come.
type phase int

const (
	asking   phase = iota // the broker has not let it begin
	reading               // also when it begins anew
	changing              // it ends as a careful reader, to begin with its whole share
	over
)

func (c *Conn) enter(queue string, from, to phase) {
	if c.of != nil {
		c = c.of
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	readers := c.readers[queue]
	readers[from]--
	readers[to]++
	c.readers[queue] = readers
}

// Reads says whether this connection reads each of the queues and the broker hands
// out. A reader stays registered while its queue has no leader, because too few
// nodes are left; then the broker, which asks the leader, counts no readers at all.
// While the broker owes an answer it is not asked again.
func (c *Conn) Reads(ctx context.Context, queues ...string) error {
	l, err := c.link(ctx)
	if err != nil {
		return err
	}
	known, err := c.known(queues)
	if err != nil {
		return err
	}
	asked := c.question(l, known)
	_, err = answered(ctx, c, func() (struct{}, error) { <-asked.over; return struct{}{}, asked.err }, nil)
	return err
}

// question is one that the broker was asked about its readers.
type question struct {
	link   *link
	queues string
	over   chan struct{} // closed once err is the answer
	err    error
}

// question asks, or joins one that was asked and not answered.
func (c *Conn) question(l *link, queues []string) *question {
	c.mu.Lock()
	defer c.mu.Unlock()
	about := strings.Join(queues, " ")
	if q := c.asked; q != nil && q.link == l && q.queues == about {
		select {
		case <-q.over:
		default:
			return q
		}
	}
	q := &question{link: l, queues: about, over: make(chan struct{})}
	c.asked = q
	go func() {
		defer close(q.over)
		q.err = l.handsOut(queues)
	}()
	return q
}

// known are the queues of which the broker must know a reader. While one here is
// about to begin again it knows of none.
func (c *Conn) known(queues []string) (known []string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, queue := range queues {
		switch readers := c.readers[queue]; {
		case readers[changing] > 0:
		case readers[reading] > 0:
			known = append(known, queue)
		default:
			return nil, fmt.Errorf("%w: %s has no reader here", ErrNotRead, queue)
		}
	}
	return known, nil
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

// mayLeave bounds the channels that wait for a late answer: a connection has 2,047.
const mayLeave = 200

// leaves counts a channel that is left waiting, and says whether it is one too many.
func (l *link) leaves() (full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left++
	return l.left > mayLeave
}
