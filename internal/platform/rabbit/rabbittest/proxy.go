// Package rabbittest stands between a test and its broker: a proxy that can cut
// every connection, refuse new ones, and stop carrying bytes, which is what a
// restart, an outage and a broken network look like from a client.
package rabbittest

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy carries bytes between clients and one broker.
type Proxy struct {
	listener net.Listener
	target   string
	url      url.URL

	mu       sync.Mutex
	down     bool
	conns    map[net.Conn]struct{}
	mute     chan struct{} // closed while the broker's answers pass
	carriers sync.WaitGroup
}

// NewProxy starts a proxy in front of the broker at amqpURL; it ends with the
// test.
func NewProxy(t testing.TB, amqpURL string) *Proxy {
	t.Helper()
	u, err := url.Parse(amqpURL)
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

// URL is where clients connect.
func (p *Proxy) URL() string { return p.url.String() }

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

// Answer says whether what the broker says reaches its clients. Muted, the
// broker hears everything and confirms into the void.
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
		broker, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[broker] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.carriers.Go(func() { p.carry(broker, client, false) })
		p.carriers.Go(func() { p.carry(client, broker, true) })
	}
}

// carry copies until one side ends, and then ends the other.
func (p *Proxy) carry(to, from net.Conn, answers bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if answers {
				<-p.answering()
			}
			if _, err := to.Write(buffer[:n]); err != nil {
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
