package outbox

import (
	"context"
	"errors"

	"payonce/once"
	"payonce/once/message"
)

// absorb takes outcomes and marks that are there already.
func (e *engine) absorb(ctx context.Context) {
	for {
		select {
		case f := <-e.outcomes:
			e.settle(ctx, f)
		case rows := <-e.marked:
			e.lanes.marked(rows)
			e.sayGone()
		case o := <-e.assignment.orders:
			e.obey(o)
		default:
			return
		}
	}
}

// settle draws the consequence of one event's outcome. Only a confirmed event is
// ever marked.
func (e *engine) settle(ctx context.Context, f outcome) {
	defer e.sayGone()
	var returned message.Returned
	f.err = e.confirmed(f)
	switch {
	case f.err == nil:
		e.lanes.confirmed(f.row)
		e.toMark <- f.row
		e.stats.published.Add(1)
		e.answered()
		e.saw(ctx, Published, f.row)
		e.works(f.row)
	case errors.As(f.err, &returned):
		e.stats.returned.Add(1)
		e.saw(ctx, Returned, f.row)
		e.refused(TroubleUnroutable, f)
	case errors.Is(f.err, message.ErrNacked):
		e.stats.nacked.Add(1)
		e.refused(TroubleRefused, f)
	default:
		// It is unknown whether the broker has it. The next scan sends it again;
		// consumers dedupe.
		e.lanes.failed(f.row, false)
		e.stats.lost.Add(1)
		e.unanswered(f)
	}
}

// unanswered says once that the broker confirms nothing, and not for each event:
// while a node is frozen that is every one.
func (e *engine) unanswered(f outcome) {
	if e.unconfirmed++; !e.stats.silent.Swap(true) {
		e.cfg.Log.Warn("the broker does not confirm; what it does not is sent again", "event", f.row.EventID, "error", f.err)
	}
}

func (e *engine) answered() {
	if e.stats.silent.Swap(false) {
		e.cfg.Log.Info("the broker confirms again", "unconfirmed", e.unconfirmed)
		e.unconfirmed = 0
	}
}

// refused says it once for a route, while the route takes nothing.
func (e *engine) refused(kind once.TroubleKind, f outcome) {
	e.lanes.failed(f.row, true)
	e.stats.held.Store(int64(e.lanes.heldBack()))
	if route := e.subject(f.row); !e.failing[route] {
		e.cfg.Log.Error("the broker does not take events of a route; their aggregates are held back",
			"route", route, "event", f.row.EventID, "type", f.row.Type, "aggregate", f.row.AggregateID, "error", f.err)
		e.failing[route] = e.note(note{kind: kind, row: f.row, reason: f.err.Error()})
	}
}

// works ends the trouble of a route that takes events again.
func (e *engine) works(r row) {
	if len(e.failing) == 0 {
		return
	}
	if route := e.subject(r); e.failing[route] && e.note(note{row: r}) {
		delete(e.failing, route)
	}
}

// note is something for the clerk to do: write down a trouble of a kind, or,
// without a kind, that a route works again; or look which troubles are open.
type note struct {
	look   bool
	kind   once.TroubleKind
	row    row
	reason string
}

// note hands n to the clerk unless the clerk is behind; the next event of the
// route says it again.
func (e *engine) note(n note) bool {
	select {
	case e.toClerk <- n:
		return true
	default:
		return false
	}
}

// clerkLoop writes troubles, apart from the loop that publishes.
func (e *engine) clerkLoop(ctx context.Context) {
	for n := range e.toClerk {
		if n.look {
			e.look(ctx)
			continue
		}
		for {
			err := e.write(ctx, n)
			if err == nil {
				break
			}
			e.cfg.Log.Warn("a trouble cannot be written", "error", err)
			if pause(ctx, e.cfg.Poll); ctx.Err() != nil {
				return
			}
		}
	}
}

// look says to the loop which routes have an open trouble. What it has not taken yet
// is older and is replaced.
func (e *engine) look(ctx context.Context) {
	failing, err := e.known(ctx)
	if err != nil {
		e.cfg.Log.Warn("the open troubles cannot be read", "error", err)
		return // The next look is soon.
	}
	select {
	case <-e.learnt:
	default:
	}
	e.learnt <- failing
}

// markLoop marks what was confirmed: one UPDATE takes everything that came
// together while the last one ran.
func (e *engine) markLoop(ctx context.Context) {
	for first := range e.toMark {
		rows := []row{first}
		for more := true; more && len(rows) < e.cfg.Batch; {
			select {
			case r, open := <-e.toMark:
				if more = open; open {
					rows = append(rows, r)
				}
			default:
				more = false
			}
		}
		for {
			n, err := e.cfg.Table.mark(ctx, e.cfg.DB, rows)
			if err == nil {
				e.stats.marked.Add(n)
				err = e.point("after_mark", rows...)
			}
			if err == nil {
				break
			}
			e.cfg.Log.Warn("published events cannot be marked", "events", len(rows), "error", err)
			if pause(ctx, e.cfg.Poll); ctx.Err() != nil {
				return // The next owner publishes them again.
			}
		}
		e.marked <- rows
	}
}

// drain waits for the outcomes of what was sent, but not without end.
func (e *engine) drain(ctx context.Context) {
	for e.lanes.unconfirmed > 0 {
		select {
		case f := <-e.outcomes:
			e.settle(ctx, f)
		case <-ctx.Done():
			return
		}
	}
}

func (e *engine) saw(ctx context.Context, what What, r row) {
	if e.cfg.Saw != nil {
		e.cfg.Saw(ctx, Seen{What: what, Event: r.event()})
	}
}
