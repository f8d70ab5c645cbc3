package calltest

import (
	"context"
	"errors"
	"sync"

	"payonce/once/call"
)

// courier is an outside: it picks up once under a key, and knows what it has done.
type courier struct {
	mu       sync.Mutex
	done     map[string]string // by key, the number of the pick-up
	buried   map[string]bool
	pickedUp map[string]int // by subject
	sent     map[string]int // by subject

	// answer is what a request gets instead of an answer, after the pick-up.
	answer func(r call.Record) error
	// before is what it gets instead of being taken.
	before func(r call.Record) error
	// silent says that questions are not answered.
	silent func(r call.Record) error
}

func newCourier() *courier {
	return &courier{done: map[string]string{}, buried: map[string]bool{}, pickedUp: map[string]int{}, sent: map[string]int{}}
}

var errNoAnswer = errors.New("no answer")

func (c *courier) outside() call.Outside[call.Record, call.Outcome] {
	return call.Outside[call.Record, call.Outcome]{Send: c.send, Ask: c.ask, Cancel: c.cancel}
}

func (c *courier) send(_ context.Context, r call.Record) (call.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[r.Subject]++
	if c.before != nil {
		if err := c.before(r); err != nil {
			return call.Outcome{}, err
		}
	}
	if c.buried[r.Key] {
		return call.Outcome{Status: call.Abandoned}, nil
	}
	if c.done[r.Key] == "" {
		c.done[r.Key] = "pick-up-of-" + r.Key
		c.pickedUp[r.Subject]++
	}
	if c.answer != nil {
		if err := c.answer(r); err != nil {
			return call.Outcome{}, err
		}
	}
	return call.Outcome{Status: call.Done, Ref: c.done[r.Key]}, nil
}

func (c *courier) ask(_ context.Context, r call.Record) (call.Outcome, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silent != nil {
		if err := c.silent(r); err != nil {
			return call.Outcome{}, false, err
		}
	}
	switch {
	case c.done[r.Key] != "":
		return call.Outcome{Status: call.Done, Ref: c.done[r.Key]}, true, nil
	case c.buried[r.Key]:
		return call.Outcome{Status: call.Abandoned}, true, nil
	}
	return call.Outcome{}, false, nil
}

func (c *courier) cancel(_ context.Context, r call.Record) (call.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done[r.Key] != "" {
		return call.Outcome{Status: call.Done, Ref: c.done[r.Key]}, nil
	}
	c.buried[r.Key] = true
	return call.Outcome{Status: call.Abandoned, Reason: "too late"}, nil
}

func (c *courier) came(subject string) (pickedUp, sent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pickedUp[subject], c.sent[subject]
}
