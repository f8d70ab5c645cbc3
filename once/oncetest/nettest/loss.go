package nettest

import (
	"net"
	"slices"
	"strings"
	"sync"
)

// End is how the connection ends on which a reply is lost.
type End string

// Ends.
const (
	Close End = "FIN" // an end of file
	Reset End = "RST" // an error
)

// Reply says which reply is lost.
type Reply struct {
	kind   kind
	marker string
}

type kind int

const (
	commit kind = iota
	answer
	confirm
	ack
)

// Commit is the answer to the COMMIT of a transaction that ran a statement which
// contains marker, or, when such a statement ran alone, the answer to it: in
// both cases Postgres has made it durable.
func Commit(marker string) Reply { return Reply{commit, marker} }

// Answer is the answer to an HTTP request that begins with request, such as
// "POST /v1/charges ".
func Answer(request string) Reply { return Reply{answer, request} }

// Confirm is the broker's next confirm of what was published.
func Confirm() Reply { return Reply{kind: confirm} }

// Ack is a consumer's next acknowledgement: the broker never gets it.
func Ack() Reply { return Reply{kind: ack} }

// Loss is one reply that is to be lost, once.
type Loss struct {
	reply    Reply
	end      End
	happened chan struct{}
}

// Lose loses the next such reply, and ends its connection. A loss happens once;
// several wait side by side and each takes what it fits.
func (p *Proxy) Lose(r Reply, end End) *Loss {
	l := &Loss{reply: r, end: end, happened: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losses = append(p.losses, l)
	return l
}

// Happened says whether the reply has been lost.
func (l *Loss) Happened() bool {
	select {
	case <-l.happened:
		return true
	default:
		return false
	}
}

// happen ends the client's connection. The server's is closed behind it.
func (l *Loss) happen(client net.Conn) {
	close(l.happened) // first, so that whoever sees the end can know why; once, because it was taken
	if tcp, ok := client.(*net.TCPConn); ok && l.end == Reset {
		_ = tcp.SetLinger(0) // what is closed now answers with RST
	}
	_ = client.Close()
}

// take hands out the first loss that waits for such a reply.
func (p *Proxy) take(k kind, fits func(marker string) bool) *Loss {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, l := range p.losses {
		if l.reply.kind == k && fits(l.reply.marker) {
			p.losses = slices.Delete(p.losses, i, i+1)
			return l
		}
	}
	return nil
}

// putBack says that what was taken did not come to its reply.
func (p *Proxy) putBack(l *Loss) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losses = append(p.losses, l)
}

// conversation overhears one connection. Each of its two methods returns what
// passes, and the loss that has just happened, if one has.
type conversation interface {
	asks(b []byte) ([]byte, *Loss)
	answers(b []byte) ([]byte, *Loss)
}

func (p *Proxy) overhear() conversation {
	switch p.url.Scheme {
	case "postgres", "postgresql":
		return &session{proxy: p, prepared: map[string]string{}, status: idle}
	case "amqp":
		return &channels{proxy: p}
	case "http":
		return &exchange{proxy: p}
	}
	return deaf{}
}

// deaf passes everything.
type deaf struct{}

func (deaf) asks(b []byte) ([]byte, *Loss)    { return b, nil }
func (deaf) answers(b []byte) ([]byte, *Loss) { return b, nil }

// exchange is HTTP/1.1: one request at a time on each connection, its head at
// the beginning of a write.
type exchange struct {
	proxy *Proxy

	mu   sync.Mutex
	next *Loss
}

func (e *exchange) asks(b []byte) ([]byte, *Loss) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.next == nil {
		e.next = e.proxy.take(answer, func(marker string) bool { return strings.HasPrefix(string(b), marker) })
	}
	return b, nil
}

func (e *exchange) answers(b []byte) ([]byte, *Loss) {
	e.mu.Lock()
	defer e.mu.Unlock()
	lost := e.next
	e.next = nil
	return b, lost
}
