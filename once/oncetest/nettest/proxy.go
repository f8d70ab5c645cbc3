package nettest

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy carries bytes between clients and one server.
type Proxy struct {
	listener net.Listener
	target   string
	url      url.URL

	mu       sync.Mutex
	down     bool
	conns    map[net.Conn]struct{}
	mute     chan struct{} // closed while the server's answers pass
	losses   []*Loss
	looker   Looker
	see      func(Point) bool
	carriers sync.WaitGroup
}

// NewProxy starts a proxy in front of the server at address, a URL; it ends
// with the test.
func NewProxy(t testing.TB, address string) *Proxy {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: u.Host, url: *u, conns: map[net.Conn]struct{}{}, mute: make(chan struct{})}
	close(p.mute)
	p.url.Host = listener.Addr().String()
	p.carriers.Go(p.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		p.Answer(true)
		p.Cut()
		p.carriers.Wait()
	})
	return p
}

// URL is where clients connect: the server's own, by way of the proxy.
func (p *Proxy) URL() string { return p.url.String() }

// Addr is the host and port of URL.
func (p *Proxy) Addr() string { return p.url.Host }

// Cut breaks every connection at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

// Down breaks every connection and refuses new ones until Up.
func (p *Proxy) Down() {
	p.mu.Lock()
	p.down = true
	p.mu.Unlock()
	p.Cut()
}

// Up ends Down.
func (p *Proxy) Up() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

// Answer says whether what the server says reaches its clients. Muted, a broker
// hears everything and confirms into the void.
func (p *Proxy) Answer(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.mute:
		if !yes {
			p.mute = make(chan struct{})
		}
	default:
		if yes {
			close(p.mute)
		}
	}
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		down := p.down
		p.mu.Unlock()
		if down {
			_ = client.Close()
			continue
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		talk := p.overhear()
		p.carriers.Go(func() { p.carry(server, client, client, talk.asks) })
		p.carriers.Go(func() { p.carry(client, server, client, talk.answers) })
	}
}

// carry copies until one side ends, and then ends the other. What filter holds
// back does not go on; when it says that a loss has happened, the connection
// ends in that loss's way.
func (p *Proxy) carry(to, from, client net.Conn, filter func([]byte) ([]byte, *Loss)) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, to)
		delete(p.conns, from)
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if from != client {
				<-p.answering()
			}
			passes, lost := filter(buffer[:n])
			if lost != nil {
				lost.happen(client)
				return
			}
			if _, err := to.Write(passes); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) answering() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mute
}
