package outbox

import (
	"context"
	"errors"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/once/rabbit"
)

// absorb takes fates and marks that are there already.
func (e *engine) absorb(ctx context.Context) {
	for {
		select {
		case f := <-e.fates:
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

// settle draws the consequence of one event's fate. Only a confirmed event is
// ever marked.
func (e *engine) settle(ctx context.Context, f fate) {
	defer e.sayGone()
	var returned rabbit.Returned
	f.err = heard(f)
	switch {
	case f.err == nil:
		e.lanes.confirmed(f.row)
		e.toMark <- f.row
		e.stats.published.Add(1)
		e.answered()
		e.tell(ctx, observe.Published, f.row, "")
		e.works(f.row)
	case errors.As(f.err, &returned):
		e.stats.returned.Add(1)
		e.tell(ctx, observe.Returned, f.row, "no queue is bound")
		e.refused(AlertUnroutable, f)
	case errors.Is(f.err, rabbit.ErrNacked):
		e.stats.nacked.Add(1)
		e.refused(AlertRefused, f)
	default:
		// Nobody knows whether the broker has it. The next scan sends it again;
		// consumers dedupe.
		e.lanes.failed(f.row, false)
		e.stats.lost.Add(1)
		e.unanswered(f)
	}
}

// unanswered says once that the broker confirms nothing, and not for each event:
// while a node is frozen that is every one.
func (e *engine) unanswered(f fate) {
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

func (e *engine) refused(kind alert.Kind, f fate) {
	e.lanes.failed(f.row, true)
	e.stats.held.Store(int64(e.lanes.heldBack()))
	e.cfg.Log.Error("the broker does not take an event; its aggregate is held back",
		"event", f.row.EventID, "type", f.row.Type, "aggregate", f.row.AggregateID, "error", f.err)
	if route := subject(f.row); !e.failing[route] {
		e.failing[route] = e.note(note{kind: kind, row: f.row, reason: f.err.Error()})
	}
}

// works closes the alert of a route that takes events again.
func (e *engine) works(r row) {
	if len(e.failing) == 0 {
		return
	}
	if route := subject(r); e.failing[route] && e.note(note{row: r}) {
		delete(e.failing, route)
	}
}

// note is something for the clerk to do: write down an alert of a kind, or,
// without a kind, that a route works again; or look which alerts are open.
type note struct {
	look   bool
	kind   alert.Kind
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

// clerkLoop writes alerts, apart from the loop that publishes.
func (e *engine) clerkLoop(ctx context.Context) {
	for n := range e.toClerk {
		if n.look {
			e.look(ctx)
			continue
		}
		for {
			err := n.write(ctx, e.cfg.DB)
			if err == nil {
				break
			}
			e.cfg.Log.Warn("an alert cannot be written", "error", err)
			if pause(ctx, e.cfg.Poll); ctx.Err() != nil {
				return
			}
		}
	}
}

// look tells the loop which routes have an open alert. What it has not taken yet
// is older and is replaced.
func (e *engine) look(ctx context.Context) {
	err := endOver(ctx, e.cfg.DB)
	failing := map[string]bool{}
	if err == nil {
		failing, err = knownFailing(ctx, e.cfg.DB)
	}
	if err != nil {
		e.cfg.Log.Warn("the open alerts cannot be read", "error", err)
		return // The next look is soon.
	}
	select {
	case <-e.heardOf:
	default:
	}
	e.heardOf <- failing
}

// knownFailing reads which routes have an open alert, of this relay or of another.
func knownFailing(ctx context.Context, db *postgres.DB) (map[string]bool, error) {
	routes, err := alert.Open(ctx, db, AlertUnroutable, AlertRefused)
	failing := map[string]bool{}
	for _, route := range routes {
		failing[route] = true
	}
	return failing, err
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
			n, err := mark(ctx, e.cfg.DB, rows)
			if err == nil {
				e.stats.marked.Add(n)
				err = point("relay.after_mark", rows...)
			}
			if err == nil {
				break
			}
			e.cfg.Log.Warn("published events cannot be marked", "events", len(rows), "error", err)
			if pause(ctx, e.cfg.Poll); ctx.Err() != nil {
				return // They are published again by whoever comes next.
			}
		}
		e.marked <- rows
	}
}

// drain waits for the fates of what was sent, but not for ever.
func (e *engine) drain(ctx context.Context) {
	for e.lanes.unconfirmed > 0 {
		select {
		case f := <-e.fates:
			e.settle(ctx, f)
		case <-ctx.Done():
			return
		}
	}
}

func (e *engine) tell(ctx context.Context, kind observe.Kind, r row, detail string) {
	e.cfg.Observer.Observe(ctx, observe.Event{
		Kind: kind, Node: "relay", Scope: r.Scope.UUID, Correlation: r.Correlation.UUID, EventID: r.EventID, Type: r.Type, Detail: detail,
	})
}
