// Package envelope is what a message says about its event, beside the payload: the one
// form that publishers and consumers agree on.
package envelope

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/message"
)

// Headers of an event that bear the same name everywhere: the CloudEvents 1.0 binary
// binding, and W3C's trace context.
const (
	HeaderSpecVersion = "cloudEvents:specversion"
	HeaderID          = "cloudEvents:id"
	HeaderType        = "cloudEvents:type"
	HeaderSource      = "cloudEvents:source"
	HeaderTime        = "cloudEvents:time"
	HeaderSubject     = "cloudEvents:subject"
	HeaderTraceparent = "traceparent"
)

// Format says how a program calls the headers that no standard names, and which ids it
// takes.
type Format struct {
	AggregateVersion, Attempt, Replay, PastWindow, Scope, Correlation string
	// The story of a message that failed.
	Consumer, Reason, Class, FirstFailed, LastFailed string
	// ID reads an id that is not empty, into the one form in which the program compares
	// and keeps it, or into "" when it names nothing; what it returns is text that Postgres
	// takes, of 255 bytes at most. Nil takes each such text as it is: a program whose ids
	// are UUIDs takes [UUID], or one id in two spellings is two letters.
	ID func(id string) (string, error)
}

// Of returns the format in which each header begins with the name and a dash.
func Of(name once.Name) Format {
	p := string(name) + "-"
	return Format{
		AggregateVersion: p + "aggregate-version", Attempt: p + "attempt", Replay: p + "replay", PastWindow: p + "past-window",
		Scope: p + "scope", Correlation: p + "correlation", Consumer: p + "consumer", Reason: p + "reason", Class: p + "class",
		FirstFailed: p + "first-failed-at", LastFailed: p + "last-failed-at",
	}
}

// Envelope is what a message says about its event.
type Envelope struct {
	EventID string
	Type    string
	Source  string
	// AggregateID is the event's subject; AggregateVersion counts its events.
	AggregateID      string
	AggregateVersion int64
	// Scope is whose it is, Correlation the story it belongs to; either may be
	// empty.
	Scope       string
	Correlation string
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
func (f Format) Message(e Envelope, exchange, key string) message.Message {
	headers := map[string]any{
		HeaderSpecVersion:  "1.0",
		HeaderID:           e.EventID,
		HeaderType:         e.Type,
		HeaderSource:       e.Source,
		HeaderTime:         e.Time.UTC().Format(time.RFC3339Nano),
		HeaderSubject:      e.AggregateID,
		f.AggregateVersion: e.AggregateVersion,
		f.Attempt:          int64(e.Attempt),
		f.Replay:           int64(e.Replay),
	}
	if e.PastWindow {
		headers[f.PastWindow] = true
	}
	if e.Scope != "" {
		headers[f.Scope] = e.Scope
	}
	if e.Correlation != "" {
		headers[f.Correlation] = e.Correlation
	}
	if e.Traceparent != "" {
		headers[HeaderTraceparent] = e.Traceparent
	}
	return message.Message{
		Exchange: exchange, Key: key, ID: e.EventID, Type: e.Type,
		ContentType: "application/json", Time: e.Time, Headers: headers, Body: e.Payload,
	}
}

// Parse reads the envelope of a message. An error is permanent; what
// could be read is returned with it, so that a person sees more than nothing.
func (f Format) Parse(m message.Message) (Envelope, error) {
	e := Envelope{
		Type:             m.Text(HeaderType),
		Source:           m.Text(HeaderSource),
		AggregateVersion: m.Number(f.AggregateVersion),
		Traceparent:      m.Text(HeaderTraceparent),
		Attempt:          max(1, int(m.Number(f.Attempt))),
		Replay:           int(m.Number(f.Replay)),
		Payload:          m.Body,
	}
	e.PastWindow, _ = m.Headers[f.PastWindow].(bool)
	var firstErr error
	note := func(header string, err error) {
		if err != nil && firstErr == nil {
			firstErr = fmt.Errorf("header %s: %w", header, err)
		}
	}
	for _, of := range []struct {
		header   string
		into     *string
		required bool
	}{
		{HeaderID, &e.EventID, true},
		{HeaderSubject, &e.AggregateID, true},
		{f.Scope, &e.Scope, false},
		{f.Correlation, &e.Correlation, false},
	} {
		var err error
		if *of.into, err = f.Read(m.Text(of.header)); err == nil && of.required && *of.into == "" {
			err = errMissing
		}
		note(of.header, err)
	}
	var err error
	e.Time, err = ReadTime(m.Text(HeaderTime))
	note(HeaderTime, err)
	if e.Type == "" {
		note(HeaderType, errMissing)
	}
	return e, firstErr
}

var (
	errMissing = errors.New("it is missing")
	errNoID    = errors.New("it is longer than 255 bytes, or no text that Postgres takes")
	errNoTime  = errors.New("it is not between the years 1 and 9999")
)

// ReadTime reads a time of RFC 3339 into UTC. It takes no year that JSON cannot write, and
// leaves no offset that Postgres does not read (more than 15:59).
func ReadTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if t = t.UTC(); err == nil && (t.Year() < 1 || t.Year() > 9999) {
		err = errNoTime
	}
	return t, err
}

// Plain says that Postgres takes a text, and that it is no longer than AMQP's short
// strings are.
func Plain(text string) bool {
	return len(text) <= 255 && utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

// Read reads an id, which is empty where there is none, and beside an error.
func (f Format) Read(id string) (string, error) {
	if id == "" {
		return "", nil
	}
	if !Plain(id) {
		return "", errNoID
	}
	if f.ID == nil {
		return id, nil
	}
	id, err := f.ID(id)
	if err == nil && !Plain(id) {
		err = errNoID
	}
	if err != nil {
		return "", err
	}
	return id, nil
}

// UUID is a [Format.ID] for programs whose ids are UUIDs. The zero one is none.
func UUID(id string) (string, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed == uuid.Nil {
		return "", err
	}
	return parsed.String(), nil
}
