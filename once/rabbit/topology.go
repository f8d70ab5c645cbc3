package rabbit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/once/message"
)

// Topology is what a process needs the broker to have. Declaring it twice, or
// by two processes at once, is one declaration.
type Topology struct {
	Exchanges []Exchange
	Queues    []Queue
	Bindings  []Binding
}

// Exchange is a durable exchange.
type Exchange struct {
	Name string
	Kind string // topic, fanout or direct
}

// Queue is a durable queue. A queue whose arguments change needs a new name: the
// broker refuses to redeclare it (406) and closes the channel.
type Queue struct {
	Name string
	Args map[string]any
}

// Binding leads messages of an exchange to a queue.
type Binding struct {
	Queue    string
	Exchange string
	Key      string
}

// With joins several topologies; what stands in both is declared once.
func (t Topology) With(others ...Topology) Topology {
	joined := Topology{Exchanges: slices.Clone(t.Exchanges), Queues: slices.Clone(t.Queues), Bindings: slices.Clone(t.Bindings)}
	for _, o := range others {
		for _, e := range o.Exchanges {
			if !slices.Contains(joined.Exchanges, e) {
				joined.Exchanges = append(joined.Exchanges, e)
			}
		}
		for _, q := range o.Queues {
			if !slices.Contains(joined.QueueNames(), q.Name) {
				joined.Queues = append(joined.Queues, q)
			}
		}
		for _, b := range o.Bindings {
			if !slices.Contains(joined.Bindings, b) {
				joined.Bindings = append(joined.Bindings, b)
			}
		}
	}
	return joined
}

// QueueNames lists the queues, for depth samples.
func (t Topology) QueueNames() []string { return names(t.Queues) }

// Consumed lists the queues that someone has to read: all but those of delays, which
// empty themselves.
func (t Topology) Consumed() []string {
	return names(slices.DeleteFunc(slices.Clone(t.Queues), func(q Queue) bool { return q.Args[ttl] != nil }))
}

func names(queues []Queue) []string {
	names := make([]string, len(queues))
	for i, q := range queues {
		names[i] = q.Name
	}
	return names
}

const ttl = "x-message-ttl"

// DeliveryLimit is how often a consumer queue hands out one message before it
// gives it up as a killer of its consumer. A consumer that dies with ten
// prefetched messages counts a delivery for all ten, so a small limit
// dead-letters the innocent (seen with 3).
const DeliveryLimit = 20

// unlimited stands for "no delivery limit" in a form that RabbitMQ 3.10 and 4.x
// both accept; 4.x limits to 20 where nothing is said, and drops.
const unlimited = 1_000_000_000

// WorkQueue is a replicated queue that gives up a message to deadExchange after
// [DeliveryLimit] deliveries and never drops one: at-least-once dead-lettering
// needs reject-publish, because drop-head loses confirmed messages (15 of 20
// seen).
func WorkQueue(name, deadExchange string) Queue {
	return Queue{Name: name, Args: map[string]any{
		"x-queue-type":           "quorum",
		"x-delivery-limit":       DeliveryLimit,
		"x-dead-letter-exchange": deadExchange,
		// The queue's own name, so that whoever collects knows whose it was.
		"x-dead-letter-routing-key": name,
		"x-dead-letter-strategy":    "at-least-once",
		"x-overflow":                "reject-publish",
	}}
}

// DelayQueue keeps each message for ttl and then sends it to the queue that its
// routing key names. One queue per delay: a per-message TTL waits behind the
// head of the queue (a 500 ms message arrived after 4 s).
func DelayQueue(name string, ttlMillis int64) Queue {
	return Queue{Name: name, Args: map[string]any{
		"x-queue-type":           "quorum",
		ttl:                      ttlMillis,
		"x-dead-letter-exchange": "",
		"x-dead-letter-strategy": "at-least-once",
		"x-overflow":             "reject-publish",
	}}
}

// DeadLetterQueue is where messages end: it keeps everything until a person, or a program, takes it.
func DeadLetterQueue(name string) Queue {
	return Queue{Name: name, Args: map[string]any{
		"x-queue-type":     "quorum",
		"x-delivery-limit": unlimited,
		"x-overflow":       "reject-publish",
	}}
}

// LossyQueue keeps the newest max messages and drops the oldest: for pictures
// of the truth, never for the truth.
func LossyQueue(name string, maxLength int) Queue {
	return Queue{Name: name, Args: map[string]any{
		"x-queue-type": "quorum",
		"x-max-length": maxLength,
		"x-overflow":   "drop-head",
	}}
}

// declare makes the broker have t. Everything is idempotent.
func (t Topology) declare(ch *amqp.Channel) error {
	for _, e := range t.Exchanges {
		if err := ch.ExchangeDeclare(e.Name, e.Kind, true, false, false, false, nil); err != nil {
			return fmt.Errorf("declare exchange %s: %w", e.Name, refused(err))
		}
	}
	for _, q := range t.Queues {
		if _, err := ch.QueueDeclare(q.Name, true, false, false, false, q.Args); err != nil {
			return fmt.Errorf("declare queue %s: %w", q.Name, refused(err))
		}
	}
	for _, b := range t.Bindings {
		if err := ch.QueueBind(b.Queue, b.Key, b.Exchange, false, nil); err != nil {
			return fmt.Errorf("bind %s to %s for %q: %w", b.Queue, b.Exchange, b.Key, err)
		}
	}
	return nil
}

// known asks whether the broker still has the exchanges. It reads what every node
// has by itself, and so waits for no other.
func (t Topology) known(conn *amqp.Connection) (bool, error) {
	err := onChannel(conn, func(ch *amqp.Channel) error {
		for _, e := range t.Exchanges {
			if err := ch.ExchangeDeclarePassive(e.Name, e.Kind, true, false, false, false, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if notFound(err) {
		return false, nil
	}
	return err == nil, err
}

func notFound(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == amqp.NotFound
}

// ErrArguments says that the broker has a queue or exchange of that name with
// other arguments. Waiting does not help: give the new one a new name.
var ErrArguments = errors.New("it exists with other arguments; give the new one a version in its name")

func refused(err error) error {
	var e *amqp.Error
	if errors.As(err, &e) && e.Code == amqp.PreconditionFailed {
		return fmt.Errorf("%w (%s)", ErrArguments, e.Reason)
	}
	return err
}

// Depth looks at a queue without touching it.
func (c *Conn) Depth(ctx context.Context, queue string) (message.Depth, error) {
	l, err := c.link(ctx)
	if err != nil {
		return message.Depth{}, err
	}
	return within(ctx, func() (message.Depth, error) { return l.inspect(queue) }, nil)
}

func (l *link) inspect(queue string) (depth message.Depth, err error) {
	err = onChannel(l.conn, func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		depth = message.Depth{Ready: q.Messages, Consumers: q.Consumers}
		return err
	})
	if notFound(err) {
		err = fmt.Errorf("%w: %s", message.ErrNoQueue, queue)
	}
	return depth, err
}

// DeleteQueue removes a queue with all that is in it, as a person at the broker
// can. One that is gone already is no error.
func (c *Conn) DeleteQueue(ctx context.Context, queue string) error {
	return c.change(ctx, func(ch *amqp.Channel) error {
		_, err := ch.QueueDelete(queue, false, false, false)
		return err
	})
}

func (c *Conn) change(ctx context.Context, what func(*amqp.Channel) error) error {
	l, err := c.link(ctx)
	if err != nil {
		return err
	}
	_, err = within(ctx, func() (struct{}, error) { return struct{}{}, onChannel(l.conn, what) }, nil)
	return err
}
