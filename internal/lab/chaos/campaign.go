package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"payonce/internal/lab/client"
)

// Options is what differs between campaigns.
type Options struct {
	// Seed decides the plan and what the buyers do.
	Seed uint64
	// Length is for how long faults are injected.
	Length time.Duration
	// Actions are armed at every point; all that exist when empty.
	Actions []string
	// Buyers is how many buy at once, Rate how many checkouts begin in a second.
	Buyers int
	Rate   float64
	// FaultsOnly leaves the other doors out: only checkouts meet the faults. What goes
	// through a door comes to its end in its own time, which a short campaign has not.
	FaultsOnly bool
	// Cluster has three nodes of RabbitMQ and a Postgres with a standby, and breaks
	// them.
	Cluster bool
	// Dir holds everything that the campaign makes.
	Dir string
	// Patience is how long the house may take to come to rest.
	Patience time.Duration
	// Promise is how long it may take without breaking the promise.
	Promise time.Duration
	// Say gets how it goes, by several goroutines.
	Say func(string)
}

// The load of a campaign that names none.
const (
	DefaultBuyers = 40
	DefaultRate   = 25
)

// args are the flags that make another campaign like this one.
func (o Options) args() string {
	var args []string
	if o.Cluster {
		args = append(args, "--cluster")
	}
	if len(o.Actions) > 0 && !slices.Equal(o.Actions, AllActions) {
		args = append(args, "--actions="+strings.Join(o.Actions, ","))
	}
	if o.Buyers != DefaultBuyers {
		args = append(args, fmt.Sprintf("--buyers=%d", o.Buyers))
	}
	if o.Rate != DefaultRate {
		args = append(args, fmt.Sprintf("--rate=%g", o.Rate))
	}
	if o.FaultsOnly {
		args = append(args, "--faults-only")
	}
	if len(args) == 0 {
		return ""
	}
	return fmt.Sprintf(" ARGS='%s'", strings.Join(args, " "))
}

// AllActions are what a crash point can do.
var AllActions = []string{"kill", "stop", "panic", "error", "delay"}

func (o Options) withDefaults() Options {
	if len(o.Actions) == 0 {
		o.Actions = AllActions
	}
	if o.Patience == 0 {
		o.Patience = 2 * time.Minute
	}
	if o.Promise == 0 {
		o.Promise = 30 * time.Second
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	return o
}

// campaign is one run.
type campaign struct {
	Options
	*house
	director *director
	market   *market
	scan     *scanner
	tap      *tap
	report   *Report
	buyers   sync.WaitGroup
	// refunding says that this house can give money back.
	refunding bool
}

// Run runs a campaign and reports. The error says that it could not be carried
// out; what it found is in the report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	o = o.withDefaults()
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	began := time.Now()
	h, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	c := &campaign{Options: o, house: h, director: newDirector(h, o.FaultsOnly), scan: newScanner(h.secrets()), report: newReport(o)}
	o.Say(fmt.Sprintf("the house stands after %.1f s", time.Since(began).Seconds()))
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	c.report.Took = time.Since(began)
	c.report.judge(c.Promise)
	return c.report, nil
}

func (c *campaign) run(ctx context.Context) (err error) {
	listening, deaf := context.WithCancel(ctx)
	defer deaf()
	if c.tap, err = openTap(listening, c.amqpURL, c.scan); err != nil {
		return err
	}
	defer c.tap.close()
	c.director.tap, c.director.doors.tap = c.tap, c.tap
	points, err := c.points(ctx)
	if err != nil {
		return err
	}
	plan := Plan(c.Seed, c.Length, points, c.Actions)
	if c.Cluster {
		plan = InCluster(plan, c.Seed, c.Length)
	}
	if c.FaultsOnly {
		plan = slices.DeleteFunc(plan, Step.door)
	}
	if err := c.announce(plan, points); err != nil {
		return err
	}
	log, err := newClientLog(c.Dir)
	if err != nil {
		return err
	}
	closed, hurry, err := c.load(ctx, log)
	if err != nil {
		return err
	}
	defer hurry()

	attending, leave := context.WithCancel(ctx)
	defer leave()
	c.director.doors.open(attending)
	c.rage(ctx, plan)
	closed()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := c.converge(ctx, hurry); err != nil {
		return err
	}
	leave()
	c.director.doors.operators.Wait()
	entries, err := log.close()
	if err != nil {
		return err
	}
	return c.check(ctx, entries)
}

// points asks the house which crash points it has, and whether it refunds.
func (c *campaign) points(ctx context.Context) ([]string, error) {
	b := newBuyer(&market{apis: apis, urls: c.apiURL, open: ctx, hurry: ctx, began: time.Now()}, 0, 0)
	defer b.client.CloseIdle()
	if !b.register() {
		return nil, errors.New("no sandbox to ask for the crash points")
	}
	answer, err := b.send(ctx, apis[0], client.Request{Method: http.MethodGet, Path: "/v1/lab/faults"})
	if err != nil {
		return nil, err
	}
	var list struct {
		Data []string `json:"data"`
	}
	if err := json.Unmarshal(answer.Body, &list); err != nil || answer.Status != 200 || len(list.Data) == 0 {
		return nil, fmt.Errorf("the crash points: %d %.200s", answer.Status, answer.Body)
	}
	c.refunding, err = b.refunds()
	return list.Data, err
}

