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

// network is the proxies between programs and services. A link has one for each
// server at its end, and all of them fail together.
type network struct {
	mu      sync.Mutex
	proxies map[string][]*toxiproxy.Proxy
}

func newNetwork() *network { return &network{proxies: map[string][]*toxiproxy.Proxy{}} }

// link puts a proxy before the host of each target, which commas separate, and
// returns them with the proxies' addresses in their place.
func (n *network) link(ctx context.Context, name, targets string) (string, error) {
	var linked []string
	for target := range strings.SplitSeq(targets, ",") {
		address, err := url.Parse(target)
		if err != nil {
			return "", fmt.Errorf("link %s: %w", name, err)
		}
		if address.Host, err = n.before(ctx, name, address.Host); err != nil {
			return "", err
		}
		linked = append(linked, address.String())
	}
	return strings.Join(linked, ","), nil
}

// before puts a proxy of the link before a server and returns its address.
func (n *network) before(ctx context.Context, name, server string) (string, error) {
	// Not a port that the system hands out: while the link is cut, a client could
	// be given it.
	port, err := devstack.FreePort(ctx)
	if err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	proxies := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(proxies, name, fmt.Sprintf("127.0.0.1:%d", port), server)
	if err := proxy.Start(); err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	n.mu.Lock()
	n.proxies[name] = append(n.proxies[name], proxy)
	n.mu.Unlock()
	return proxy.Listen, nil
}

// each does something to every proxy of a link.
func (n *network) each(name string, do func(*toxiproxy.Proxy) error) error {
	n.mu.Lock()
	proxies := n.proxies[name]
	n.mu.Unlock()
	if proxies == nil {
		return fmt.Errorf("there is no link %s", name)
	}
	for _, p := range proxies {
		if err := do(p); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	return nil
}

// cut closes the link's connections and refuses new ones.
func (n *network) cut(name string) error {
	return n.each(name, func(p *toxiproxy.Proxy) error { p.Stop(); return nil })
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
	return n.each(name, func(p *toxiproxy.Proxy) error {
		for _, toxic := range toxics {
			if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				return err
			}
		}
		return nil
	})
}

// mend makes the link work; one that works is left alone. Connections that were
// frozen are closed: what they swallowed is gone.
func (n *network) mend(ctx context.Context, name string) error {
	return n.each(name, func(p *toxiproxy.Proxy) error {
		if p.Toxics.GetToxic("freeze_down") != nil {
			p.Stop()
		}
		p.Toxics.ResetToxics(ctx)
		if err := p.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
			return err
		}
		return nil
	})
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
	for _, link := range n.proxies {
		for _, p := range link {
			p.Stop()
		}
	}
}
