package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/program"
)

// captureLine compares a capture over HTTP with its SQL alone, for a number of
// clients that each ask again as soon as they are answered.
func captureLine(h *house, clients int) line {
	c := &captures{house: h, clients: clients}
	return line{
		Name: fmt.Sprintf("capture-%d-clients", clients), Title: fmt.Sprintf("Capture, %d clients", clients), Unit: "captures",
		Notes: []string{
			"F1 and F1c write the rows of a capture (key, payment, attempt, order, event) and nothing else: no HTTP, no provider, no look whether the key is known, no journal. F1c runs the product's own two statements.",
			"http-instant asks a provider inside the load generator, which answers at once. http-world asks cmd/simulator, which writes each charge into its own database on the same Postgres and cores: what the simulator costs is in that figure.",
			"Load generator, programs and Postgres share the machine's cores. The rate limits are the production ones: the clients come from many addresses and sandboxes.",
		},
		Contenders: []contender{
			{Name: "F1", Title: "both transactions as bare SQL, nine round trips, prepared", Slice: c.floor(plain)},
			{Name: "F1c", Title: "both transactions as bare SQL, each folded into one statement", Slice: c.floor(folded)},
			{Name: "http-instant", Title: "POST …/capture, provider answering at once", Slice: c.overHTTP(&c.instantAPI, c.instantCharges)},
			{Name: "http-world", Title: "POST …/capture, cmd/simulator as provider", Slice: c.overHTTP(&c.worldAPI, c.worldCharges)},
		},
		Ratios: []ratio{
			{Of: "http-instant", To: "F1", Target: 1.2},
			{Of: "http-instant", To: "F1c", Target: 0.75},
		},
		Open: c.open,
	}
}

// captures is what a capture line needs while it runs.
type captures struct {
	*house
	clients int
	instant *instant

	simulator, instantAPI, worldAPI *program.Program
	rate                            float64 // the best seen so far, to know how many payments to seed
}

// open starts two of the api, one for each provider. The one that is not asked
// costs a heartbeat a second.
func (c *captures) open(ctx context.Context) (end func() error, err error) {
	end = func() error {
		var problems []error
		for _, p := range []*program.Program{c.instantAPI, c.worldAPI, c.simulator} {
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
	if c.simulator, err = c.startAt(ctx, "simulator", "/healthz", "PAYONCE_SIMULATOR_LISTEN"); err != nil {
		return end, err
	}
	if c.instantAPI, err = c.startAt(ctx, "api", "/readyz", "PAYONCE_LISTEN", "PAYONCE_PROVIDER_URL="+c.instant.URL); err != nil {
		return end, err
	}
	c.worldAPI, err = c.startAt(ctx, "api", "/readyz", "PAYONCE_LISTEN", "PAYONCE_PROVIDER_URL="+c.simulator.URL)
	return end, err
}

// startAt starts a program on a free port, which it is told by a variable.
func (c *captures) startAt(ctx context.Context, name, ready, variable string, env ...string) (*program.Program, error) {
	at, err := devstack.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	mail, err := devstack.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return c.start(ctx, name, at, ready, append(env, variable+"="+at, "PAYONCE_SIMULATOR_SMTP_LISTEN="+mail)...)
}

// Each sandbox and each address is asked for at most this many captures in a
// slice: the limits allow bursts of a thousand.
const perSandbox = 700

// supply is how many payments a slice of this length may need, and how many
// sandboxes they are spread over.
func (c *captures) supply(t *clock) (payments, sandboxes int) {
	const firstGuess, reserve = 4000, 2.5 // the machine may become quiet between two slices
	rate := c.rate
	if rate == 0 {
		rate = firstGuess
	}
	payments = int(rate * reserve * t.length.Seconds())
	return payments, max(c.clients, payments/perSandbox+1)
}

var errSupply = errors.New("all payments were captured before the slice was over: the supply was too small")

// finish stops the clock, learns from it, and counts the effects of the slice.
func (c *captures) finish(ctx context.Context, t *clock, done, supplied int, merchants []uuid.UUID) error {
	t.stop(done)
	c.rate = max(c.rate, float64(t.done)/t.took.Seconds())
	if done == supplied {
		return errSupply
	}
	return c.verify(ctx, merchants, done)
}

// overHTTP asks the real program.
func (c *captures) overHTTP(api **program.Program, charges func(context.Context) (int, error)) func(context.Context, *clock) error {
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
		before, err := charges(ctx)
		if err != nil {
			return err
		}
		load := newLoad((*api).URL, sandboxes, jobs)
		t.start(ctx)
		load.run(c.clients, t.length)
		if err := c.finish(ctx, t, load.captured(), len(jobs), merchantsOf(sandboxes)); err != nil {
			return errors.Join(err, load.problem())
		}
		t.latency = load.latencies()
		if err := load.problem(); err != nil {
			return err
		}
		after, err := charges(ctx)
		if err == nil && after-before != t.done {
			err = fmt.Errorf("%d captures, but %d charges at the provider", t.done, after-before)
		}
		return err
	}
}

func (c *captures) instantCharges(context.Context) (int, error) { return c.instant.count(), nil }

func (c *captures) worldCharges(ctx context.Context) (n int, err error) {
	return n, c.simulatorDB.QueryRowContext(ctx, `SELECT count(*) FROM charges WHERE status = 'succeeded'`).Scan(&n)
}
