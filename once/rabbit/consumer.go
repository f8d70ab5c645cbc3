package rabbit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/once"
	"payonce/once/message"
)

// ConsumerConfig says how a queue is read.
type ConsumerConfig struct {
	Queue string
	// Prefetch bounds the deliveries that are handed over or wait here; 0 means
	// twice BatchMax, so that the next batch is at hand.
	Prefetch int
	BatchMax int           // 0 means 100
	Linger   time.Duration // how long a batch waits for company; 0 means 1 ms
	// Drain waits for what handle has left under way; it is called once ctx has
	// ended, while deliveries can still be acknowledged. Nil means nothing.
	Drain func()
}

func (c *ConsumerConfig) setDefaults() error {
	if c.Queue == "" {
		return errors.New("rabbit: a consumer needs a queue")
	}
	if c.BatchMax == 0 {
		c.BatchMax = 100
	}
	if c.Prefetch == 0 {
		c.Prefetch = 2 * c.BatchMax
	}
	if c.Linger == 0 {
		c.Linger = time.Millisecond
	}
	return nil
}

// Delivery is one delivery of a message.
type Delivery struct {
	message.Message
	Queue       string
	Redelivered bool
	// Count is how often the queue has handed this message out before.
	Count int

	tag  uint64
	from *intake
}

// Generation is the connection this delivery came by. Its Ack means something
// only there.
func (d Delivery) Generation() uint64 { return d.from.link.generation }

// Lost says that the delivery's connection or channel has ended: it cannot be
// acknowledged any more and comes again.
func (d Delivery) Lost() bool { return d.from.ch.IsClosed() }

// ErrStale says that a delivery's channel has ended. It was not acknowledged
// and comes again.
var ErrStale = errors.New("the delivery belongs to a channel that has ended")

// Consume reads a queue until ctx ends and gives its deliveries to handle, a
// batch at a time and in their order. Handle settles each with [Ack] or leaves
// it, and then gets it again once the channel ends. Whatever happens to the
// broker, Consume starts anew; its error is a mistake in cfg. When ctx ends the
// batch in hand is finished first.
func (c *Conn) Consume(ctx context.Context, cfg ConsumerConfig, handle func(ctx context.Context, batch []Delivery)) error {
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	pause, ends := &once.Pause{First: c.cfg.BackoffMin, Most: c.cfg.BackoffMax}, 0
	for ctx.Err() == nil {
		handed, err := c.consume(ctx, cfg, handle)
		if ctx.Err() != nil || errors.Is(err, ErrClosed) {
			break
		}
		if errors.Is(err, errEnded) {
			ends++
		} else {
			ends = 0
		}
		if ends == deadly && c.of == nil {
			return c.apart(ctx, cfg, handle)
		}
		if handed > 0 {
			pause.Reset()
		}
		c.cfg.Log.Warn("a consumer starts anew", "queue", cfg.Queue, "error", err)
		pause.Wait(ctx)
	}
	return nil
}

func (c *Conn) consume(ctx context.Context, cfg ConsumerConfig, handle func(context.Context, []Delivery)) (handed int, err error) {
	l, err := c.link(ctx)
	if err != nil {
		return 0, err
	}
	ch, err := c.channel(ctx, l)
	if err != nil {
		return 0, l.judged(err)
	}
	// What was not acknowledged goes back to the queue. A channel that was left waiting
	// is closed by its late answer; see begin.
	defer func() {
		if !errors.Is(err, errLeft) {
			_, _ = answered(c.ctx, c, func() (struct{}, error) { return struct{}{}, ch.Close() }, nil)
		}
	}()
	defer func() {
		if ctx.Err() != nil && cfg.Drain != nil {
			cfg.Drain()
		}
	}()
	in := &intake{conn: c, link: l, ch: ch, queue: cfg.Queue, open: map[uint64]struct{}{}}
	defer in.end()
	if handed, err = in.read(ctx, cfg.careful(), handle, trust); err == nil {
		var more int
		more, err = in.read(ctx, cfg, handle, 0)
		handed += more
	}
	if errors.Is(err, errLeft) && !l.leaves() {
		return handed, err
	}
	return handed, l.judged(err)
}

// errLeft says that a queue did not let a reader begin in time. Others on the connection
// are read as before: a queue whose leader is away is silent, and its broker is not.
var errLeft = errors.New("the queue lets no reader begin")

// A consumer that begins may be one that has just died of a message. Whatever it
// holds when it dies again is counted a delivery, and the broker gives up what
// was counted too often: so it begins with little in hand, and takes its whole
// share after so many messages in a row that nobody had held before.
const (
	little = 10
	trust  = 100
)

func (c ConsumerConfig) careful() ConsumerConfig {
	c.Prefetch, c.BatchMax = min(c.Prefetch, little), min(c.BatchMax, little)
	return c
}

// read hands over until the channel ends, which is an error, or until so many
// fresh messages came in a row, if that is not 0.
func (in *intake) read(ctx context.Context, cfg ConsumerConfig, handle func(context.Context, []Delivery), until int) (handed int, err error) {
	const careful, whole = "careful", "whole"
	tag := whole
	if until > 0 {
		tag = careful
	}
	deliveries, err := in.begin(cfg, tag)
	if err != nil {
		return 0, err
	}
	for fresh, leaving := 0, false; ; {
		batch, more := in.collect(ctx, deliveries, cfg)
		if len(batch) > 0 && ctx.Err() == nil {
			handle(ctx, batch)
			handed += len(batch)
			fresh = inARow(fresh, batch)
		}
		switch {
		case !more && leaving && ctx.Err() == nil && !in.ch.IsClosed():
			return handed, nil
		case !more:
			return handed, fmt.Errorf("the channel of queue %s ended", cfg.Queue)
		case until > 0 && fresh >= until && !leaving:
			// What is here already is still handed over; then deliveries ends.
			in.enter(changing)
			if _, err := answered(in.conn.ctx, in.conn, func() (struct{}, error) { return struct{}{}, in.ch.Cancel(tag, false) }, nil); err != nil {
				return handed, err
			}
			leaving = true
		}
	}
}

