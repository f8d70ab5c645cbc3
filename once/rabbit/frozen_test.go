package rabbit_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/rabbit"
)

// waiting stands before a broker as a node that waits for a frozen one: once it is
// armed, a connection that declares or binds a queue gets no answer any more.
type waiting struct {
	listener net.Listener
	target   string
	armed    atomic.Bool
	// unmarked is for a node that waits for a frozen one with the exchange that is to tell
	// who is in the cluster.
	unmarked atomic.Bool
	// silent is the queue of which a reader's beginning is kept back.
	silent atomic.Value
	// deadly is the queue over whose reader the broker ends the connection.
	deadly atomic.Value
	deaths atomic.Int64
	// declarations counts what clients declared of queues.
	declarations atomic.Int64

	mu   sync.Mutex
	open []net.Conn
	held []func()
}

// newWaiting returns it and the broker's address through it.
func newWaiting(t *testing.T, broker string) (*waiting, string) {
	t.Helper()
	u, err := url.Parse(broker)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &waiting{listener: l, target: u.Host}
	var running sync.WaitGroup
	running.Go(w.serve)
	t.Cleanup(func() { _ = l.Close(); w.cut(); running.Wait() })
	u.Host = l.Addr().String()
	return w, u.String()
}

func (w *waiting) serve() {
	var pipes sync.WaitGroup
	defer pipes.Wait()
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.open = append(w.open, client, server)
		w.mu.Unlock()
		pipes.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
		pipes.Go(func() { w.frames(client, server); _ = server.Close() })
	}
}

// frames hands a client's frames on, and keeps back all from the one that declares
// (queue.declare is method 50, 10; queue.bind is 50, 20).
func (w *waiting) frames(client io.Reader, server io.Writer) {
	if _, err := io.CopyN(server, client, 8); err != nil { // the protocol's header
		return
	}
	head := make([]byte, 7)
	for {
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		rest := make([]byte, binary.BigEndian.Uint32(head[3:])+1)
		if _, err := io.ReadFull(client, rest); err != nil {
			return
		}
		if head[0] == 1 && len(rest) > 4 && binary.BigEndian.Uint32(rest) == 50<<16|10 {
			w.declarations.Add(1)
		}
		declares := head[0] == 1 && len(rest) > 4 && binary.BigEndian.Uint16(rest) == 50
		frame := slices.Concat(head, rest)
		if reads(&w.deadly, rest, head[0]) {
			w.deaths.Add(1)
			return // serve closes the server's end, and so the client's
		}
		if w.holds(rest, head[0]) {
			w.mu.Lock()
			w.held = append(w.held, func() { _, _ = server.Write(frame) })
			w.mu.Unlock()
			continue // it alone: the connection lives
		}
		marks := bytes.Contains(rest, []byte("once.cluster."))
		if w.armed.Load() && declares || w.unmarked.Load() && marks {
			_, _ = io.Copy(io.Discard, client)
			return
		}
		w.mu.Lock()
		_, err := server.Write(frame)
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// holds says whether a frame asks to read the queue that is silent (basic.consume is
// method 60, 20; two bytes, then the queue's name, come behind it).
func (w *waiting) holds(rest []byte, kind byte) bool { return reads(&w.silent, rest, kind) }

func reads(which *atomic.Value, rest []byte, kind byte) bool {
	queue, _ := which.Load().(string)
	return queue != "" && kind == 1 && len(rest) > 7 && binary.BigEndian.Uint32(rest) == 60<<16|20 && bytes.HasPrefix(rest[7:], []byte(queue))
}

// speaks hands on what was kept back.
func (w *waiting) speaks() {
	w.silent.Store("")
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, send := range w.held {
		send()
	}
	w.held = nil
}

func (w *waiting) clients() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open) / 2
}

func (w *waiting) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		_ = c.Close()
	}
	w.open = nil
}

// Seen on three nodes of which one was frozen: a reconnect declared the topology
// again, no node answered, and nothing was published or consumed for as long as
// that one was frozen.
func TestAReconnectWhileNoNodeDeclaresCarriesMessages(t *testing.T) {
	t.Parallel()
	w, address := newWaiting(t, oncetest.Broker(t))
	conn := open(t, address)
	generation := conn.Generation()
	w.armed.Store(true)
	w.cut()
	eventually(t, "a new generation", func() bool { return conn.Healthy() && conn.Generation() > generation })
	if err := conn.Publisher(rabbit.PublisherConfig{}).Publish(soon(t), numbered("known", 1)); err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{}, 1)
	ctx, stop := context.WithCancel(soon(t))
	defer stop()
	var reading sync.WaitGroup
	defer reading.Wait()
	reading.Go(func() {
		_ = conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue}, func(_ context.Context, batch []rabbit.Delivery) {
			_ = rabbit.Ack(batch...)
			heard <- struct{}{}
		})
	})
	select {
	case <-heard:
	case <-ctx.Done():
		t.Error("nothing was consumed")
	}
	stop()
}

func TestAStartDoesNotWaitForANodeThatDoesNotDeclare(t *testing.T) {
	t.Parallel()
	broker := oncetest.Broker(t)
	w, address := newWaiting(t, broker)
	w.armed.Store(true)
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{address, broker}, Topology: topology, Answer: 300 * time.Millisecond, BackoffMin: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Ready(soon(t)); err != nil {
		t.Error(err)
	}
}

