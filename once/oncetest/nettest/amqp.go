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
	return b, c.look(&c.sent, ack)
}

func (c *channels) answers(b []byte) ([]byte, *Loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, b...)
	return b, c.look(&c.said, confirm)
}

// look goes through the whole frames at the front of buffer.
func (c *channels) look(buffer *[]byte, k kind) (lost *Loss) {
	for {
		acks, rest, whole := frame(*buffer)
		if !whole {
			return lost
		}
		*buffer = rest
		if acks && lost == nil {
			lost = c.proxy.take(k, func(string) bool { return true })
		}
	}
}

// frame takes the first frame off and says whether it is basic.ack.
func frame(b []byte) (acks bool, rest []byte, whole bool) {
	const (
		head, end = 7, 1 // type, channel, size … frame-end
		method    = 1
		basic     = 60
		basicAck  = 80
	)
	if len(b) < head {
		return false, b, false
	}
	size := head + int(binary.BigEndian.Uint32(b[3:])) + end
	if len(b) < size {
		return false, b, false
	}
	payload := b[head : size-end]
	acks = b[0] == method && len(payload) >= 4 &&
		binary.BigEndian.Uint16(payload) == basic && binary.BigEndian.Uint16(payload[2:]) == basicAck
	return acks, b[size:], true
}
