package httpserver

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Client is the name under which an address is counted: itself, or the /64 of an
// IPv6 address, which is one household's. What is no address is its own name.
func Client(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	network, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return network.String()
}

func bounded(l net.Listener, limits Limits, log *slog.Logger) net.Listener {
	if limits.Connections < 0 {
		return l
	}
	return &bound{Listener: l, limits: limits, log: log, held: map[string]int{}, seldom: rate.Sometimes{Interval: 10 * time.Second}}
}

type bound struct {
	net.Listener
	limits Limits
	log    *slog.Logger
	seldom rate.Sometimes

	mu      sync.Mutex
	held    map[string]int
	refused int // since the last line
}

// Accept implements net.Listener.
func (b *bound) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who, counted := b.client(c)
		if !counted {
			return c, nil
		}
		if b.take(who) {
			return &conn{Conn: c, leave: sync.OnceFunc(func() { b.leave(who) })}, nil
		}
		_ = c.Close()
	}
}

func (b *bound) client(c net.Conn) (name string, counted bool) {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return "", false
	}
	for _, free := range b.limits.Free {
		if free.Contains(tcp.IP) {
			return "", false
		}
	}
	return Client(tcp.IP.String()), true
}

func (b *bound) take(who string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[who] < b.limits.Connections {
		b.held[who]++
		return true
	}
	b.refused++
	b.seldom.Do(func() {
		b.log.Warn("an address holds as many connections as it may; more are closed", "address", who, "limit", b.limits.Connections, "closed", b.refused)
		b.refused = 0
	})
	return false
}

func (b *bound) leave(who string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[who]--; b.held[who] <= 0 {
		delete(b.held, who)
	}
}

type conn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
