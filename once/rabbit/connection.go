package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/once"
)

// Config says where the broker is and what this process needs it to have.
type Config struct {
	// URLs are the cluster's nodes, tried in turn from any of them on: with one place
	// to begin at, all connections would be on one node.
	URLs []string
	// Name is what the broker shows for this connection.
	Name     string
	Topology Topology
	Log      *slog.Logger // nil means silence

	DialTimeout  time.Duration // 0 means 3 s
	WriteTimeout time.Duration // 0 means 10 s; a write that blocks longer ends the connection
	// Heartbeat is what is agreed with the broker; the client gives up one that was
	// silent for one and a half of it. 0 means 3 s.
	Heartbeat time.Duration
	// Answer is how long the broker may take for what it is asked on a connection;
	// 0 means 5 s. A node that is frozen, and any node that waits for it, never answers.
	Answer time.Duration
	// UnderReplicated gets, before queues are declared, those that the broker does not have
	// when not all nodes of URLs are in one cluster; see [TroubleUnderReplicated]. Nodes are
	// host and port. nil means that nothing asks. While it returns an error the queues are not declared.
	UnderReplicated func(ctx context.Context, queues, nodes []string) error

	BackoffMin time.Duration // 0 means 100 ms
	BackoffMax time.Duration // 0 means 5 s
}

func (c *Config) setDefaults() error {
	if len(c.URLs) == 0 {
		return errors.New("rabbit: no broker URL is given")
	}
	for _, u := range c.URLs {
		if _, err := amqp.ParseURI(u); err != nil {
			// The parser's error may quote the URL, and so the password.
			return errors.New("rabbit: a broker URL cannot be parsed; expected amqp://user:password@host:port/vhost")
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for d, byDefault := range map[*time.Duration]time.Duration{
		&c.DialTimeout: 3 * time.Second, &c.WriteTimeout: 10 * time.Second, &c.Heartbeat: 3 * time.Second, &c.Answer: 5 * time.Second,
		&c.BackoffMin: 100 * time.Millisecond, &c.BackoffMax: 5 * time.Second,
	} {
		if *d == 0 {
			*d = byDefault
		}
	}
	return nil
}

// ErrClosed says that this process closed its connection.
var ErrClosed = errors.New("rabbit: the connection was closed by its owner")

// Conn is one connection to the broker that heals. It is up or it is being
// built anew; publishers and consumers wait meanwhile.
type Conn struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}
	of     *Conn // whose queue is read over this one; nil for one that was opened

	mu         sync.Mutex
	current    *link         // nil while down
	changed    chan struct{} // closed at the next change of current
	generation uint64
	lastErr    error
	readers    map[string][over + 1]int // of each queue, by their phase
	asked      *question                // the latest one about them
	declared   bool                     // the topology, since this process began
	lost       chan struct{}            // holds a token when a part of it is missed
}

// Open starts connecting and returns at once: a process may start before its
// broker. Its error is a mistake in cfg.
func Open(cfg Config) (*Conn, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	c := newConn(cfg)
	go c.heal()
	return c, nil
}

func newConn(cfg Config) *Conn {
	ctx, cancel := context.WithCancel(context.Background())
	cfg.URLs = slices.Clone(cfg.URLs)
	rand.Shuffle(len(cfg.URLs), func(i, j int) { cfg.URLs[i], cfg.URLs[j] = cfg.URLs[j], cfg.URLs[i] })
	return &Conn{cfg: cfg, ctx: ctx, cancel: cancel, ended: make(chan struct{}), changed: make(chan struct{}), readers: map[string][over + 1]int{}, lost: make(chan struct{}, 1)}
}

// Close ends the connection. Unacknowledged deliveries come again elsewhere.
func (c *Conn) Close() {
	c.cancel()
	<-c.ended
}

// Healthy says whether the connection is up right now.
func (c *Conn) Healthy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current != nil
}

// Generation counts the connections made so far.
func (c *Conn) Generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

// Ready waits until the connection is up and the topology is declared. Its
// error names why it is not.
func (c *Conn) Ready(ctx context.Context) error {
	_, err := c.link(ctx)
	return err
}

func (c *Conn) heal() {
	defer close(c.ended)
	pause := &once.Pause{First: c.cfg.BackoffMin, Most: c.cfg.BackoffMax}
	for node := 0; c.ctx.Err() == nil; node++ {
		l, err := c.connect(c.cfg.URLs[node%len(c.cfg.URLs)])
		if err != nil {
			c.set(nil, err)
			c.cfg.Log.Warn("the broker cannot be reached", "error", err)
		} else {
			c.set(l, nil)
			c.cfg.Log.Info("connected to the broker", "generation", l.generation)
			c.watch(l, pause.Reset)
			l.close()
		}
		pause.Wait(c.ctx)
	}
	c.set(nil, ErrClosed)
}

// between is the least time from one declaration of what is missed to the next:
// messages that no queue takes come by the thousand, and each misses one.
const between = time.Second

