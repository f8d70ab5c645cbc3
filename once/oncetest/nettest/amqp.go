package nettest

import (
	"encoding/binary"
	"sync"
)

// channels is a connection to RabbitMQ, read along frame by frame. basic.ack is
// the same frame in both directions: from the broker it confirms what was
// published, from the client it settles what was delivered.
type channels struct {
	proxy *Proxy

	mu         sync.Mutex
	greeted    bool // the client's protocol header has passed
	sent, said []byte
}

func (c *channels) asks(b []byte) ([]byte, *Loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, b...)
	const header = len("AMQP\x00\x00\x09\x01")
	if !c.greeted {
		if len(c.sent) < header {
			return b, nil
		}
		c.sent, c.greeted = c.sent[header:], true
	}
	return b, c.look(&c.sent, ack, Acking)
}

func (c *channels) answers(b []byte) ([]byte, *Loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, b...)
	return b, c.look(&c.said, confirm, Confirmed)
}

// look goes through the whole frames at the front of buffer. An acknowledgement is a
// moment, and so is what the client publishes.
func (c *channels) look(buffer *[]byte, k kind, settled Moment) (lost *Loss) {
	for {
		method, arguments, rest, whole := frame(*buffer)
		if !whole {
			return lost
		}
		*buffer = rest
		switch {
		case method == basicAck && lost == nil:
			if lost = c.proxy.take(k, func(string) bool { return true }); lost == nil && !c.proxy.seen(Point{settled, ""}) {
				return ended()
			}
		case method == basicPublish && k == ack && !c.proxy.seen(Point{Publishing, routeOf(arguments)}):
			return ended()
		}
	}
}

// Methods of class basic.
const (
	basicPublish = 40
	basicAck     = 80
)

// frame takes the first frame off and says which method of class basic it is, if it is one.
func frame(b []byte) (method uint16, arguments, rest []byte, whole bool) {
	const (
		head, end = 7, 1 // type, channel, size … frame-end
		isMethod  = 1
		basic     = 60
	)
	if len(b) < head {
		return 0, nil, b, false
	}
	size := head + int(binary.BigEndian.Uint32(b[3:])) + end
	if len(b) < size {
		return 0, nil, b, false
	}
	payload := b[head : size-end]
	if b[0] == isMethod && len(payload) >= 4 && binary.BigEndian.Uint16(payload) == basic {
		method, arguments = binary.BigEndian.Uint16(payload[2:]), payload[4:]
	}
	return method, arguments, b[size:], true
}

// routeOf reads exchange and key of basic.publish, behind a reserved number.
func routeOf(arguments []byte) string {
	short := func(b []byte) (string, []byte) {
		if len(b) == 0 || len(b) <= int(b[0]) {
			return "", nil
		}
		return string(b[1 : 1+b[0]]), b[1+b[0]:]
	}
	if len(arguments) < 2 {
		return ""
	}
	exchange, rest := short(arguments[2:])
	key, _ := short(rest)
	return exchange + "/" + key
}
