package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"payonce/internal/lab/devstack/proc"
)

// peers are the nodes of a cluster after the first: three in all are the fewest of
// which one may be lost.
const peers = 2

// patience is how soon the followers of a queue believe that its leader's node is
// gone: its failure detector looks once in so many milliseconds.
const patience = "[{aten, [{poll_interval, 1000}]}].\n"

// nodes makes the engines: one alone, or three of a cluster.
func (s *Stack) nodes(found programs, chosen ports, password string) {
	home := filepath.Join(s.dir, "rabbitmq")
	s.epmd = &epmd{path: found.epmd, home: home, mark: home, port: chosen.Epmd, log: filepath.Join(s.dir, "log", "rabbitmq.log")}
	one := rabbitmq{
		server: found.rabbitmqServer, node: "payonce@localhost", place: "rabbitmq", name: "rabbitmq", dir: s.dir, ports: chosen.of(0),
		password: password, scratch: s.options.Scratch, api: s.options.BrokerAPI, epmd: s.epmd,
	}
	s.brokers, s.Nodes = nil, nil
	if !s.options.Cluster {
		s.brokers = append(s.brokers, &one)
	} else {
		s.epmd.mark = filepath.Join(home, "epmd")
		for i := range peers + 1 {
			one.cluster = append(one.cluster, fmt.Sprintf("payonce-%d@localhost", i+1))
		}
		for i, name := range one.cluster {
			node := one
			node.node, node.place, node.name, node.ports, node.api = name, fmt.Sprintf("rabbitmq/%d", i+1), nodeName(i), chosen.of(i), true
			s.brokers = append(s.brokers, &node)
		}
	}
	for i, node := range s.brokers {
		s.Nodes = append(s.Nodes, &Service{Name: nodeName(i), engine: node})
	}
	s.RabbitMQ = s.Nodes[0]
}

// nodeName is the service's: the first one is called as if it were alone.
func nodeName(i int) string {
	if i == 0 {
		return "rabbitmq"
	}
	return fmt.Sprintf("rabbitmq-%d", i+1)
}

// clustered is what a node of a cluster is told besides. A node that is silent for
// net_ticktime is down for the others. One that sees no majority stops serving: its
// clients go to the others, and it comes back by itself.
func (r *rabbitmq) clustered() string {
	var b strings.Builder
	b.WriteString("cluster_formation.peer_discovery_backend = classic_config\n")
	for i, node := range r.cluster {
		fmt.Fprintf(&b, "cluster_formation.classic_config.nodes.%d = %s\n", i+1, node)
	}
	b.WriteString("cluster_partition_handling = pause_minority\nnet_ticktime = 5\nqueue_leader_locator = balanced\n")
	return b.String()
}

// together waits until every node sees every other: what is declared before that
// has its replicas on those that were there.
func (s *Stack) together(ctx context.Context) error {
	if !s.options.Cluster || len(s.brokers) == 0 {
		return nil
	}
	return s.whole(ctx, time.Minute)
}

