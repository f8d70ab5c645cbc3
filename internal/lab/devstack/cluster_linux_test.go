//go:build prove

package devstack_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/devstack/proc"
	"payonce/once/rabbit"
)

func TestThreeNodesAndAPairOfWhichEachMayDieComeBackWithEverything(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	stack := start(t, devstack.Options{Dir: dir, Cluster: true})
	nodes := strings.Split(stack.AMQPURL("/"), ",")
	if len(stack.Nodes) != 3 || len(nodes) != 3 || nodes[0] == nodes[1] || nodes[1] == nodes[2] {
		t.Fatalf("%d nodes at %q", len(stack.Nodes), nodes)
	}
	for i := range stack.Nodes {
		if n, err := stack.Sees(t.Context(), i); err != nil || n != 3 {
			t.Errorf("after the start node %d sees %d nodes, %v", i+1, n, err)
		}
	}
	read := readSix(t, nodes)
	saysStranger(t, nodes)
	if led, replicas, err := stack.Spread(t.Context()); err != nil || led != 3 || replicas != 3 {
		t.Errorf("of six queues the leaders are on %d nodes, one has %d replicas, %v", led, replicas, err)
	}
	eventually(t, "all are read", func() bool { return read(t.Context()) == nil })
	if err := stack.Nodes[0].Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two nodes are left, each by itself", func() bool {
		n, err := stack.Sees(t.Context(), 1)
		return err == nil && n == 2 && stack.Nodes[2].Pid() != 0
	})
	eventually(t, "all are read from the two", func() bool { return read(t.Context()) == nil })
	if err := stack.Nodes[1].Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "of one node that is left nothing is read", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return read(ctx) != nil
	})
	var both sync.WaitGroup
	for _, node := range stack.Nodes[:2] {
		both.Go(func() {
			if err := node.Start(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	eventually(t, "all are read from the three", func() bool { return read(t.Context()) == nil })
	eventually(t, "the first is one of three again", func() bool { n, err := stack.Sees(t.Context(), 0); return err == nil && n == 3 })

	dsn := stack.PostgresDSN(devstack.MainDatabase)
	execute(t, dsn, `CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)`)
	replica := open(t, stack.Pair.Through(devstack.MainDatabase, stack.Pair.Addresses()[1:]))
	if err := replica.PingContext(t.Context()); err == nil {
		t.Error("a program is let in at the standby")
	}
	heard := keep(t, stack.Pair)
	first, second := stack.Pair.Primary(), stack.Pair.Standby()
	if err := syscall.Kill(first.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	heard.waits(t, devstack.RolePrimary, devstack.RoleStandby)
	if stack.Pair.Primary() != second || stack.Pair.Standby() != first {
		t.Error("after the primary's end the standby is not the primary, or nothing follows it")
	}
	execute(t, dsn, `INSERT INTO kept VALUES (2)`) // which waits for the new standby
	if err := syscall.Kill(first.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	heard.waits(t, devstack.RoleStandby)
	execute(t, dsn, `INSERT INTO kept VALUES (3)`)
	heard.stop()
	pids := []int{first.Pid(), second.Pid()}
	for _, node := range stack.Nodes {
		pids = append(pids, node.Pid())
	}
	if err := stack.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("pid %d outlives its stack", pid)
		}
	}
	nothingOf(t, dir)

	again := start(t, devstack.Options{Dir: dir, Cluster: true, SkipRabbitMQ: true})
	if again.Pair.Primary().Name != second.Name || again.PostgresDSN(devstack.MainDatabase) != dsn {
		t.Error("the second start has another primary, or other addresses, than the first")
	}
	if n := count(t, dsn, `SELECT count(*) FROM kept WHERE NOT pg_is_in_recovery()`); n != 3 {
		t.Errorf("after a failover and a second start: want 3 rows, got %d", n)
	}
}

// readSix declares six queues and reads them; it returns whether that still goes on.
func readSix(t *testing.T, nodes []string) func(context.Context) error {
	t.Helper()
	var topology rabbit.Topology
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		topology.Queues = append(topology.Queues, rabbit.DeadLetterQueue(name))
	}
	conn, err := rabbit.Open(rabbit.Config{URLs: nodes, Topology: topology, UnderReplicated: func(_ context.Context, queues, away []string) error {
		t.Errorf("of one cluster of three: %v are said to lack replicas on %v", queues, away)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	t.Cleanup(func() { cancel(); reading.Wait(); conn.Close() })
	if err := conn.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	for _, queue := range topology.QueueNames() {
		reading.Go(func() {
			_ = conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue}, func(context.Context, []rabbit.Delivery) {})
		})
	}
	return func(ctx context.Context) error { return conn.Reads(ctx, topology.QueueNames()...) }
}

// saysStranger lists a node that answers and is of another cluster: a queue that is declared
// then has no replica on it, or on it alone.
func saysStranger(t *testing.T, nodes []string) {
	t.Helper()
	said := make(chan int, 1)
	conn, err := rabbit.Open(rabbit.Config{
		URLs: append(slices.Clone(nodes), devtest.Broker(t)), Topology: rabbit.Topology{Queues: []rabbit.Queue{rabbit.DeadLetterQueue("stranger")}},
		UnderReplicated: func(_ context.Context, _, away []string) error { said <- len(away); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-said; n != 1 && n != 3 {
		t.Errorf("%d nodes are said to be of another cluster, want the stranger, or the three when it is asked", n)
	}
}

// hearing counts who came back, by role.
type hearing struct {
	mu   sync.Mutex
	back map[string]int
	stop context.CancelFunc
}

func keep(t *testing.T, pair *devstack.Pair) *hearing {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h := &hearing{back: map[string]int{}}
	over := make(chan struct{})
	go func() {
		defer close(over)
		pair.Keep(ctx, devstack.PairKeeper{
			Back: func(role string, _ *proc.Process, _ time.Duration) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.back[role]++
			},
			Failed: func(role string, err error) { t.Logf("%s: %v", role, err) },
		})
	}()
	h.stop = func() { cancel(); <-over }
	t.Cleanup(h.stop)
	return h
}

// waits until each role is filled anew, and forgets it.
func (h *hearing) waits(t *testing.T, roles ...string) {
	t.Helper()
	for _, role := range roles {
		eventually(t, role+" is back", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.back[role] == 0 {
				return false
			}
			h.back[role]--
			return true
		})
	}
}
