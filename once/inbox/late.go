package inbox

import (
	"context"
	"errors"
	"slices"

	"payonce/once"
	"payonce/once/message"
	"payonce/once/retry"
)

// pastWindow is the end of a message that the inbox has no partition for: a
// person, or, when a person has decided already and the handler allows it, the
// handler without an inbox row. Business keys absorb a repeat then, and every
// other repeat of that message finds the same way. What is applied by asking the
// outside world is never asked again on this way.
func (r *Runner) pastWindow(ctx context.Context, it item) ([]string, error) {
	m := it.message
	if !m.PastWindow || !r.cfg.ByBusinessKey || r.outside(it) || fromTheFuture(m.EventID, r.cfg.Now()) {
		return nil, outside(m.EventID, r.cfg.Now())
	}
	err := r.cfg.DB.InTx(ctx, func(tx once.Tx) error {
		begun(ctx)
		return r.cfg.Handler(ctx, tx, []Message{m})
	})
	return []string{m.EventID}, err
}

// doneBefore is the handler of a message whose effect is there already: only its
// inbox row is missing.
func doneBefore(context.Context, once.Tx, []Message) error { return nil }

// Failures counts what failed so far, by class.
func (r *Runner) Failures() map[retry.Class]int64 {
	counts := make(map[retry.Class]int64, len(retry.Classes))
	for i, class := range retry.Classes {
		counts[class] = r.failed[i].Load()
	}
	return counts
}

func (r *Runner) fails(cause error) {
	if i := slices.Index(retry.Classes, retry.ClassOf(cause)); i >= 0 {
		r.failed[i].Add(1)
	}
}

// returned tells a person that a failed message has nowhere to go: the broker
// returned it, so an exchange or a queue of the schedule is gone. The message
// waits in hand meanwhile. Said at every try, it is one trouble.
func (r *Runner) returned(ctx context.Context, cause error) {
	var back message.Returned
	if !errors.As(cause, &back) {
		return
	}
	r.counts.returned.Add(1)
	route := back.Exchange + "/" + back.Key
	r.works.Delete(route)
	if err := retry.RaiseReturned(ctx, r.cfg.DB, r.cfg.Troubles, r.cfg.Consumer, route, cause.Error()); err != nil {
		r.cfg.Log.Warn("a trouble cannot be written", "error", err) // The next try says it again.
	}
}

// routed ends the trouble about a route that took a message, also one that another process raised: a
// route is asked about once in a process's life, and again after each return.
func (r *Runner) routed(ctx context.Context, v retry.Verdict, queue string) {
	route := v.Exchange + "/" + queue
	if _, known := r.works.Load(route); known {
		return
	}
	if err := retry.EndReturned(context.WithoutCancel(ctx), r.cfg.DB, r.cfg.Troubles, route); err != nil {
		r.cfg.Log.Warn("a trouble cannot be ended", "error", err)
		return // The next message says it again.
	}
	r.works.Store(route, true)
}