// watch returns when the link is down or the process wants no more. A link that
// held for a while has earned a quick reconnect.
func (c *Conn) watch(l *link, held func()) {
	proven := time.NewTimer(c.cfg.BackoffMax)
	defer proven.Stop()
	lost := c.lost
	var again <-chan time.Time
	for {
		select {
		case <-proven.C:
			held()
		case <-again:
			lost, again = c.lost, nil
		case <-lost:
			lost, again = nil, time.After(between)
			if err := c.declare(l); err != nil {
				c.cfg.Log.Warn("what the broker has lost cannot be declared again", "error", err)
			}
		case <-l.down:
			c.set(nil, l.reason)
			c.cfg.Log.Warn("the connection to the broker broke", "generation", l.generation, "error", l.reason)
			return
		case <-c.ctx.Done():
			c.set(nil, ErrClosed)
			return
		}
	}
}

func (c *Conn) set(l *link, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l != nil {
		c.generation++
		l.generation = c.generation
	}
	c.current, c.lastErr = l, err
	close(c.changed)
	c.changed = make(chan struct{})
}

// link waits for a live connection.
func (c *Conn) link(ctx context.Context) (*link, error) {
	for {
		c.mu.Lock()
		l, changed, last := c.current, c.changed, c.lastErr
		c.mu.Unlock()
		if l != nil {
			return l, nil
		}
		if c.ctx.Err() != nil {
			return nil, ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if last != nil {
				return nil, fmt.Errorf("no connection to the broker: %w (%w)", last, ctx.Err())
			}
			return nil, fmt.Errorf("no connection to the broker yet: %w", ctx.Err())
		}
	}
}

// link is one generation of the connection.
type link struct {
	generation uint64
	conn       *amqp.Connection
	down       chan struct{}
	reason     error // why it is down; read after down

	mu   sync.Mutex
	free chan struct{} // closed while the broker takes messages
	left int           // channels on which a queue still owes an answer
}

// open opens a connection of the client.
func (c *Conn) open(url string) (*amqp.Connection, error) {
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(c.cfg.Name)
	// Recovery stays nil: the client must not revive channels (see the package).
	return amqp.DialConfig(url, amqp.Config{Heartbeat: c.cfg.Heartbeat, Properties: properties, Dial: c.dial})
}

func (c *Conn) connect(url string) (*link, error) {
	conn, err := c.open(url)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, down: make(chan struct{}), free: make(chan struct{})}
	close(l.free)
	closes := conn.NotifyClose(make(chan *amqp.Error, 1))
	blocks := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	go l.hear(closes, blocks)
	if err := c.prepare(l); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// ErrSilent says that the broker did not answer in time.
var ErrSilent = errors.New("the broker does not answer")

// answered is [within] for the broker's answer, which has [Config.Answer] at most.
func answered[T any](ctx context.Context, c *Conn, call func() (T, error), discard func(T)) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, c.cfg.Answer)
	defer cancel()
	value, err := within(bounded, call, discard)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("%w: nothing for %s", ErrSilent, c.cfg.Answer)
	}
	return value, err
}

func (l *link) hear(closes <-chan *amqp.Error, blocks <-chan amqp.Blocking) {
	for {
		select {
		case b, open := <-blocks:
			if !open {
				blocks = nil
				continue
			}
			l.block(b.Active)
		case e, open := <-closes:
			l.reason = ErrClosed
			if open && e != nil {
				l.reason = e
			}
			close(l.down)
			return
		}
	}
}

func (l *link) block(active bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.free:
		if active {
			l.free = make(chan struct{})
		}
	default:
		if !active {
			close(l.free)
		}
	}
}

// takesMessages returns a channel that is closed as long as the broker has
// memory and disk for messages.
func (l *link) takesMessages() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.free
}

// channel opens a channel.
func (c *Conn) channel(ctx context.Context, l *link) (*amqp.Channel, error) {
	return answered(ctx, c, l.conn.Channel, func(late *amqp.Channel) { _ = late.Close() })
}

// within gives up waiting for call when ctx ends; the client's calls ignore
// contexts, and a silent broker answers when its heartbeats are missed at the
// latest. What comes too late goes to discard.
func within[T any](ctx context.Context, call func() (T, error), discard func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		value, err := call()
		answered <- answer{value, err}
		if ctx.Err() == nil || err != nil || discard == nil {
			return
		}
		select {
		case late := <-answered: // Nobody took it.
			discard(late.value)
		default:
		}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// judged gives the link up when the broker was silent on it, and returns err. What
// was asked may come about later, on a channel that nothing here reads: it ends with
// the connection.
func (l *link) judged(err error) error {
	if errors.Is(err, ErrSilent) {
		go l.close()
	}
	return err
}

// close says goodbye, but not for long: a broker in a memory alarm reads nothing
// from this connection, not even that.
func (l *link) close() {
	_ = l.conn.CloseDeadline(time.Now().Add(time.Second)) //nolint:forbidigo // a deadline on a socket is an absolute time
	<-l.down
}
