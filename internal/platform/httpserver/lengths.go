package httpserver

import (
	"net"
	"strings"
)

// oneLength makes a request with both Content-Length and Transfer-Encoding one that
// net/http refuses with 400. net/http itself reads the chunks, as RFC 9112 6.3 allows,
// and drops the length before a handler sees that there was one; a proxy that believed
// the length would take what follows the chunks for a part of this body.
type oneLength struct {
	net.Conn
	at     part
	name   []byte // of the header that is being read, in lower case
	length int64  // what Content-Length says; while in the body, what is left of it
	sized  bool   // Content-Length was seen
	coded  bool   // Transfer-Encoding was seen
}

// lengths hands out connections that refuse two lengths.
type lengths struct{ net.Listener }

// Accept implements net.Listener.
func (l lengths) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &oneLength{Conn: c}, nil
}

// part is where in a connection's requests the next byte stands.
type part int

const (
	inRequestLine part = iota
	inName
	inValue
	inBody
	inRest // what follows is no request: see lastInChunks
)

// longest is the length of the longer one of the two names.
const longest = len("transfer-encoding")

// Read implements net.Conn.
func (c *oneLength) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for i := 0; i < n && c.at != inRest; i++ {
		if c.at == inBody {
			skipped := min(int64(n-i), c.length)
			if c.length -= skipped; c.length == 0 {
				c.at = inRequestLine
			}
			i += int(skipped) - 1
			continue
		}
		p[i] = c.next(p[i])
	}
	return n, err
}

// next takes a byte of a request's head, and returns the one that net/http reads.
func (c *oneLength) next(b byte) byte {
	switch {
	case b == '\n' && c.at == inName && len(strings.TrimRight(string(c.name), "\r")) == 0:
		c.endHead()
	case b == '\n':
		c.at, c.name = inName, c.name[:0]
	case c.at == inName && len(c.name) == 0 && (b == ' ' || b == '\t'):
		c.at = inValue
		return ':' // a value that goes on in a second line is refused, as RFC 9112 5.2 allows: it could be a length
	case c.at == inName && b == ':':
		c.at = inValue
		return c.header(string(c.name))
	case c.at == inName && len(c.name) <= longest:
		c.name = append(c.name, lower(b))
	case c.at == inValue && string(c.name) == "content-length" && '0' <= b && b <= '9' && c.length < 1<<40:
		c.length = c.length*10 + int64(b-'0')
	}
	return b
}

// header begins a header's value. Without its colon the second of the two headers is no
// header, which net/http refuses.
func (c *oneLength) header(name string) byte {
	switch name {
	case "content-length":
		c.sized, c.length = true, 0
	case "transfer-encoding":
		c.coded = true
	default:
		return ':'
	}
	if c.sized && c.coded {
		return ' '
	}
	return ':'
}

func (c *oneLength) endHead() {
	switch {
	case c.coded:
		c.at = inRest
	case c.length > 0:
		c.at = inBody
	default:
		c.at = inRequestLine
	}
	c.sized, c.coded, c.name = false, false, c.name[:0]
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}
