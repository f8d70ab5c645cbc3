package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/program"
)

// replayLine compares a repeated capture with a handler that reads the stored answer
// and nothing else.
func replayLine(h *house) line {
	c := &captures{house: h, clients: 16}
	return line{
		Name: "replay", Title: "Replay of a finished capture, 16 clients", Unit: "replays per second", Half: 1,
		Notes: []string{
			"Both answer from one indexed read. byhand reads it by the key alone; payonce authenticates, counts against the limits, validates, and compares the request with the one that the key belongs to.",
			"What payonce writes is the list of attempts, in batches, apart from the request.",
		},
		Contenders: []contender{
			{Name: "lookup", Title: "a gin handler that reads the answer of a key", Slice: c.replayedByHand},
			{Name: "payonce", Title: "POST …/capture with a key that was used", Slice: c.replayed},
		},
		Ratios: []ratio{{Of: "payonce", To: "lookup", Target: 0.9}},
		Open:   c.open,
	}
}

// keys is how many captures there are to be replayed, dealt to so many sandboxes that
// none of them is asked more often than its limit allows.
const keys, askers = 4000, 160

func (c *captures) replayed(ctx context.Context, t *clock) error {
	l, err := c.finished(ctx, c.folded)
	if err != nil {
		return err
	}
	return c.again(ctx, t, l)
}

// finished makes captures over HTTP whose requests can be repeated.
func (c *captures) finished(ctx context.Context, api *program.Program) (*load, error) {
	sandboxes, err := newSandboxes(ctx, api.URL, askers)
	if err != nil {
		return nil, err
	}
	jobs, err := c.seed(ctx, merchantsOf(sandboxes), keys)
	if err != nil {
		return nil, err
	}
	l := newLoad(api.URL, "", sandboxes, jobs)
	return l, l.whole(c.clients)
}

func (c *captures) replayedByHand(ctx context.Context, t *clock) error {
	jobs, err := c.seedByHand(ctx, []uuid.UUID{uuid.New()}, keys)
	if err != nil {
		return err
	}
	l := newLoad(c.hand.URL, "/folded", nil, jobs)
	if err := l.whole(c.clients); err != nil {
		return err
	}
	for i, request := range l.requests {
		l.requests[i] = bytes.Replace(request, []byte("POST /folded/"), []byte("POST /look/"), 1)
	}
	return c.again(ctx, t, l)
}

// again repeats finished captures while the clock runs, and looks that none was charged.
func (c *captures) again(ctx context.Context, t *clock, l *load) error {
	charged := c.instant.count()
	l.circle = true
	l.run(c.clients, warmUp)
	if err := l.problem(); err != nil {
		return err
	}
	if err := t.startWithLog(ctx, c.db); err != nil {
		return err
	}
	l.run(c.clients, t.length)
	err := errors.Join(t.stopWithLog(ctx, c.db, l.captured()), l.problem())
	t.latency = l.latencies()
	if more := c.instant.count() - charged; err == nil && more > 0 {
		err = fmt.Errorf("%d replays charged", more)
	}
	return err
}

// whole sends every request once.
func (l *load) whole(clients int) error {
	l.run(clients, time.Minute)
	if n := l.captured(); n != len(l.requests) && l.problem() == nil {
		return fmt.Errorf("%d of %d requests were answered", n, len(l.requests))
	}
	return l.problem()
}