// whole waits until every node sees every other, up to limit.
func (s *Stack) whole(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for i := range s.brokers {
		for {
			n, err := s.Sees(ctx, i)
			if err == nil && n == len(s.brokers) {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s sees %d nodes of %d: %w", nodeName(i), n, len(s.brokers), errors.Join(err, ctx.Err()))
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

// Whole waits until every node of the cluster sees every other. A node that stays
// outside is started again: one that was frozen for longer than net_ticktime may
// wait for a person otherwise.
func (s *Stack) Whole(ctx context.Context, limit time.Duration) (restarts int, err error) {
	const itself = 20 * time.Second // what a node has to come back by itself
	for end := time.Now().Add(limit); ; {
		if err = s.whole(ctx, min(itself, time.Until(end))); err == nil || ctx.Err() != nil || time.Now().After(end) {
			return restarts, err
		}
		for _, i := range s.outside(ctx) {
			restarts++
			_ = s.Nodes[i].Restart(ctx) // where it does not start, it is tried again
		}
	}
}

// outside are the nodes that answer and see fewer nodes than another does.
func (s *Stack) outside(ctx context.Context) (nodes []int) {
	seen, most := make([]int, len(s.brokers)), 0
	for i := range s.brokers {
		n, err := s.Sees(ctx, i)
		switch {
		case errors.Is(err, errRefused):
			n = 0 // it lives and does not serve: it waits for the others
		case err != nil:
			n = len(s.brokers) // it starts, or is frozen
		default:
			most = max(most, n)
		}
		seen[i] = n
	}
	for i, n := range seen {
		if n < most {
			nodes = append(nodes, i)
		}
	}
	return nodes
}

// KeepWhole starts nodes again that stay outside of the cluster, until ctx ends.
func (s *Stack) KeepWhole(ctx context.Context, say func(string)) {
	for ctx.Err() == nil {
		if n, _ := s.Whole(ctx, 30*time.Second); n > 0 {
			say("rabbitmq   a node had stayed outside of the cluster and was started again")
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}

// Sees is how many running nodes a node of the cluster, counted from 0, sees.
func (s *Stack) Sees(ctx context.Context, node int) (n int, err error) {
	text, err := s.ask(ctx, node, http.MethodGet, "/api/running")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// Spread says on how many nodes of the cluster queues have their leader, and how
// many replicas the one with the fewest has.
func (s *Stack) Spread(ctx context.Context) (nodes, replicas int, err error) {
	text, err := s.ask(ctx, 0, http.MethodGet, "/api/leaders")
	if err == nil {
		_, err = fmt.Sscan(text, &nodes, &replicas)
	}
	return nodes, replicas, err
}

// Part cuts a node of the cluster, counted from 0, off from the others, or lets it
// reach them again. Its clients still reach it.
func (s *Stack) Part(ctx context.Context, node int, yes bool) error {
	method := http.MethodDelete
	if yes {
		method = http.MethodPut
	}
	_, err := s.ask(ctx, node, method, "/api/partition")
	return err
}

// errRefused: the node was reached, and could not do what it was asked.
var errRefused = errors.New("refused")

func (s *Stack) ask(ctx context.Context, node int, method, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.brokers[node].apiURL()+path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("broker api: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("broker api: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%w: %s", errRefused, resp.Status)
	}
	if err != nil {
		return "", fmt.Errorf("broker api: %s %s: %w", method, path, err)
	}
	return string(text), nil
}

func (r *rabbitmq) apiURL() string {
	return fmt.Sprintf("http://%s@127.0.0.1:%d", url.UserPassword(superuser, r.password), r.ports.BrokerAPI)
}

// epmd knows the nodes' names. It comes first: a VM that finds none starts one that
// outlives it.
type epmd struct {
	path, home, log string
	mark            string // the folder that it belongs to
	port            int

	mu      sync.Mutex
	process *proc.Process
}

// start starts it unless it runs, and returns when it answers.
func (e *epmd) start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.process != nil && e.process.Running() {
		return nil
	}
	if err := e.cookie(); err != nil {
		return err
	}
	process, err := proc.Start(proc.Spec{
		Name: "epmd", Path: e.path, Args: []string{"-port", strconv.Itoa(e.port), "-address", "127.0.0.1"},
		Env: append(environment(e.mark), "HOME="+e.home), Dir: e.home, LogFile: e.log,
	})
	if err != nil {
		return err
	}
	e.process = process
	return process.UntilReady(ctx, 10*time.Second, func(ctx context.Context) error { return accepts(ctx, e.port) })
}

// cookie makes the secret that all nodes know: three that start at once would each
// make their own.
func (e *epmd) cookie() error {
	file := filepath.Join(e.home, ".erlang.cookie")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(file, []byte(rand.Text()), 0o400); err != nil {
		return fmt.Errorf("cookie: %w", err)
	}
	return nil
}

func (e *epmd) stop(ctx context.Context) error { return endLeftovers(ctx, e.mark) }