// announce prints the plan and keeps it beside the report.
func (c *campaign) announce(plan []Step, points []string) error {
	c.Say(fmt.Sprintf("seed %d, %s of faults: %d steps, %d crash points × %v; the same seed, length and points give the same plan",
		c.Seed, c.Length, len(plan), len(points), c.Actions))
	for _, step := range plan {
		c.Say("  plan " + step.String())
	}
	c.report.Points = points
	c.report.Plan = len(plan)
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.Dir, "plan.json"), append(text, '\n'), 0o644)
}

// load lets the buyers in. closed ends the beginning of checkouts, hurry also
// those under way.
func (c *campaign) load(ctx context.Context, log *clientLog) (closed, hurry context.CancelFunc, err error) {
	c.market = &market{
		apis: apis, urls: c.apiURL, log: log, pace: rate.NewLimiter(rate.Limit(c.Rate), 2*c.Buyers),
		cards: knownCards(), began: time.Now(), refunding: c.refunding,
	}
	c.market.hurry, hurry = context.WithCancel(ctx)
	c.market.open, closed = context.WithCancel(c.market.hurry)
	c.director.doors.market = c.market
	for no := 1; no <= c.Buyers; no++ {
		c.buyers.Go(newBuyer(c.market, no, c.Seed).run)
	}
	return closed, hurry, nil
}

// mop is how long the load goes on, at most, so that what is armed is reached and
// what went through the other doors comes to its end.
// It ends as soon as nothing is: three lives of a worker that each carries a
// dozen points take a minute on a machine that gives half of itself.
const mop = 3 * time.Minute

// A house with so much under way gets a part of the load while it is mopped: what stands
// behind a backlog reaches no point, and the backlog is not what the faults left.
const (
	backlog  = 100
	mopEases = 4
)

func (c *campaign) ease(ctx context.Context) {
	limit := rate.Limit(c.Rate)
	if r, err := c.books(ctx, false); err != nil || r.Unpublished+r.sagas > backlog {
		limit /= mopEases
	}
	c.market.pace.SetLimit(limit)
}

// rage carries out the plan under load and tells how it goes.
func (c *campaign) rage(ctx context.Context, plan []Step) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.director.perform(ctx, plan)
		deadline := time.Now().Add(mop)
		for c.director.pending()+int(c.director.doors.under.Load()) > 0 && ctx.Err() == nil && time.Now().Before(deadline) {
			c.ease(ctx)
			wait(ctx, 3*time.Second)
			if err := c.director.nudge(ctx); err != nil && ctx.Err() == nil {
				c.Say("not nudged: " + err.Error())
			}
		}
	}()
	began, tick := time.Now(), time.NewTicker(5*time.Second)
	defer tick.Stop()
	for {
		select {
		case <-over:
			c.report.Raged = time.Since(began)
			return
		case <-tick.C:
			c.Say(fmt.Sprintf("%4.0f s  %d captured, %d attempts; %s; %d armed",
				time.Since(began).Seconds(), c.market.captured.Load(), c.market.log.size(), c.director.line(), c.director.pending()))
		}
	}
}

// converge lifts all faults and waits until nothing is under way, and until
// every buyer has an answer.
func (c *campaign) converge(ctx context.Context, hurry context.CancelFunc) error {
	c.Say("lifting all faults")
	left, err := c.director.lift(ctx)
	if err != nil {
		return err
	}
	c.report.Unreached = append(c.report.Unreached, left...)
	served := make(chan struct{})
	go func() { c.buyers.Wait(); c.director.doors.steps.Wait(); close(served) }()
	time.AfterFunc(c.Patience, hurry)
	took, err := c.settle(ctx, c.tap.conn, false, c.Patience, c.Say)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.report.fail("convergence", err.Error())
	}
	select {
	case <-served:
	case <-ctx.Done():
		return ctx.Err()
	}
	// Buyers who came back late may have begun something anew.
	if again, err := c.settle(ctx, c.tap.conn, false, c.Patience, c.Say); err == nil && again > time.Second {
		took += again
	}
	c.report.Convergence = took
	c.Say(fmt.Sprintf("at rest %.1f s after the last fault was lifted", took.Seconds()))
	return c.listen(ctx)
}

// hearOut is how long the provider may take to tell what it has to tell. It is
// the simulator, on the same machine, with a schedule of minutes.
const hearOut = 6 * time.Minute

// listen hears the provider out: hints that come late must change nothing, and
// what they bring must be at rest too before anything is counted.
func (c *campaign) listen(ctx context.Context) error {
	if err := c.webhooksSent(ctx, hearOut); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.report.fail("webhooks", err.Error())
	}
	if _, err := c.settle(ctx, c.tap.conn, true, c.Patience, c.Say); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.report.fail("convergence after the last webhook", err.Error())
	}
	return nil
}
