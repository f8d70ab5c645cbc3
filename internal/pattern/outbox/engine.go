package outbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"payonce/internal/platform/rabbit"
)

// engine is one tenure of a relay: three things that go on at the same time,
// around one loop that owns all state.
//
//	fetch   one query at a time, while
//	publish sends what may leave and confirms come in, while
//	mark    one UPDATE takes all that were confirmed since the last
type engine struct {
	*Relay
	lanes *lanes

	fetched  chan page
	fates    chan fate
	toMark   chan row
	marked   chan []row
	toClerk  chan note
	failing  map[string]bool // routes with an open alert
	fetching bool
	more     bool // a fetch from the hint is due
	scan     bool // a scan from the start is due
	empty    bool // the last scan from the start found nothing new
}

type page struct {
	rows      []row
	fromStart bool
	full      bool
	err       error
}

type fate struct {
	row row
	err error
}

// memory is how many rows may be under way, in batches: while one is being read
// and one is being sent, the others wait for confirms and slow commits of marks.
const memory = 8

func newEngine(r *Relay) *engine {
	capacity := memory*r.cfg.Batch + 1
	return &engine{
		Relay: r, lanes: newLanes(), scan: true,
		fetched: make(chan page, 1), fates: make(chan fate, capacity), toMark: make(chan row, capacity),
		marked: make(chan []row, capacity), toClerk: make(chan note, 64),
	}
}

// run works until ctx ends, or, once, until nothing is left to do. Then no
// further event is sent; what the broker still confirms in time is marked.
func (e *engine) run(ctx context.Context, once bool) {
	// Marks outlive the tenure: what the broker has confirmed is true whoever
	// owns the relay by then.
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var others sync.WaitGroup
	others.Go(func() { e.markLoop(grace) })
	others.Go(func() { e.clerkLoop(grace) })
	e.failing = knownFailing(ctx, e.cfg.DB, e.cfg.Log)

	poll := time.NewTicker(e.cfg.Poll)
	defer poll.Stop()
	for ctx.Err() == nil && (!once || !e.idle()) {
		e.startFetch(ctx)
		if e.publish(ctx) {
			continue // More may leave: look up, but do not wait.
		}
		e.wait(ctx, poll.C)
	}
	limit := time.AfterFunc(e.cfg.Drain, cancel)
	defer limit.Stop()
	e.drain(grace)
	close(e.toMark)
	close(e.toClerk)
	others.Wait()
}

func (e *engine) idle() bool {
	return e.empty && !e.fetching && !e.more && !e.scan && len(e.lanes.known) == 0
}

// wait takes the next thing that happens.
func (e *engine) wait(ctx context.Context, poll <-chan time.Time) {
	select {
	case <-ctx.Done():
	case p := <-e.fetched:
		e.take(p)
	case f := <-e.fates:
		e.settle(ctx, f)
	case rows := <-e.marked:
		e.lanes.marked(rows)
	case <-e.wake:
		e.more = true
	case <-poll:
		e.scan = true
		e.lanes.tick()
		e.stats.held.Store(int64(e.lanes.heldBack()))
	}
}

// startFetch reads the next page if one is due and there is room for it.
func (e *engine) startFetch(ctx context.Context) {
	room := memory*e.cfg.Batch - len(e.lanes.known)
	if e.fetching || !(e.more || e.scan) || room < e.cfg.Batch {
		return
	}
	seqs, held := e.lanes.beginFetch()
	fromStart, after := e.scan, int64(0)
	if fromStart {
		e.scan = false
	} else {
		after, seqs = e.lanes.hint, seqs[:0] // Nothing that is known lies behind the hint.
	}
	e.more = false
	e.fetching = true
	go func() {
		rows, err := fetch(ctx, e.cfg.DB, after, e.cfg.Batch, seqs, held)
		e.fetched <- page{rows: rows, fromStart: fromStart, full: len(rows) == e.cfg.Batch, err: err}
	}()
}

func (e *engine) take(p page) {
	e.fetching = false
	if p.err != nil {
		e.empty = false
		e.cfg.Log.Warn("the outbox cannot be read", "error", p.err)
		return // The poll tries again.
	}
	seen := e.lanes.hint
	taken, gaps := e.lanes.accept(p.rows, p.fromStart)
	e.stats.fetched.Add(int64(taken))
	e.empty = p.fromStart && taken == 0
	switch {
	case gaps, p.full && p.fromStart && taken > 0 && p.rows[len(p.rows)-1].Seq <= seen:
		e.scan = true // There is more behind the hint.
	case p.full:
		e.more = true
	}
}

// publishBurst is how many events leave before the loop looks up.
const publishBurst = 64

// publish sends what may leave, and says whether more is waiting. Everything
// under way fits into the fates' channel, so done never blocks.
func (e *engine) publish(ctx context.Context) (more bool) {
	for range publishBurst {
		e.absorb(ctx)
		r, ok := e.lanes.next()
		if !ok {
			return false
		}
		err := e.cfg.Publisher.Send(ctx, r.message(e.cfg.Source), func(err error) { e.fates <- fate{r, err} })
		if err != nil {
			e.fates <- fate{r, errors.Join(rabbit.ErrUnconfirmed, err)}
			return false
		}
	}
	return true
}
