package saga

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"payonce/once/inbox"
	"payonce/once/outbox"
)

// schemaVersion is the major version of commands and replies.
const schemaVersion = 1

// What a reply's type ends with; it begins with its command's.
const (
	done   = ".done"
	failed = ".failed"
)

// Command tells a participant to do, or undo, its step.
type Command struct {
	Schema    int       `json:"schema"`
	Saga      string    `json:"saga_id"`
	Step      string    `json:"step"`
	Direction Direction `json:"direction"`
	// Attempt counts how often this command was sent, from 1.
	Attempt int `json:"attempt"`
	// Again says that a person wants an earlier refusal to be thought about anew.
	Again bool `json:"again,omitempty"`
	// Data is what the saga is about.
	Data json.RawMessage `json:"data"`

	Type        string `json:"-"`
	Scope       string `json:"-"`
	Correlation string `json:"-"`
	EventID     string `json:"-"`
}

// Reply is a participant's answer.
type Reply struct {
	Schema    int       `json:"schema"`
	Saga      string    `json:"saga_id"`
	Step      string    `json:"step"`
	Direction Direction `json:"direction"`
	Reason    string    `json:"reason,omitempty"` // of a refusal
}

// ReadCommand decodes a command. An error is permanent.
func (s Store) ReadCommand(m inbox.Message) (Command, error) {
	var c Command
	if err := decode(m, &c); err != nil {
		return c, err
	}
	c.Saga = s.id(c.Saga)
	if c.Schema != schemaVersion || c.Saga == "" || c.Step == "" || c.Direction != Do && c.Direction != Undo {
		return c, fmt.Errorf("no command of schema %d that names saga, step and direction: schema %d", schemaVersion, c.Schema)
	}
	c.Type, c.Scope, c.Correlation, c.EventID = m.Type, m.Scope, m.Correlation, m.EventID
	return c, nil
}

func (s Store) readReply(m inbox.Message) (r Reply, ok bool, err error) {
	if err := decode(m, &r); err != nil {
		return r, false, err
	}
	r.Saga = s.id(r.Saga)
	if r.Schema != schemaVersion || r.Saga == "" || r.Step == "" || r.Direction != Do && r.Direction != Undo {
		return r, false, fmt.Errorf("no reply of schema %d that names saga, step and direction: schema %d", schemaVersion, r.Schema)
	}
	return r, strings.HasSuffix(m.Type, done), nil
}

// id is the id of a saga, "" for what is none here.
func (s Store) id(text string) string {
	if text == "" || s.ID == nil {
		return text
	}
	id, err := s.ID(text)
	if err != nil {
		return ""
	}
	return id
}

func decode(m inbox.Message, into any) error {
	if err := json.Unmarshal(m.Payload, into); err != nil {
		return fmt.Errorf("the payload does not fit %T: %w", into, err)
	}
	return nil
}

// command makes the event that carries a track's command.
func (d Definition) command(s *Saga, t *Track, anew bool) (outbox.Event, error) {
	kind := d.Steps[t.Position].Do
	if t.Direction == Undo {
		kind = d.Steps[t.Position].Undo
	}
	e, err := outbox.New(s.Scope, s.Correlation, "saga", s.ID, kind, Command{
		Schema: schemaVersion, Saga: s.ID, Step: t.Step, Direction: t.Direction, Attempt: t.Attempts, Again: anew, Data: s.Data,
	})
	e.AggregateVersion, e.Traceparent = s.Sent, s.Traceparent
	return e, err
}

// participation names a participant's memory of a step as an aggregate: its
// replies are numbered among themselves.
func participation(saga, step string) string {
	if id, err := uuid.Parse(saga); err == nil {
		return uuid.NewSHA1(id, []byte(step)).String()
	}
	return saga + "/" + step
}

func (c Command) reply(kind string, payload []byte, number int64, traceparent string) (outbox.Event, error) {
	e, err := outbox.New(c.Scope, c.Correlation, "participation", participation(c.Saga, c.Step), kind, json.RawMessage(payload))
	e.AggregateVersion, e.Traceparent = number, traceparent
	return e, err
}
