package outbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"payonce/once/message"
)

// engine is one tenure of a relay: three things that go on at the same time,
// around one loop that owns all state.
//
//	fetch   one query at a time, while
//	publish sends what may leave and confirms come in, while
//	mark    one UPDATE takes all that were confirmed since the last
type engine struct {
	*Relay
	lanes      *lanes
	assignment *assignment

	fetched  chan page
	outcomes chan outcome
	toMark   chan row
	marked   chan []row
	toClerk  chan note
	failing  map[string]bool // routes with an open trouble
	learnt   chan map[string]bool
	polls    int
	fetching bool
	more     []int // partitions of which a fetch from the hint is due
	scan     []int // partitions of which a scan from the start is due
	turn     int   // where the next scan begins
	leaving  []int // partitions asked back, of which something is still under way

	unconfirmed int // since the broker last confirmed
}

type page struct {
	asked     []int
	rows      []row
	fromStart bool
	full      bool
	err       error
}

type outcome struct {
	row row
	err error
}

// lookAtTroubles is after how many polls the open troubles are read again: another
// relay may have raised some, and a person may have ended one by taking back what
// it was about. With a poll every 200 ms it is 10 s.
const lookAtTroubles = 50

// memory is how many rows may be under way, in batches: while one is being read
// and one is being sent, the others wait for confirms and slow commits of marks.
const memory = 8

func newEngine(r *Relay, d *assignment) *engine {
	capacity := memory*r.cfg.Batch + 1
	return &engine{
		Relay: r, lanes: newLanes(), assignment: d,
		fetched: make(chan page, 1), outcomes: make(chan outcome, capacity), toMark: make(chan row, capacity),
		marked: make(chan []row, capacity), toClerk: make(chan note, 64),
		learnt: make(chan map[string]bool, 1),
	}
}

// run works until ctx ends. Then no further event is sent; what the broker still
// confirms in time is marked.
func (e *engine) run(ctx context.Context) {
	// Marks outlive the tenure: what the broker has confirmed is true whichever
	// relay owns the partition by then.
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var others sync.WaitGroup
	others.Go(func() { e.markLoop(grace) })
	others.Go(func() { e.clerkLoop(grace) })
	e.failing = map[string]bool{}
	if e.look(ctx); len(e.learnt) > 0 {
		e.failing = <-e.learnt
	}

	poll := time.NewTicker(e.cfg.Poll)
	defer poll.Stop()
	defer e.stats.partitions.Store(0)
	for ctx.Err() == nil {
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

// wait takes the next thing that happens.
func (e *engine) wait(ctx context.Context, poll <-chan time.Time) {
	select {
	case <-ctx.Done():
	case p := <-e.fetched:
		e.take(p)
	case f := <-e.outcomes:
		e.settle(ctx, f)
	case rows := <-e.marked:
		e.lanes.marked(rows)
		e.sayGone()
	case o := <-e.assignment.orders:
		e.obey(o)
	case <-e.wake:
		e.more = with(e.more, e.lanes.mine(e.turn)...)
	case e.failing = <-e.learnt:
	case <-poll:
		if e.polls++; e.polls%lookAtTroubles == 0 {
			e.note(note{look: true})
		}
		e.scan = with(e.scan, e.lanes.mine(e.turn)...)
		e.turn = (e.turn + 1) % partitions
		e.lanes.tick()
		e.stats.held.Store(int64(e.lanes.heldBack()))
	}
}

// obey takes a partition, or begins to let go of one.
func (e *engine) obey(o order) {
	if o.take {
		e.lanes.take(o.partition)
		e.scan = with(e.scan, o.partition)
	} else {
		e.lanes.give(o.partition)
		e.leaving = append(e.leaving, o.partition)
		e.sayGone()
	}
	e.stats.partitions.Store(int64(len(e.lanes.mine(0))))
}

// sayGone reports the partitions of which everything that left is confirmed and
// marked.
func (e *engine) sayGone() {
	e.leaving = slices.DeleteFunc(e.leaving, func(p int) bool {
		if !e.lanes.left(p) {
			return false
		}
		e.assignment.gone <- p
		return true
	})
}

// startFetch reads the next page if one is due and there is room for it.
func (e *engine) startFetch(ctx context.Context) {
	owned := func(list []int) []int { return slices.DeleteFunc(list, func(p int) bool { return !e.lanes.owned[p] }) }
	e.scan, e.more = owned(e.scan), owned(e.more)
	room := memory*e.cfg.Batch - len(e.lanes.known)
	if e.fetching || len(e.scan)+len(e.more) == 0 || room < e.cfg.Batch {
		return
	}
	q := request{limit: e.cfg.Batch}
	q.seqs, q.aggregates = e.lanes.beginFetch()
	fromStart := len(e.scan) > 0
	if fromStart {
		q.partitions, q.after = e.scan, make([]int64, len(e.scan))
		e.more = slices.DeleteFunc(e.more, func(p int) bool { return slices.Contains(q.partitions, p) })
		e.scan = nil
	} else {
		q.partitions, q.seqs, q.recent = e.more, q.seqs[:0], true // Nothing that is known lies behind a hint.
		for _, p := range q.partitions {
			q.after = append(q.after, e.lanes.hints[p])
		}
		e.more = nil
	}
	e.fetching = true
	go func() {
		rows, err := e.cfg.Table.fetch(ctx, e.cfg.DB, q)
		e.fetched <- page{asked: q.partitions, rows: rows, fromStart: fromStart, full: len(rows) == e.cfg.Batch, err: err}
	}()
}

func (e *engine) take(p page) {
	e.fetching = false
	if p.err == nil {
		p.err = e.point("after_fetch", p.rows...)
	}
	if p.err != nil {
		e.cfg.Log.Warn("the outbox cannot be read", "error", p.err)
		return // The poll tries again.
	}
	seen := e.lanes.hints
	taken, gaps := e.lanes.accept(p.rows, p.fromStart)
	e.stats.fetched.Add(int64(taken))
	var rest []int // What the page had no room for: from its last row's partition on.
	if p.full {
		last := p.rows[len(p.rows)-1]
		rest = p.asked[slices.Index(p.asked, last.Partition):]
		if p.fromStart && (taken == 0 || last.Seq > seen[last.Partition]) {
			e.more = with(e.more, last.Partition) // Nothing is left behind its hint.
			rest = rest[1:]
		}
	}
	if p.fromStart {
		e.scan = with(rest, e.scan...)
	} else {
		e.more = with(rest, e.more...)
	}
	e.scan = with(e.scan, gaps...)
}

// publishBurst is how many events leave before the loop looks up.
const publishBurst = 64

// publish sends what may leave, and says whether more is waiting. Everything
// under way fits into the outcomes' channel, so done never blocks.
func (e *engine) publish(ctx context.Context) (more bool) {
	for range publishBurst {
		e.absorb(ctx)
		if !e.assignment.lease.holds() {
			return false // Stopped for a while, it seems: the next beat tells.
		}
		r, ok := e.lanes.next()
		if !ok {
			return false
		}
		err := e.cfg.Publisher.Send(ctx, r.message(&e.cfg), func(err error) { e.outcomes <- outcome{r, err} })
		if err != nil {
			e.outcomes <- outcome{r, errors.Join(message.ErrUnconfirmed, err)}
			return false
		}
		_ = e.point("after_publish", r) // nothing follows that could fail in its place
	}
	return true
}
