package rabbit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/once/message"
)

// PublisherConfig bounds what is under way.
type PublisherConfig struct {
	Window         int           // unconfirmed messages at most; 0 means 1000
	ConfirmTimeout time.Duration // 0 means 10 s
}

// Publisher publishes with pipelined confirms. It may be used by many
// goroutines; they share one channel and one window.
type Publisher struct {
	conn   *Conn
	cfg    PublisherConfig
	window chan struct{} // a token for each unconfirmed message
	turn   chan struct{} // the token of whoever writes
	out    *outlet       // belongs to the holder of turn
}

// Publisher makes a publisher on this connection.
func (c *Conn) Publisher(cfg PublisherConfig) *Publisher {
	if cfg.Window == 0 {
		cfg.Window = 1000
	}
	if cfg.ConfirmTimeout == 0 {
		cfg.ConfirmTimeout = 10 * time.Second
	}
	return &Publisher{conn: c, cfg: cfg, window: make(chan struct{}, cfg.Window), turn: make(chan struct{}, 1)}
}

// Publish sends m and waits for its fate: nil, [message.Returned], [message.ErrNacked] or
// [message.ErrUnconfirmed].
func (p *Publisher) Publish(ctx context.Context, m message.Message) error {
	fate := make(chan error, 1)
	if err := p.Send(ctx, m, func(err error) { fate <- err }); err != nil {
		return err
	}
	select {
	case err := <-fate:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", message.ErrUnconfirmed, ctx.Err())
	}
}

// PublishAll sends all messages before it waits for any, and returns the fate
// of each.
func (p *Publisher) PublishAll(ctx context.Context, messages []message.Message) []error {
	fates := make([]error, len(messages))
	var settled sync.WaitGroup
	for i, m := range messages {
		settled.Add(1)
		if err := p.Send(ctx, m, func(err error) { fates[i] = err; settled.Done() }); err != nil {
			fates[i] = err
			settled.Done()
		}
	}
	settled.Wait() // Every fate is decided by the confirm timeout at the latest.
	return fates
}

