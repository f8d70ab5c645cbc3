// Package message is what the patterns say to a broker and hear of it, whichever library
// carries it: [payonce/once/rabbit] does. It imports no client, so that a program which takes
// the outbox brings a publisher of its own.
package message

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Message is what is published: persistent and mandatory, always.
type Message struct {
	Exchange string
	Key      string
	// ID is for people, and tells which message a Return speaks of.
	ID          string
	Type        string
	ContentType string
	Time        time.Time
	Headers     map[string]any
	Body        []byte
}

// Text is a header that is text; "" when it is none.
func (m Message) Text(header string) string {
	s, _ := m.Headers[header].(string)
	return s
}

// Number is a header that is a number in any of the forms that AMQP has for one; 0 when it
// is none.
func (m Message) Number(header string) int64 {
	switch n := m.Headers[header].(type) {
	case int64:
		return n
	case int32:
		return int64(n)
	case int16:
		return int64(n)
	case int8:
		return int64(n)
	case uint8:
		return int64(n)
	case uint16:
		return int64(n)
	case uint32:
		return int64(n)
	case int:
		return int64(n)
	case string:
		i, _ := strconv.ParseInt(n, 10, 64)
		return i
	}
	return 0
}

// Returned says that no queue is bound for a message: it is nowhere, for
// certain.
type Returned struct {
	Exchange string
	Key      string
	Reason   string
}

func (r Returned) Error() string {
	return fmt.Sprintf("no queue is bound to exchange %q for %q (%s)", r.Exchange, r.Key, r.Reason)
}

// ErrNacked says that the broker refused the message for at least one queue. It
// may stand in others.
var ErrNacked = errors.New("the broker refused the message")

// ErrUnconfirmed says that the broker may or may not have the message.
var ErrUnconfirmed = errors.New("the broker did not confirm the message")

// Depth is what a queue holds and who reads it.
type Depth struct {
	Ready     int
	Consumers int
}

// ErrNoQueue says that the broker has no queue of that name.
var ErrNoQueue = errors.New("the broker has no such queue")
