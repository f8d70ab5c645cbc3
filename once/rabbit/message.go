package rabbit

import (
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
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

func (m Message) publishing() amqp.Publishing {
	return amqp.Publishing{
		DeliveryMode: amqp.Persistent,
		ContentType:  m.ContentType,
		MessageId:    m.ID,
		Type:         m.Type,
		Timestamp:    m.Time,
		Headers:      amqp.Table(m.Headers),
		Body:         m.Body,
	}
}

// Text is a header that is text; "" when it is none.
func (m Message) Text(header string) string {
	s, _ := m.Headers[header].(string)
	return s
}

// Number is a header that is a number in any of the forms that AMQP has for one; 0 when it
// is none.
func (m Message) Number(header string) int64 {
	return integer(m.Headers[header])
}

func integer(v any) int64 {
	switch n := v.(type) {
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
