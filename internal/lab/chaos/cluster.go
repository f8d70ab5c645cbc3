package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"payonce/internal/lab/devstack"
)

// This file holds what breaks in a cluster: its nodes and its pair.

// The kinds of faults that only a cluster has.
const (
	Hang Kind = "hang" // SIGSTOP of a node, of the primary or of its standby, and SIGCONT after For
	Part Kind = "part" // a node of RabbitMQ and the others do not reach each other
)

// The parts of a cluster. The primary is postgres, whichever of the two it is.
const (
	both    = "two of rabbitmq"
	primary = devstack.RolePrimary
	standby = devstack.RoleStandby
)

var nodes = []string{"rabbitmq-1", "rabbitmq-2", "rabbitmq-3"}

func (s Step) inCluster() bool {
	return slices.Contains(nodes, s.Target) || s.Target == both || s.Target == standby
}

var clusterRhythm = []struct {
	kind  Kind
	every time.Duration
	least int
}{
	{Crash, 75 * time.Second, 2},
	{Hang, 50 * time.Second, 3},
	{Part, 75 * time.Second, 1},
}

// InCluster turns a plan into one for a cluster: a broker that is killed is one of
// three nodes, and more breaks. It is as pure as [Plan].
func InCluster(plan []Step, seed uint64, length time.Duration) []Step {
	rng := chance(seed, 0xc1057e5)
	plan = slices.Clone(plan)
	for i := range plan {
		if plan[i].Kind == Crash && plan[i].Target == "rabbitmq" {
			plan[i].Target = nodes[rng.IntN(len(nodes))]
		}
	}
	for _, r := range clusterRhythm {
		n := max(r.least, int(length/r.every))
		for i := range n {
			at := time.Duration((float64(i) + rng.Float64()) / float64(n) * float64(length))
			plan = append(plan, drawInCluster(rng, r.kind, at, i))
		}
	}
	slices.SortStableFunc(plan, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return plan
}

func drawInCluster(rng *rand.Rand, kind Kind, at time.Duration, i int) Step {
	s := Step{At: at, Kind: kind, Target: nodes[rng.IntN(len(nodes))]}
	switch kind {
	case Crash:
		s.Target = []string{both, standby}[i%2]
	case Hang:
		// The cluster gives a node up after five to six seconds.
		s.For = between(rng, time.Second, 20*time.Second)
		if i%4 > 1 {
			s.Target, s.For = []string{primary, standby}[i%2], between(rng, time.Second, 4*time.Second)
		}
	default:
		s.For = between(rng, 5*time.Second, 15*time.Second)
	}
	return s
}

// inTurn carries out a fault of the nodes and waits until they are together again:
// with two that are out for a reason each, nothing would be left to be promised. One
// that comes while another is under way is left out.
func (d *director) inTurn(ctx context.Context, fault func() error) error {
	if !d.cluster.TryLock() {
		return errBusy
	}
	defer d.cluster.Unlock()
	if err := fault(); err != nil {
		return err
	}
	return d.whole(ctx)
}

// whole waits until the nodes are together, and counts those that had to be started
// again for it.
func (d *director) whole(ctx context.Context) error {
	restarts, err := d.stack.Whole(ctx, 4*time.Minute)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rejoined += restarts
	return err
}

// crashInCluster kills one of the pair, or nodes of the broker.
func (d *director) crashInCluster(ctx context.Context, name string, dice int) error {
	switch name {
	case primary:
		return d.stack.Pair.Primary().Kill(ctx)
	case standby:
		return d.stack.Pair.Standby().Kill(ctx)
	}
	return d.inTurn(ctx, func() error {
		if name != both {
			return d.node(name).Kill(ctx)
		}
		for i := range 2 {
			if err := d.stack.Nodes[(dice+i)%len(d.stack.Nodes)].Kill(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *director) node(name string) *devstack.Service {
	return d.stack.Nodes[slices.Index(nodes, name)]
}

func (d *director) hang(ctx context.Context, s Step) error {
	still := func(service *devstack.Service) error {
		if err := service.Freeze(); err != nil {
			return err
		}
		wait(ctx, s.For)
		return service.Thaw()
	}
	switch s.Target {
	case primary:
		return still(d.stack.Pair.Primary())
	case standby:
		return still(d.stack.Pair.Standby())
	}
	return d.inTurn(ctx, func() error { return still(d.node(s.Target)) })
}

func (d *director) part(ctx context.Context, s Step) error {
	node := slices.Index(nodes, s.Target)
	return d.inTurn(ctx, func() error {
		if err := d.stack.Part(ctx, node, true); err != nil {
			return err
		}
		wait(ctx, s.For)
		return d.mendPart(context.WithoutCancel(ctx), node)
	})
}

// mendPart asks until the node hears it.
func (d *director) mendPart(ctx context.Context, node int) (err error) {
	for range 20 {
		if err = d.stack.Part(ctx, node, false); err == nil {
			return nil
		}
		wait(ctx, 500*time.Millisecond)
	}
	return err
}

// liftCluster ends what may be under way there, and returns when all nodes are
// together.
func (d *director) liftCluster(ctx context.Context) error {
	d.cluster.Lock()
	defer d.cluster.Unlock()
	return d.whole(ctx)
}

// crashesOf sums the kills of a service's servers.
func crashesOf(crashes map[string]int, service string) (n int) {
	for name, times := range crashes {
		switch {
		case name == both && service == "rabbitmq":
			n += 2 * times
		case name == service, strings.HasPrefix(name, service+"-"):
			n += times
		}
	}
	return n
}

// clusterLine is what the report says of the cluster.
func (r *Report) clusterLine() string {
	return fmt.Sprintf("three nodes of RabbitMQ; Postgres with a synchronous standby, which took over %d times; %d nodes stayed outside after a fault and were started again",
		r.Crashes[primary], r.Rejoined)
}
