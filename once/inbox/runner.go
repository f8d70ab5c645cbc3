package inbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"payonce/once"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// Runner feeds a [Handler] from a queue, each event once.
type Runner struct {
	cfg    Config
	router retry.Router
	asks   map[string]bool // the types of cfg.Around
	asking sync.WaitGroup  // what was asked and is not settled yet
	places chan struct{}   // one for each call that is under way
	counts counters
	failed [5]atomic.Int64 // by class, in the order of [retry.Classes]
	works  sync.Map        // routes of the schedule that took a message since the last return
}

type counters struct {
	delivered, applied, absorbed, retried, dead, returned atomic.Int64
}

// Counts is what a runner has done since it was made.
type Counts struct {
	Delivered, Applied, Absorbed, Retried, Dead int64
	// Returned are failed messages for which the broker had no queue.
	Returned int64
}

// New checks the wiring.
func New(cfg Config) (*Runner, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg, router: retry.Router{Names: cfg.Names, Publisher: cfg.Publisher, Schedule: cfg.Schedule, Now: cfg.Now},
		places: make(chan struct{}, cfg.Calls)}
	r.learn()
	return r, nil
}

func (r *Runner) learn() {
	r.asks = map[string]bool{}
	if r.cfg.Around != nil {
		for _, kind := range r.cfg.Around.Types {
			r.asks[kind] = true
		}
	}
}

// Counts tells what happened so far, for metrics and tests.
func (r *Runner) Counts() Counts {
	return Counts{
		Delivered: r.counts.delivered.Load(), Applied: r.counts.applied.Load(), Absorbed: r.counts.absorbed.Load(),
		Retried: r.counts.retried.Load(), Dead: r.counts.dead.Load(),
		Returned: r.counts.returned.Load(),
	}
}

// Run consumes until ctx ends and the batch in hand is finished.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.settled(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	err := r.cfg.Broker.Consume(ctx, rabbit.ConsumerConfig{
		Queue: r.cfg.Consumer, BatchMax: r.cfg.BatchMax, Prefetch: r.cfg.Prefetch, Linger: r.cfg.Linger, Drain: r.asking.Wait,
	}, r.handle)
	r.asking.Wait()
	return err
}

// settled asks, until the database answers, whether the consumer's memory is where it is
// looked for.
func (r *Runner) settled(ctx context.Context) error {
	pause := newPause()
	for {
		err := r.cfg.Table.settled(ctx, r.cfg.DB, r.cfg.Consumer)
		if err == nil || errors.Is(err, ErrOtherTable) {
			return err
		}
		r.cfg.Log.Warn("the inbox cannot be looked at", "consumer", r.cfg.Consumer, "error", err)
		if !pause.Wait(ctx) {
			return nil
		}
	}
}

// suspect is the number of earlier deliveries from which on a message is
// handled alone: it may be what killed its consumer, and must not take
// prefetched innocents along once more.
const suspect = 2

func (r *Runner) handle(ctx context.Context, batch []rabbit.Delivery) {
	var together, asked, alone []item
	for _, d := range batch {
		it, err := r.open(d)
		r.counts.delivered.Add(1)
		r.saw(ctx, it, Seen{What: Delivered})
		switch {
		case err != nil:
			r.giveUp(ctx, it, err)
		case d.Count >= suspect, it.message.PastWindow:
			alone = append(alone, it)
		case r.outside(it):
			asked = append(asked, it)
		default:
			together = append(together, it)
		}
	}
	if len(together) > 0 {
		r.process(ctx, together)
	}
	r.ask(ctx, asked)
	// In another order each time: were the killer always first, those behind it
	// would be given up together with it.
	rand.Shuffle(len(alone), func(i, j int) { alone[i], alone[j] = alone[j], alone[i] })
	for _, it := range alone {
		r.process(ctx, []item{it})
	}
}

