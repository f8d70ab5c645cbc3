// Package envelope is what a message says about its event, beside the payload: the one
// form that publishers and consumers agree on.
package envelope

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/once/rabbit"
)

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
func (e Envelope) Message(exchange, key string) rabbit.Message {
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
	return rabbit.Message{
		Exchange: exchange, Key: key, ID: e.EventID.String(), Type: e.Type,
		ContentType: "application/json", Time: e.Time, Headers: headers, Body: e.Payload,
	}
}

// Parse reads the envelope of a message. An error is permanent; what
// could be read is returned with it, so that a person sees more than nothing.
func Parse(m rabbit.Message) (Envelope, error) {
	e := Envelope{
		Type:             m.Text(HeaderType),
		Source:           m.Text(HeaderSource),
		AggregateVersion: m.Number(HeaderAggregateVersion),
		Traceparent:      m.Text(HeaderTraceparent),
		Attempt:          max(1, int(m.Number(HeaderAttempt))),
		Replay:           int(m.Number(HeaderReplay)),
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
	if e.EventID, err = uuid.Parse(m.Text(HeaderID)); err == nil && e.EventID == uuid.Nil {
		err = fmt.Errorf("the zero id names no event")
	}
	note(HeaderID, err)
	e.AggregateID, err = uuid.Parse(m.Text(HeaderSubject))
	note(HeaderSubject, err)
	e.Time, err = time.Parse(time.RFC3339Nano, m.Text(HeaderTime))
	note(HeaderTime, err)
	for header, id := range map[string]*uuid.UUID{HeaderMerchant: &e.Scope, HeaderCorrelation: &e.Correlation} {
		if text := m.Text(header); text != "" {
			*id, err = uuid.Parse(text)
			note(header, err)
		}
	}
	if e.Type == "" {
		note(HeaderType, fmt.Errorf("it is missing"))
	}
	return e, firstErr
}
