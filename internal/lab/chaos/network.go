package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"payonce/internal/lab/devstack"
)

// network is the proxies between programs and services, one for each link.
type network struct {
	mu      sync.Mutex
	proxies map[string]*toxiproxy.Proxy
}

func newNetwork() *network { return &network{proxies: map[string]*toxiproxy.Proxy{}} }

// link puts a proxy before the host of target and returns target with the
// proxy's address in it.
func (n *network) link(ctx context.Context, name, target string) (string, error) {
	address, err := url.Parse(target)
	if err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	// Not a port that the system hands out: while the link is cut, a client could
	// be given it.
	port, err := devstack.FreePort(ctx)
	if err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, name, fmt.Sprintf("127.0.0.1:%d", port), address.Host)
	if err := proxy.Start(); err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	n.mu.Lock()
	n.proxies[name] = proxy
	n.mu.Unlock()
	address.Host = proxy.Listen
	return address.String(), nil
}

func (n *network) proxy(name string) (*toxiproxy.Proxy, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.proxies[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("there is no link %s", name)
}

// cut closes the link's connections and refuses new ones.
func (n *network) cut(name string) error {
	p, err := n.proxy(name)
	if err == nil {
		p.Stop()
	}
	return err
}

// freeze keeps the connections open and lets nothing through.
func (n *network) freeze(name string) error {
	return n.poison(name, `{"name":"freeze_down","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`,
		`{"name":"freeze_up","type":"timeout","stream":"upstream","attributes":{"timeout":0}}`)
}

// slow delays what comes back.
func (n *network) slow(name string, millis int) error {
	return n.poison(name, fmt.Sprintf(`{"name":"slow","type":"latency","stream":"downstream","attributes":{"latency":%d}}`, millis))
}

func (n *network) poison(name string, toxics ...string) error {
	p, err := n.proxy(name)
	if err != nil {
		return err
	}
	for _, toxic := range toxics {
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	return nil
}

// mend makes the link work; one that works is left alone. Connections that were
// frozen are closed: what they swallowed is gone.
func (n *network) mend(ctx context.Context, name string) error {
	p, err := n.proxy(name)
	if err != nil {
		return err
	}
	if p.Toxics.GetToxic("freeze_down") != nil {
		p.Stop()
	}
	p.Toxics.ResetToxics(ctx)
	if err := p.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return nil
}

func (n *network) mendAll(ctx context.Context) error {
	for _, name := range links {
		if err := n.mend(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.proxies {
		p.Stop()
	}
}