// Send hands m to the broker and returns. After nil, done is called exactly
// once with the message's fate; it runs on the goroutine that reads confirms
// and must not block. After an error done is never called. Send waits while the
// window is full, the connection is down or the broker is out of memory.
func (p *Publisher) Send(ctx context.Context, m message.Message, done func(error)) error {
	select {
	case p.window <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := p.write(ctx, m, done); err != nil {
		<-p.window
		return err
	}
	return nil
}

func (p *Publisher) write(ctx context.Context, m message.Message, done func(error)) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()

	for {
		if err := p.open(ctx); err != nil {
			return err
		}
		select {
		case <-p.out.link.takesMessages():
			err := p.out.publish(m, func(err error) { <-p.window; done(err) })
			if err != nil {
				p.out = nil
			}
			return err
		case <-p.out.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// open makes sure that there is a channel in confirm mode on a live connection.
func (p *Publisher) open(ctx context.Context) error {
	if p.out != nil {
		select {
		case <-p.out.ended:
		case <-p.out.link.down:
		default:
			if !p.out.doubted.Load() {
				return nil
			}
			p.out.left.Store(true)
		}
	}
	l, err := p.conn.link(ctx)
	if err != nil {
		return err
	}
	ch, err := p.conn.channel(ctx, l)
	if err != nil {
		return unopened(l, err)
	}
	if _, err := answered(ctx, p.conn, func() (struct{}, error) { return struct{}{}, ch.Confirm(false) }, nil); err != nil {
		go func() { _ = ch.Close() }() // May wait as long as the call before it.
		return unopened(l, err)
	}
	o := &outlet{link: l, ch: ch, miss: p.conn.miss, ended: make(chan struct{}), pending: map[uint64]*pending{}, routes: map[route][]uint64{}}
	// Both are drained by one goroutine and wide enough for the window, so the
	// client's reader never waits: it would throw a Return away after 5 s.
	returns := ch.NotifyReturn(make(chan amqp.Return, p.cfg.Window+1))
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, p.cfg.Window+1))
	go o.listen(returns, confirms, ch.NotifyClose(make(chan *amqp.Error, 1)), p.cfg.ConfirmTimeout)
	p.out = o
	return nil
}

// unopened says of a message for which no channel came about what [Publisher.Publish] says.
func unopened(l *link, err error) error {
	return fmt.Errorf("%w: %w", message.ErrUnconfirmed, l.judged(err))
}

// outlet is the publisher's channel in one generation of the connection.
type outlet struct {
	link  *link
	ch    *amqp.Channel
	miss  func()        // is told of a message that no queue is bound for
	ended chan struct{} // closed when no confirm can come any more
	// doubted says that the broker refused a message, or is late with a confirm. For a
	// channel it keeps which replica of a queue leads; one that was opened while the old
	// leader was silent asks that one for as long as it lasts, seven seconds for each
	// message (RabbitMQ 3.10). What is published next goes over another channel.
	doubted atomic.Bool
	left    atomic.Bool // the publisher has gone on to another one

	mu      sync.Mutex
	pending map[uint64]*pending
	routes  map[route][]uint64 // the tags that a Return may speak of, oldest first
}

type pending struct {
	route  route
	age    int // in ticks
	failed error
	done   func(error)
}

// route is what a Return lets us recognise: the broker tells no tag.
type route struct{ exchange, key, id string }

func (o *outlet) publish(m message.Message, done func(error)) error {
	r := route{m.Exchange, m.Key, m.ID}
	tag := o.ch.GetNextPublishSeqNo()
	o.mu.Lock() // Before writing: the confirm may come before the write returns.
	o.pending[tag] = &pending{route: r, done: done}
	o.routes[r] = append(o.routes[r], tag)
	o.mu.Unlock()

	err := o.ch.Publish(m.Exchange, m.Key, true, false, publishing(m))
	if err == nil {
		return nil
	}
	if o.take(tag) == nil {
		return nil // Its fate was told already: the connection broke under the write.
	}
	return fmt.Errorf("%w: %w", message.ErrUnconfirmed, err)
}

// take removes and returns a pending message; whoever gets it tells its fate.
func (o *outlet) take(tag uint64) *pending {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.pending[tag]
	if p == nil {
		return nil
	}
	delete(o.pending, tag)
	rest := slices.DeleteFunc(o.routes[p.route], func(t uint64) bool { return t == tag })
	if len(rest) == 0 {
		delete(o.routes, p.route)
	} else {
		o.routes[p.route] = rest
	}
	return p
}

func (o *outlet) listen(returns <-chan amqp.Return, confirms <-chan amqp.Confirmation, closed <-chan *amqp.Error, timeout time.Duration) {
	defer close(o.ended)
	tick := time.NewTicker(timeout / ticksPerTimeout)
	defer tick.Stop()
	for {
		select {
		case r, open := <-returns:
			if !open {
				returns = nil
				continue
			}
			o.returned(r)
		case c, open := <-confirms:
			if !open {
				o.abandon(func(*pending) bool { return true }, ended(<-closed))
				return
			}
			// A Return precedes its confirm on the wire, so it is in the
			// buffer by now: read all of them before believing the confirm.
			for more := returns != nil; more; {
				select {
				case r, open := <-returns:
					if more = open; open {
						o.returned(r)
					}
				default:
					more = false
				}
			}
			o.confirmed(c)
		case <-tick.C:
			if o.abandon(o.older, "the confirm is overdue") == 0 && o.left.Load() {
				go func() { _ = o.ch.Close() }() // It waits for an answer, and nothing else is to come.
				return
			}
		}
	}
}

// ended is why a channel has: the client tells it before it ends the confirms, and tells
// nothing of a channel that was closed here.
func ended(why *amqp.Error) string {
	switch {
	case why == nil:
		return "the channel ended"
	case why.Code == amqp.NotFound:
		return "the broker ended the channel: " + why.Reason + "; what a program publishes to is declared by its rabbit.Config.Topology"
	}
	return "the broker ended the channel: " + why.Reason
}

const ticksPerTimeout = 8

// older counts a tick, and says whether the message has waited for all of them.
func (o *outlet) older(p *pending) bool {
	if p.age++; p.age > 1 {
		o.doubted.Store(true)
	}
	return p.age > ticksPerTimeout
}

func (o *outlet) returned(r amqp.Return) {
	o.miss()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, tag := range o.routes[route{r.Exchange, r.RoutingKey, r.MessageId}] {
		if p := o.pending[tag]; p.failed == nil {
			p.failed = message.Returned{Exchange: r.Exchange, Key: r.RoutingKey, Reason: r.ReplyText}
			return
		}
	}
}

func (o *outlet) confirmed(c amqp.Confirmation) {
	p := o.take(c.DeliveryTag)
	switch {
	case p == nil: // It was given up before; its sender has been told.
	case p.failed != nil:
		p.done(p.failed)
	case !c.Ack:
		o.doubted.Store(true)
		p.done(message.ErrNacked)
	default:
		p.done(nil)
	}
}

// abandon gives up the pending messages that match, and says how many others there are.
func (o *outlet) abandon(which func(*pending) bool, why string) (rest int) {
	o.mu.Lock()
	var tags []uint64
	for tag, p := range o.pending {
		if which(p) {
			tags = append(tags, tag)
		}
	}
	rest = len(o.pending) - len(tags)
	o.mu.Unlock()
	for _, tag := range tags {
		if p := o.take(tag); p != nil {
			p.done(fmt.Errorf("%w: %s", message.ErrUnconfirmed, why))
		}
	}
	return rest
}
