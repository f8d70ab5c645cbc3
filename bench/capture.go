package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/program"
)

// captureLine compares a capture over HTTP with what its reader would write by
// hand, for a number of clients that each ask again as soon as they are answered.
func captureLine(h *house, clients int) line {
	c := &captures{house: h, clients: clients}
	return line{
		Name: fmt.Sprintf("capture-%d-clients", clients), Title: fmt.Sprintf("Capture, %d clients", clients), Unit: "captures per second", Half: 1,
		Notes: []string{
			"byhand is bench/byhand: a gin handler on database/sql with the least rows (key with its answer, payment, event), the same call of the same provider, and no package of payonce: no recovery, no order, no attempt, no limits, no journal, no check of who asks.",
			"statements are the product's own two, run by this program without HTTP or provider.",
			"The provider answers at once and is inside the load generator. Load generator, programs and Postgres share the machine's cores. The rate limits are the production ones: the clients come from many addresses and sandboxes.",
		},
		Contenders: []contender{
			{Name: "naive", Title: "a handler that promises nothing: charge, update, publish", Slice: c.byHand("/naive")},
			{Name: "byhand", Title: "a handler by hand, nine round trips", Slice: c.byHand("/steps")},
			{Name: "byhand-folded", Title: "a handler by hand, each transaction one statement", Slice: c.byHand("/folded")},
			{Name: "statements", Title: "the product's two statements alone", Slice: c.alone},
			{Name: "payonce", Title: "POST …/capture as it is delivered: folded", Slice: c.overHTTP(&c.folded)},
			{Name: "payonce-steps", Title: "POST …/capture, statement by statement", Slice: c.overHTTP(&c.steps)},
		},
		Ratios: []ratio{
			{Of: "payonce", To: "byhand", Target: 1},
			{Of: "payonce", To: "byhand-folded", Target: 0.5},
			{Of: "payonce", To: "naive", What: "processor time, the price of the guarantees", Target: 1.6, AtMost: true, Value: cost},
		},
		Limits: []limit{
			{Of: "payonce", What: "µs of CPU of api and Postgres", Most: 850, Value: func(s slice) float64 { return s.CPUOf["api"] + s.CPUOf["postgres"] }},
			{Of: "payonce", What: "WAL records", Most: 20, Value: func(s slice) float64 { return s.WALRecords }},
		},
		Open: c.open,
	}
}

// cost is the processor time of one operation.
func cost(s slice) float64 { return s.CPUMicros }

// captures is what a capture line needs while it runs.
type captures struct {
	*house
	clients int
	instant *instant

	hand, folded, steps *program.Program
	rate                float64 // the best seen so far, to know how many payments to seed
}

// open starts the contenders. One that is not asked costs a heartbeat a second.
func (c *captures) open(ctx context.Context) (end func() error, err error) {
	end = func() error {
		var problems []error
		for _, p := range []*program.Program{c.hand, c.folded, c.steps} {
			if p != nil {
				problems = append(problems, stop(p))
			}
		}
		if c.instant != nil {
			problems = append(problems, c.instant.server.Close())
		}
		return errors.Join(problems...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	if c.instant, err = newInstant(); err != nil {
		return end, err
	}
	if c.hand, err = c.startAt(ctx, "byhand", "BYHAND_LISTEN",
		"BYHAND_DSN="+c.stack.PostgresDSN(devstack.MainDatabase), "BYHAND_PROVIDER="+c.instant.URL, "BYHAND_AMQP="+c.stack.AMQPURL("/")); err != nil {
		return end, err
	}
	if c.folded, err = c.startAt(ctx, "api", "PAYONCE_LISTEN", "PAYONCE_PROVIDER_URL="+c.instant.URL); err != nil {
		return end, err
	}
	c.steps, err = c.startAt(ctx, "api", "PAYONCE_LISTEN", "PAYONCE_PROVIDER_URL="+c.instant.URL, "PAYONCE_CAPTURE_FORM=steps")
	return end, err
}

// Each sandbox and each address is asked for at most this many captures in a
// slice: the limits allow bursts of a thousand.
const perSandbox = 700

// supply is how many payments a slice of this length may need, and how many
// sandboxes they are spread over.
func (c *captures) supply(t *clock) (payments, sandboxes int) {
	const firstGuess, reserve = 6000, 2.5 // the machine may become quiet between two slices
	payments = int(max(firstGuess, c.rate*reserve) * (t.length + warmUp).Seconds())
	return payments, max(c.clients, payments/perSandbox+1)
}

var errSupply = errors.New("all payments were captured before the slice was over: the supply was too small")

// finish stops the clock and learns from it.
func (c *captures) finish(ctx context.Context, t *clock, done, supplied int) error {
	if err := t.stopWithLog(ctx, c.db, done); err != nil {
		return err
	}
	c.rate = max(c.rate, float64(t.done)/t.took.Seconds())
	if done == supplied {
		return errSupply
	}
	return nil
}

// overHTTP asks the real program.
func (c *captures) overHTTP(api **program.Program) func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) error {
		payments, n := c.supply(t)
		sandboxes, err := newSandboxes(ctx, (*api).URL, n)
		if err != nil {
			return err
		}
		jobs, err := c.seed(ctx, merchantsOf(sandboxes), payments)
		if err != nil {
			return err
		}
		captured, err := c.asked(ctx, t, newLoad((*api).URL, "", sandboxes, jobs))
		if err != nil {
			return err
		}
		return c.verify(ctx, merchantsOf(sandboxes), captured)
	}
}

// byHand asks the handler that its reader would write, in one of its forms.
func (c *captures) byHand(path string) func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) error {
		payments, n := c.supply(t)
		merchants := make([]uuid.UUID, n)
		for i := range merchants {
			merchants[i] = uuid.New()
		}
		jobs, err := c.seedByHand(ctx, merchants, payments)
		if err != nil {
			return err
		}
		captured, err := c.asked(ctx, t, newLoad(c.hand.URL, path, nil, jobs))
		if err != nil {
			return err
		}
		return c.verifyByHand(ctx, merchants, captured, path != "/naive")
	}
}

// asked is the slice itself: the clock runs only here. captured is also what was captured
// before it.
func (c *captures) asked(ctx context.Context, t *clock, l *load) (captured int, err error) {
	before := c.instant.count()
	l.run(c.clients, warmUp)
	warm, err := l.captured(), l.problem()
	if err != nil {
		return 0, err
	}
	if err := t.startWithLog(ctx, c.db); err != nil {
		return 0, err
	}
	l.run(c.clients, t.length)
	err = errors.Join(c.finish(ctx, t, l.captured(), len(l.requests)-warm), l.problem())
	t.latency = l.latencies()
	captured = warm + t.done
	if charged := c.instant.count() - before; err == nil && charged != captured {
		err = fmt.Errorf("%d captures, but %d charges at the provider", captured, charged)
	}
	return captured, err
}

// warmUp is how long a program is asked before the clock starts: it plans each statement
// five times on each connection, and knows after a second how much of the picture to draw.
const warmUp = 1500 * time.Millisecond