// process brings items to their end: applied or absorbed and then acknowledged;
// put back for later; given to a person. While the database is away it waits
// with them in hand, which is all the pause a queue needs.
func (r *Runner) process(ctx context.Context, items []item) {
	pause := newPause()
	var instead Handler // of the consumer's own
	for {
		began := r.cfg.Now()
		fresh, err := r.apply(ctx, items, instead)
		switch {
		case err == nil && instead != nil:
			r.settle(ctx, items, nil, r.cfg.Now().Sub(began))
			return
		case err == nil:
			r.settle(ctx, items, fresh, r.cfg.Now().Sub(began))
			return
		case r.away(ctx, err):
			// Includes a lost COMMIT: if it was durable, the next run finds the
			// inbox rows and absorbs.
			r.cfg.Log.Warn("the database is away", "consumer", r.cfg.Consumer, "error", err)
			if !pause.Wait(ctx) || lost(items) {
				return // Unacknowledged: they come again.
			}
		case len(items) > 1:
			for _, it := range items {
				r.process(ctx, []item{it})
			}
			return
		case retry.ClassOf(err).Fate() == retry.Absorb:
			r.fails(err)
			instead = doneBefore
		default:
			r.giveUp(ctx, items[0], err)
			return
		}
	}
}

// away tells a database that is away from a handler that is slow: both end in
// the deadline, and only the first is worth waiting for.
func (r *Runner) away(ctx context.Context, err error) bool {
	if !errors.Is(err, context.DeadlineExceeded) {
		return once.Unavailable(err) || errors.Is(err, once.ErrCommitUnknown)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	var one int
	rows, err := r.cfg.DB.Read(ctx, `SELECT 1`)
	_, err = once.One(rows, err, &one)
	return err != nil
}

// apply runs the handler for the items that are new, in one transaction with
// their inbox rows, and returns the ids of the new ones. Deadlocks and
// serialization failures have been repeated when it returns. A handler given
// instead is run in the place of the consumer's own.
func (r *Runner) apply(ctx context.Context, items []item, instead Handler) (fresh []string, err error) {
	// Once begun it is finished, even when the process was asked to end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Deadline)
	defer cancel()
	if len(items) == 1 {
		ctx = r.of(ctx, items[0].message)
	}
	ctx, committed := Committing(ctx)
	defer func() {
		if p := recover(); p != nil {
			r.cfg.Log.Error("a handler panicked", "consumer", r.cfg.Consumer, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", p)
		}
	}()
	fresh, err = r.run(ctx, items, instead)
	if errors.Is(err, errOutsideWindow) && len(items) == 1 {
		fresh, err = r.pastWindow(ctx, items[0])
	}
	if err == nil {
		// Injected to fail here, an applied message is put back and absorbed.
		err = r.point("after_commit", items)
	}
	if err == nil {
		committed()
	}
	return fresh, retry.Refused(r.cfg.DB, err)
}

// of gives ctx what belongs to a message.
func (r *Runner) of(ctx context.Context, m Message) context.Context {
	if r.cfg.Context == nil {
		return ctx
	}
	return r.cfg.Context(ctx, m)
}

// run applies items by asking or in one transaction.
func (r *Runner) run(ctx context.Context, items []item, instead Handler) (fresh []string, err error) {
	handler := instead
	if handler == nil {
		handler = r.cfg.Handler
	}
	switch {
	case instead == nil && len(items) == 1 && r.outside(items[0]):
		return r.around(ctx, items[0].message)
	case handler == nil:
		return nil, retry.Permanent(fmt.Errorf("events of type %q are unknown here", items[0].message.Type))
	}
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.message.EventID
	}
	err = r.cfg.DB.InTx(ctx, func(tx once.Tx) error {
		begun(ctx)
		var err error
		if fresh, err = r.cfg.Table.Admit(ctx, tx, r.cfg.Consumer, ids); err != nil {
			return err
		}
		if len(fresh) == 0 {
			return nil
		}
		return r.effect(ctx, tx, handler, items, pick(items, fresh))
	})
	return fresh, err
}

// effect runs the handler between its crash points.
func (r *Runner) effect(ctx context.Context, tx once.Tx, handler Handler, items []item, batch []Message) error {
	if err := r.point("before_effect", items); err != nil {
		return err
	}
	if err := handler(ctx, tx, batch); err != nil {
		return err
	}
	return r.point("after_effect", items)
}

// pick selects the messages of the given events, one each, sorted by event id.
func pick(items []item, events []string) []Message {
	wanted := make(map[string]bool, len(events))
	for _, id := range events {
		wanted[id] = true
	}
	batch := make([]Message, 0, len(events))
	for _, it := range items {
		if wanted[it.message.EventID] {
			wanted[it.message.EventID] = false
			batch = append(batch, it.message)
		}
	}
	slices.SortFunc(batch, func(a, b Message) int { return strings.Compare(a.EventID, b.EventID) })
	return batch
}

// settle acknowledges what is durable. A crash before this line makes
// redeliveries that the inbox absorbs.
func (r *Runner) settle(ctx context.Context, items []item, fresh []string, took time.Duration) {
	deliveries := make([]rabbit.Delivery, len(items))
	for i, it := range items {
		deliveries[i] = it.delivery
	}
	if err := rabbit.Ack(deliveries...); err != nil {
		r.cfg.Log.Info("applied but not acknowledged; the inbox will absorb them", "consumer", r.cfg.Consumer, "error", err)
	}
	r.acked(items)
	isNew := make(map[string]bool, len(fresh))
	for _, id := range fresh {
		isNew[id] = true
	}
	for _, it := range items {
		if isNew[it.message.EventID] {
			isNew[it.message.EventID] = false // A second copy in the batch was absorbed.
			r.counts.applied.Add(1)
			r.saw(ctx, it, Seen{What: Applied, Took: took})
			continue
		}
		r.counts.absorbed.Add(1)
		r.saw(ctx, it, Seen{What: Absorbed, Took: took})
	}
}

// giveUp hands a message to the router and acknowledges it behind the broker's
// confirm. It is never nacked: requeueing spins and starves the rest.
func (r *Runner) giveUp(ctx context.Context, it item, cause error) {
	r.fails(cause)
	pause := newPause()
	for !it.delivery.Lost() { // A lost one comes again by itself; a copy would be one too many.
		verdict, err := r.router.Failed(ctx, it.delivery, cause)
		if err == nil {
			r.putAside(ctx, it, verdict, cause)
			r.routed(ctx, verdict, it.delivery.Queue)
			return
		}
		r.cfg.Log.Error("a failed message cannot be put aside", "consumer", r.cfg.Consumer, "event", it.message.EventID, "error", err)
		r.returned(ctx, err)
		if !pause.Wait(ctx) {
			return
		}
	}
}

func (r *Runner) putAside(ctx context.Context, it item, v retry.Verdict, cause error) {
	if err := rabbit.Ack(it.delivery); err != nil {
		r.cfg.Log.Info("put aside but not acknowledged; it comes twice", "consumer", r.cfg.Consumer, "error", err)
	}
	if v.Dead {
		// The collector tells the world once the letter is durable.
		r.counts.dead.Add(1)
		r.cfg.Log.Warn("a message was given up", "consumer", r.cfg.Consumer, "event", it.message.EventID, "class", v.Class, "reason", v.Reason)
		return
	}
	r.counts.retried.Add(1)
	r.saw(ctx, it, Seen{What: Retried, Err: cause, Delay: v.Delay})
}

func (r *Runner) saw(ctx context.Context, it item, s Seen) {
	if r.cfg.Saw == nil {
		return
	}
	s.Message = it.message
	r.cfg.Saw(r.of(ctx, it.message), s)
}

func lost(items []item) bool { return items[0].delivery.Lost() }

func newPause() *once.Pause { return &once.Pause{First: 100 * time.Millisecond, Most: 5 * time.Second} }
