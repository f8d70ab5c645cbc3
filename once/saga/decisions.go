package saga

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"payonce/once"
)

// Decisions ends what a person decided while the outside could not be asked. Any
// number may run; the [Timer] leaves such sagas alone.
type Decisions struct {
	Definition Definition
	DB         once.DB
	Every      time.Duration // 0 means 1 s
	Wake       func()        // called after commits that may have sent something; nil for none
	Log        *slog.Logger  // nil means silence
}

const pendingSQL = `
SELECT w.saga_id FROM {saga_decisions} w JOIN {sagas} g ON g.id = w.saga_id
 WHERE g.definition = @definition AND w.state = 'pending' AND w.look_at <= clock_timestamp()
 ORDER BY w.look_at LIMIT 100`

// Run looks until ctx ends.
func (p Decisions) Run(ctx context.Context) error {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if p.Every == 0 {
		p.Every = time.Second
	}
	regularly(ctx, p.Every, func() {
		if _, err := p.RunOnce(ctx); err != nil && ctx.Err() == nil {
			p.Log.Warn("pending decisions", "error", err)
		}
	})
	return nil
}

// RunOnce asks outside about each decision whose time has come and returns how
// many it ended, by carrying them out or by refusing them. One that fails does
// not keep the others from ending.
func (p Decisions) RunOnce(ctx context.Context) (n int, err error) {
	pending, err := ids(p.Definition.Store.from(p.DB)(ctx, pendingSQL, once.Args{"definition": p.Definition.Name}))
	if err != nil {
		return 0, err
	}
	return each(ctx, pending, p.one, p.Wake)
}

func (p Decisions) one(ctx context.Context, id string) (ended bool, err error) {
	s, err := p.Definition.Store.Read(ctx, p.DB, id)
	if err != nil || !s.Decision.Pending() {
		return false, err
	}
	s, err = p.Definition.look(ctx, p.DB, s)
	var no *Contradiction
	if errors.As(err, &no) {
		p.log(s, "refused a decision", "found", no.Found)
		return true, nil
	}
	if err != nil || s.Decision.Pending() {
		return false, err
	}
	p.log(s, "carried a decision out", "outcome", s.Decision.Outcome)
	return true, nil
}

func (p Decisions) log(s Saga, what string, args ...any) {
	if p.Log != nil {
		p.Log.Info(what, append([]any{"saga", s.Name(), "by", s.Decision.By}, args...)...)
	}
}