// readsBoth reads two queues, one of which the broker makes trouble about, and counts what
// comes of each.
func readsBoth(t *testing.T, conn *rabbit.Conn) *[2]atomic.Int64 {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	t.Cleanup(func() { stop(); reading.Wait() })
	var of [2]atomic.Int64
	for i, name := range []string{queue, dead} {
		reading.Go(func() {
			_ = conn.Consume(ctx, rabbit.ConsumerConfig{Queue: name}, func(_ context.Context, batch []rabbit.Delivery) {
				_ = rabbit.Ack(batch...)
				of[i].Add(int64(len(batch)))
			})
		})
	}
	return &of
}

func publishesToBoth(t *testing.T, conn *rabbit.Conn) {
	t.Helper()
	publisher := conn.Publisher(rabbit.PublisherConfig{})
	for _, m := range []message.Message{{Exchange: dead, ID: "other", Body: []byte("1")}, numbered("known", 1)} {
		if err := publisher.Publish(soon(t), m); err != nil {
			t.Fatal(err)
		}
	}
}

// Seen on three nodes. A reader that had given up waiting was registered seconds later,
// and for a minute one in three messages went to it. And while one queue had no leader,
// the readers of all others on the connection began anew every seven seconds.
func TestAQueueThatLetsNoReaderBeginStopsNoOtherAndLeavesNoReaderBehind(t *testing.T) {
	t.Parallel()
	broker := oncetest.Broker(t)
	w, address := newWaiting(t, broker)
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{address}, Topology: topology, Answer: 300 * time.Millisecond, BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	w.silent.Store(queue)
	generation := conn.Generation()
	of := readsBoth(t, conn)
	eventually(t, "the silent queue was asked for a reader three times", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.held) >= 3 })
	publishesToBoth(t, conn)
	eventually(t, "the other queue is read", func() bool { return of[1].Load() == 1 })
	if conn.Reads(soon(t), dead) != nil || conn.Reads(soon(t), queue) == nil {
		t.Error("one is read and the other is not")
	}
	if conn.Generation() != generation {
		t.Error("the connection was given up for one queue")
	}
	w.speaks()
	eventually(t, "it is read too", func() bool { return of[0].Load() == 1 && conn.Reads(soon(t), queue, dead) == nil })
	looks := open(t, broker)
	eventually(t, "the queue has one reader", func() bool {
		depth, err := looks.Depth(soon(t), queue)
		return err == nil && depth.Consumers == 1
	})
	if conn.Generation() != generation {
		t.Error("the connection was given up in the end")
	}
}

// Seen after a node was killed: the process of one queue did not come back, and RabbitMQ
// 3.10 ended the connection of each reader that asked for it, with all others on it.
func TestAQueueOverWhichTheBrokerEndsTheConnectionStopsNoOther(t *testing.T) {
	t.Parallel()
	w, address := newWaiting(t, oncetest.Broker(t))
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{address}, Topology: topology, BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	w.deadly.Store(queue)
	of := readsBoth(t, conn)
	eventually(t, "the connection ended three times", func() bool { return w.deaths.Load() >= 3 })
	eventually(t, "the other queue is read", func() bool { return conn.Reads(soon(t), dead) == nil })
	generation, deaths := conn.Generation(), w.deaths.Load()
	eventually(t, "it was asked for five times more", func() bool { return w.deaths.Load() >= deaths+5 })
	if conn.Generation() != generation || conn.Reads(soon(t), dead) != nil || conn.Reads(soon(t), queue) == nil {
		t.Error("one is read over the connection, which lives, and the other is not")
	}
	publishesToBoth(t, conn)
	eventually(t, "the other queue's message comes", func() bool { return of[1].Load() == 1 })
	w.deadly.Store("")
	eventually(t, "it is read too", func() bool { return of[0].Load() == 1 && conn.Reads(soon(t), queue, dead) == nil })
}

func TestAQueueThatIsGoneIsDeclaredAgainByWhoMissesIt(t *testing.T) {
	t.Parallel()
	for name, miss := range map[string]func(t *testing.T, conn *rabbit.Conn){
		"its reader": func(t *testing.T, conn *rabbit.Conn) {
			t.Helper()
			ctx, stop := context.WithCancel(t.Context())
			var reading sync.WaitGroup
			reading.Go(func() {
				_ = conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue}, func(context.Context, []rabbit.Delivery) {})
			})
			t.Cleanup(func() { stop(); reading.Wait() })
		},
		"its publisher": func(t *testing.T, conn *rabbit.Conn) {
			t.Helper()
			_ = conn.Publisher(rabbit.PublisherConfig{}).Publish(soon(t), numbered("known", 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := open(t, oncetest.Broker(t))
			if err := conn.DeleteQueue(soon(t), queue); err != nil {
				t.Fatal(err)
			}
			miss(t, conn)
			eventually(t, "it is bound again", func() bool {
				return conn.Publisher(rabbit.PublisherConfig{}).Publish(soon(t), numbered("known", 2)) == nil
			})
		})
	}
}
