package rabbit

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Message is what is published: persistent and mandatory, always.
type Message struct {
	Exchange string
	Key      string
	// ID is for people and for matching; deduplication reads the envelope.
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

// Headers of an event on its way. The first group is the CloudEvents 1.0 binary
// binding.
const (
	HeaderSpecVersion = "cloudEvents:specversion"
	HeaderID          = "cloudEvents:id"
	HeaderType        = "cloudEvents:type"
	HeaderSource      = "cloudEvents:source"
	HeaderTime        = "cloudEvents:time"
	HeaderSubject     = "cloudEvents:subject"

	HeaderAggregateVersion = "payonce-aggregate-version"
	HeaderAttempt          = "payonce-attempt"
	HeaderReplay           = "payonce-replay"
	HeaderPastWindow       = "payonce-past-window"
	HeaderMerchant         = "payonce-merchant"
	HeaderCorrelation      = "payonce-correlation"
	HeaderTraceparent      = "traceparent"
)

// Envelope is what a message says about its event, in the one form that
// publisher and consumers agree on.
type Envelope struct {
	EventID uuid.UUID
	Type    string
	Source  string
	// AggregateID is the event's subject; AggregateVersion counts its events.
	AggregateID      uuid.UUID
	AggregateVersion int64
	// Scope is whose it is, Correlation the story it belongs to; either may be
	// the zero id.
	Scope       uuid.UUID
	Correlation uuid.UUID
	Time        time.Time
	Traceparent string
	// Attempt counts the deliveries that a consumer asked for, from 1.
	Attempt int
	// Replay counts how often a person sent the event again. PastWindow says that
	// the person knew that dedupe may have forgotten it.
	Replay     int
	PastWindow bool
	Payload    []byte
}

// Message puts the envelope on a message to exchange with the given key.
func (e Envelope) Message(exchange, key string) Message {
	headers := map[string]any{
		HeaderSpecVersion:      "1.0",
		HeaderID:               e.EventID.String(),
		HeaderType:             e.Type,
		HeaderSource:           e.Source,
		HeaderTime:             e.Time.UTC().Format(time.RFC3339Nano),
		HeaderSubject:          e.AggregateID.String(),
		HeaderAggregateVersion: e.AggregateVersion,
		HeaderAttempt:          int64(e.Attempt),
		HeaderReplay:           int64(e.Replay),
	}
	if e.PastWindow {
		headers[HeaderPastWindow] = true
	}
	if e.Scope != uuid.Nil {
		headers[HeaderMerchant] = e.Scope.String()
	}
	if e.Correlation != uuid.Nil {
		headers[HeaderCorrelation] = e.Correlation.String()
	}
	if e.Traceparent != "" {
		headers[HeaderTraceparent] = e.Traceparent
	}
	return Message{
		Exchange: exchange, Key: key, ID: e.EventID.String(), Type: e.Type,
		ContentType: "application/json", Time: e.Time, Headers: headers, Body: e.Payload,
	}
}

// ParseEnvelope reads the envelope of a message. An error is permanent; what
// could be read is returned with it, so that a person sees more than nothing.
func ParseEnvelope(m Message) (Envelope, error) {
	e := Envelope{
		Type:             m.text(HeaderType),
		Source:           m.text(HeaderSource),
		AggregateVersion: m.number(HeaderAggregateVersion),
		Traceparent:      m.text(HeaderTraceparent),
		Attempt:          max(1, int(m.number(HeaderAttempt))),
		Replay:           int(m.number(HeaderReplay)),
		Payload:          m.Body,
	}
	e.PastWindow, _ = m.Headers[HeaderPastWindow].(bool)
	var firstErr error
	note := func(header string, err error) {
		if err != nil && firstErr == nil {
			firstErr = fmt.Errorf("header %s: %w", header, err)
		}
	}
	var err error
	if e.EventID, err = uuid.Parse(m.text(HeaderID)); err == nil && e.EventID == uuid.Nil {
		err = fmt.Errorf("the zero id names no event")
	}
	note(HeaderID, err)
	e.AggregateID, err = uuid.Parse(m.text(HeaderSubject))
	note(HeaderSubject, err)
	e.Time, err = time.Parse(time.RFC3339Nano, m.text(HeaderTime))
	note(HeaderTime, err)
	for header, id := range map[string]*uuid.UUID{HeaderMerchant: &e.Scope, HeaderCorrelation: &e.Correlation} {
		if text := m.text(header); text != "" {
			*id, err = uuid.Parse(text)
			note(header, err)
		}
	}
	if e.Type == "" {
		note(HeaderType, fmt.Errorf("it is missing"))
	}
	return e, firstErr
}

func (m Message) text(header string) string {
	s, _ := m.Headers[header].(string)
	return s
}

func (m Message) number(header string) int64 {
	return integer(m.Headers[header])
}

// integer reads a number in any of the forms that AMQP has for one.
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

// Carrier lets OpenTelemetry read and write a message's headers
// (propagation.TextMapCarrier), for tracers that carry more than traceparent.
type Carrier map[string]any

// Get reads a header, "" when there is none.
func (c Carrier) Get(key string) string {
	s, _ := c[key].(string)
	return s
}

// Set writes a header.
func (c Carrier) Set(key, value string) { c[key] = value }

// Keys lists the headers.
func (c Carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}