// begin asks for deliveries. A queue that is gone is declared again. One that answers too
// late finds the channel left: it is closed, or messages would go to a reader of which
// this program knows nothing.
func (in *intake) begin(cfg ConsumerConfig, tag string) (<-chan amqp.Delivery, error) {
	deliveries, err := answered(in.conn.ctx, in.conn, func() (<-chan amqp.Delivery, error) {
		if err := in.ch.Qos(cfg.Prefetch, 0, false); err != nil {
			return nil, err
		}
		return in.ch.Consume(cfg.Queue, tag, false, false, false, false, nil)
	}, func(<-chan amqp.Delivery) { _ = in.ch.Close() })
	switch {
	case errors.Is(err, ErrSilent):
		return nil, fmt.Errorf("%w: %w", errLeft, err)
	case err == nil:
		in.enter(reading)
	case notFound(err):
		in.conn.miss()
	case in.link.conn.IsClosed():
		return nil, fmt.Errorf("%w: %w", errEnded, err)
	}
	return deliveries, err
}

// inARow counts messages that were handed out for the first time, since the last
// one that was not.
func inARow(before int, batch []Delivery) int {
	for _, d := range batch {
		before++
		if d.Count > 0 {
			before = 0
		}
	}
	return before
}

// intake is a consumer's channel in one generation of the connection.
type intake struct {
	conn  *Conn
	link  *link
	ch    *amqp.Channel
	queue string

	mu    sync.Mutex
	open  map[uint64]struct{} // handed over or waiting here, and not settled
	phase phase
}

func (in *intake) end() { in.enter(over) }

func (in *intake) enter(next phase) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.conn.enter(in.queue, in.phase, next)
	in.phase = next
}

// collect waits for one delivery and then a moment for more. A batch that is
// cut short by the end of ctx is not handed over.
func (in *intake) collect(ctx context.Context, deliveries <-chan amqp.Delivery, cfg ConsumerConfig) (batch []Delivery, more bool) {
	select {
	case <-ctx.Done():
		return nil, false
	case d, open := <-deliveries:
		if !open {
			return nil, false
		}
		batch = append(batch, in.take(d))
	}
	linger := time.NewTimer(cfg.Linger)
	defer linger.Stop()
	for len(batch) < cfg.BatchMax {
		select {
		case <-ctx.Done():
			return batch, false
		case <-linger.C:
			return batch, true
		case d, open := <-deliveries:
			if !open {
				return batch, false
			}
			batch = append(batch, in.take(d))
		}
	}
	return batch, true
}

func (in *intake) take(d amqp.Delivery) Delivery {
	in.mu.Lock()
	in.open[d.DeliveryTag] = struct{}{}
	in.mu.Unlock()
	m := message.Message{
		Exchange: d.Exchange, Key: d.RoutingKey, ID: d.MessageId, Type: d.Type, ContentType: d.ContentType,
		Time: d.Timestamp, Headers: d.Headers, Body: d.Body,
	}
	return Delivery{
		Message: m, Queue: in.queue, Redelivered: d.Redelivered, Count: int(m.Number("x-delivery-count")),
		tag: d.DeliveryTag, from: in,
	}
}

// Ack settles deliveries of one batch for good: call it after the commit. Where
// every older delivery of the channel is settled too, it is one frame for all.
// [ErrStale] means that some come again; settling twice is a no-op.
func Ack(deliveries ...Delivery) error {
	byChannel := map[*intake][]uint64{}
	for _, d := range deliveries {
		byChannel[d.from] = append(byChannel[d.from], d.tag)
	}
	var all error
	for in, tags := range byChannel {
		all = errors.Join(all, in.ack(tags))
	}
	return all
}

func (in *intake) ack(tags []uint64) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.phase == over {
		return ErrStale
	}
	slices.Sort(tags)
	together, alone := in.split(tags)
	if together > 0 {
		if err := in.ch.Ack(together, true); err != nil {
			return fmt.Errorf("%w: %w", ErrStale, err)
		}
	}
	for _, tag := range alone {
		if err := in.ch.Ack(tag, false); err != nil {
			return fmt.Errorf("%w: %w", ErrStale, err)
		}
	}
	return nil
}

// split settles tags in the books and says which frames the broker needs: up to
// and with together at once, the others one by one.
func (in *intake) split(tags []uint64) (together uint64, alone []uint64) {
	for _, tag := range tags {
		if _, open := in.open[tag]; open {
			delete(in.open, tag)
			alone = append(alone, tag)
		}
	}
	oldest := ^uint64(0) // of those that stay unsettled
	for tag := range in.open {
		oldest = min(oldest, tag)
	}
	cut := 0
	for cut < len(alone) && alone[cut] < oldest {
		cut++
	}
	if cut > 0 {
		together = alone[cut-1]
	}
	return together, alone[cut:]
}
