package saga

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"payonce/once"
)

// Timer looks at sagas that were not answered in time. Any number may run: each
// takes sagas that no other one holds.
type Timer struct {
	Definition Definition
	DB         once.DB
	Every      time.Duration // 0 means 1 s
	Batch      int           // 0 means 100
	Wake       func()        // called after commits that sent something; nil for none
	Log        *slog.Logger  // nil means silence
}

const (
	dueSQL  = `SELECT id FROM {sagas} WHERE definition = @definition AND due_at <= clock_timestamp() ORDER BY due_at LIMIT @most`
	takeSQL = `SELECT id FROM {sagas} WHERE id = @saga AND due_at <= clock_timestamp() FOR UPDATE SKIP LOCKED`
)

// Run looks until ctx ends. A look that fails is repeated at the next turn.
func (t Timer) Run(ctx context.Context) error {
	if t.Log == nil {
		t.Log = slog.New(slog.DiscardHandler)
	}
	if t.Every == 0 {
		t.Every = time.Second
	}
	regularly(ctx, t.Every, func() {
		if n, err := t.RunOnce(ctx); err != nil && ctx.Err() == nil {
			t.Log.Warn("saga timer", "error", err)
		} else if n > 0 {
			t.Log.Info("asked again where no answer came", "sagas", n)
		}
	})
	return nil
}

// regularly looks at once and then every so often, until ctx ends.
func regularly(ctx context.Context, every time.Duration, look func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		look()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// RunOnce moves the sagas whose deadline has passed and returns how many it
// moved. One that fails does not keep the others from moving.
func (t Timer) RunOnce(ctx context.Context) (n int, err error) {
	if t.Batch == 0 {
		t.Batch = 100
	}
	due, err := ids(t.Definition.Store.from(t.DB)(ctx, dueSQL, once.Args{"definition": t.Definition.Name, "most": t.Batch}))
	if err != nil {
		return 0, err
	}
	return each(ctx, due, t.one, t.Wake)
}

// each does one thing for each saga, counts where it did something, and wakes when
// it did. One that fails does not keep the others from it.
func each(ctx context.Context, sagas []string, one func(context.Context, string) (bool, error), wake func()) (n int, err error) {
	var errs []error
	for _, id := range sagas {
		done, err := one(ctx, id)
		if err != nil {
			errs = append(errs, err)
		}
		if done {
			n++
		}
	}
	if n > 0 && wake != nil {
		wake()
	}
	return n, errors.Join(errs...)
}

// one moves a saga unless another timer has it in hand or it moved meanwhile.
func (t Timer) one(ctx context.Context, id string) (taken bool, err error) {
	var w moved
	err = t.DB.InTx(ctx, func(tx once.Tx) error {
		taken, w = false, moved{}
		mine, err := ids(t.Definition.Store.within(tx)(ctx, takeSQL, once.Args{"saga": id}))
		if err != nil || len(mine) == 0 {
			return err
		}
		s, m, err := t.Definition.advance(ctx, tx, input{kind: expired}, byIDSQL, once.Args{"saga": id})
		if err != nil {
			return err
		}
		taken, w.ids = true, []string{s.Correlation, s.Scope}
		if m.send != nil {
			w.step = m.send.Direction
		}
		return nil
	})
	if err == nil && taken {
		t.Definition.after(w)
	}
	return taken && err == nil, err
}
