// Package wiretest puts a wire that can be faulty between every two processes
// of a stage: slow, cut, silent, or slow to end. It is toxiproxy as a library,
// with one proxy for each pair that talks, so that a fault hits exactly one.
//
//	net := wiretest.New(t)
//	s := stage.Start(t, stage.Options{Between: net.Between})
//	mend := net.Wire("relay", "rabbitmq").Break(wiretest.Cut)
//	…
//	mend()
//
// What toxiproxy cuts, it cuts by time. To lose one reply by its meaning, see
// package nettest.
package wiretest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Net is the wires of one stage.
type Net struct {
	t      testing.TB
	server *toxiproxy.ApiServer

	mu    sync.Mutex
	wires map[[2]string]*Wire
}

// Wire is the way from one process to another.
type Wire struct {
	From, To string
	t        testing.TB
	proxy    *toxiproxy.Proxy
}

// New makes a net without wires; they end with the test.
func New(t testing.TB) *Net {
	return &Net{t: t, server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), wires: map[[2]string]*Wire{}}
}

// Between lays a wire and returns where from has to connect instead.
func (n *Net) Between(from, to, address string) string {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if w := n.wires[[2]string{from, to}]; w != nil {
		return w.proxy.Listen
	}
	w := &Wire{From: from, To: to, t: n.t, proxy: toxiproxy.NewProxy(n.server, from+" to "+to, "127.0.0.1:0", address)}
	if err := w.proxy.Start(); err != nil {
		n.t.Fatalf("wire from %s to %s: %v", from, to, err)
	}
	n.t.Cleanup(w.proxy.Stop)
	n.wires[[2]string{from, to}] = w
	return w.proxy.Listen
}

// Wire returns the wire between two processes, which must have been laid.
func (n *Net) Wire(from, to string) *Wire {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.wires[[2]string{from, to}]
	if w == nil {
		n.t.Fatalf("there is no wire from %s to %s", from, to)
	}
	return w
}

// Fault is what can be wrong with a wire.
type Fault string

// Faults.
const (
	// Slow delays every piece, there and back, by 150 ms.
	Slow Fault = "latency"
	// Cut ends every connection and refuses new ones.
	Cut Fault = "cut"
	// Silent keeps connections open and carries nothing: a machine that lost
	// its network. Mended, the connections that were open in it end.
	Silent Fault = "half-open"
	// Linger passes every byte, but an end only after two seconds: the far end
	// holds a dead connection for a living one.
	Linger Fault = "slow close"
)

// Faults lists all kinds.
var Faults = []Fault{Slow, Cut, Silent, Linger}

var toxic = map[Fault]string{
	Cut:    "", // the proxy itself stops
	Slow:   `{"type": "latency", "attributes": {"latency": 150, "jitter": 50}}`,
	Silent: `{"type": "timeout", "attributes": {"timeout": 0}}`,
	Linger: `{"type": "slow_close", "attributes": {"delay": 2000}}`,
}

// Break makes the wire faulty until mend is called.
func (w *Wire) Break(f Fault) (mend func()) {
	w.t.Helper()
	if f == Cut {
		w.proxy.Stop()
		return func() {
			w.t.Helper()
			if err := w.proxy.Start(); err != nil { // where it was: Listen holds the port by now
				w.t.Errorf("mend the wire from %s to %s: %v", w.From, w.To, err)
			}
		}
	}
	var names []string
	for _, stream := range []string{"upstream", "downstream"} {
		spec := fmt.Sprintf(`{"name": %q, "stream": %q, %s`, stream, stream, strings.TrimPrefix(toxic[f], "{"))
		if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(spec)); err != nil {
			w.t.Fatalf("%s from %s to %s: %v", f, w.From, w.To, err)
		}
		names = append(names, stream)
	}
	return func() {
		w.t.Helper()
		for _, name := range names {
			if err := w.proxy.Toxics.RemoveToxic(context.Background(), name); err != nil {
				w.t.Errorf("mend the wire from %s to %s: %v", w.From, w.To, err)
			}
		}
	}
}
