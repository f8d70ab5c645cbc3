package rabbit

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"payonce/once"
)

// TroubleUnderReplicated is for [Config.UnderReplicated] to raise. A quorum queue has a replica on the nodes
// that were in its cluster when it was declared, and AMQP does not tell on which.
var TroubleUnderReplicated = once.TroubleKind{
	Name:   "queue_replicas",
	Means:  "queues were declared while a listed node was away or in no cluster with the others: they may have fewer replicas than there are nodes",
	Remedy: "when all nodes are in: `rabbitmq-queues quorum_status QUEUE` shows the replicas, `rabbitmq-queues grow NODE all` adds those of a node",
}

// prepare declares the topology on the first connection, and after that only when
// the broker has lost its exchanges. A node binds a queue together with all others:
// while one of them is frozen, none answers a declaration, although a majority
// publishes and consumes. What a reader or a publisher misses later is declared
// then; see [Conn.miss].
func (c *Conn) prepare(l *link) error {
	if !c.declared {
		return c.declare(l)
	}
	known, err := answered(c.ctx, c, func() (bool, error) { return c.cfg.Topology.known(l.conn) }, nil)
	if err != nil || known {
		return err
	}
	return c.declare(l)
}

func (c *Conn) declare(l *link) error {
	if err := c.announce(l); err != nil {
		return err
	}
	err := c.inTime(l.conn, c.cfg.Topology.declare)
	if err == nil {
		c.declared = true
	}
	return err
}

// miss says that a queue or a binding is not there. The next one to say so while
// it is being declared changes nothing.
func (c *Conn) miss() {
	select {
	case c.lost <- struct{}{}:
	default:
	}
}

// announce says, before queues are made, which nodes of the list are not in the cluster
// that makes them. An error of [Config.UnderReplicated] leaves the queues undeclared: a queue that
// one node has alone is lost with it, so none is made without a word.
func (c *Conn) announce(l *link) error {
	if len(c.cfg.URLs) == 1 || c.cfg.UnderReplicated == nil {
		return nil
	}
	queues, err := answered(c.ctx, c, func() ([]string, error) { return c.cfg.Topology.missing(l.conn) }, nil)
	if err != nil || len(queues) == 0 {
		return err
	}
	nodes, err := c.outside(l.conn)
	if err != nil || len(nodes) == 0 {
		return err
	}
	c.cfg.Log.Warn("queues are declared while not all nodes are in the cluster", "queues", queues, "nodes", nodes)
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.Answer)
	defer cancel()
	return c.cfg.UnderReplicated(ctx, queues, nodes)
}

// missing lists the queues that the broker does not have.
func (t Topology) missing(conn *amqp.Connection) (names []string, err error) {
	for _, q := range t.Queues {
		// One for each: the broker closes the channel of a question about what is not there.
		if err = onChannel(conn, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclarePassive(q.Name, true, false, false, false, nil)
			return err
		}); notFound(err) {
			names = append(names, q.Name)
		} else if err != nil {
			return nil, err
		}
	}
	return names, nil
}

// outside lists, by host and port, the nodes that do not answer or are of another
// cluster: what is declared on one node of a cluster is known to all.
func (c *Conn) outside(conn *amqp.Connection) (nodes []string, err error) {
	mark := "once.cluster." + rand.Text()
	if err := c.inTime(conn, func(ch *amqp.Channel) error {
		return ch.ExchangeDeclare(mark, amqp.ExchangeFanout, false, false, false, false, nil)
	}); err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, c.inTime(conn, func(ch *amqp.Channel) error { return ch.ExchangeDelete(mark, false, false) }))
	}()
	var asking sync.WaitGroup
	away := make([]bool, len(c.cfg.URLs))
	for i, url := range c.cfg.URLs {
		asking.Go(func() { away[i] = !c.knows(url, mark) })
	}
	asking.Wait()
	for i, url := range c.cfg.URLs {
		if at, err := amqp.ParseURI(url); err == nil && away[i] { // Open has refused what cannot be parsed
			nodes = append(nodes, net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
		}
	}
	slices.Sort(nodes)
	return nodes, nil
}

func (c *Conn) knows(url, exchange string) bool {
	conn, err := c.open(url)
	if err != nil {
		return false
	}
	defer func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) }() //nolint:forbidigo // a deadline on a socket is an absolute time
	return c.inTime(conn, func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(exchange, amqp.ExchangeFanout, false, false, false, false, nil)
	}) == nil
}

// inTime is [onChannel] for an answer that has [Config.Answer] at most.
func (c *Conn) inTime(conn *amqp.Connection, ask func(*amqp.Channel) error) error {
	_, err := answered(c.ctx, c, func() (struct{}, error) { return struct{}{}, onChannel(conn, ask) }, nil)
	return err
}

// onChannel asks on a channel of its own.
func onChannel(conn *amqp.Connection, ask func(*amqp.Channel) error) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ask(ch); err != nil {
		return err // the broker has closed the channel
	}
	return ch.Close()
}
