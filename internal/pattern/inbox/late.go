package inbox

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"payonce/internal/pattern/retry"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/rabbit"
)

// pastWindow is the end of a message that the inbox has no partition for: a
// person, or, when a person has decided already and the handler allows it, the
// handler without an inbox row. Business keys absorb a repeat then, and every
// other repeat of that message finds the same way. What is applied by asking the
// outside world is never asked again on this way.
func (r *Runner) pastWindow(ctx context.Context, it item) ([]uuid.UUID, error) {
	m := it.message
	if !m.PastWindow || !r.cfg.ByBusinessKey || r.outside(it) || fromTheFuture(m.EventID, r.cfg.Now()) {
		return nil, outside(m.EventID, r.cfg.Now())
	}
	err := postgres.InTx(ctx, r.cfg.DB, func(tx postgres.Tx) error { return r.cfg.Handler(ctx, tx, []Message{m}) })
	return []uuid.UUID{m.EventID}, err
}

// doneBefore is the handler of a message whose effect is there already: only its
// inbox row is missing.
func doneBefore(context.Context, postgres.Tx, []Message) error { return nil }

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

// alarm tells a person that a failed message has nowhere to go: the broker
// returned it, so an exchange or a queue of the schedule is gone. The message
// waits in hand meanwhile.
type alarm struct {
	runner *Runner
	route  string // the route that was raised for; empty means none
}

func (a *alarm) on(ctx context.Context, cause error) {
	var returned rabbit.Returned
	if a.route != "" || !errors.As(cause, &returned) {
		return
	}
	a.runner.counts.returned.Add(1)
	route := returned.Exchange + "/" + returned.Key
	if err := retry.RaiseReturned(ctx, a.runner.cfg.DB, a.runner.cfg.Consumer, route, cause.Error()); err != nil {
		a.runner.cfg.Log.Warn("an alert cannot be written", "error", err)
		return // The next try says it again.
	}
	a.route = route
}

// off ends the alert when the message has found its way, and leaves it to a
// person when the process ended first.
func (a *alarm) off(ctx context.Context) {
	if a.route == "" || ctx.Err() != nil {
		return
	}
	if err := retry.ResolveReturned(ctx, a.runner.cfg.DB, a.route); err != nil {
		a.runner.cfg.Log.Warn("an alert cannot be closed", "error", err)
	}
}
