package saga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"payonce/internal/platform/fault"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// Orchestrator moves the sagas of one definition. It is a [patterns.Handler]:
// start events and replies come in, commands go out through the outbox, and the
// saga's state changes in the same transaction. Any number may run.
type Orchestrator struct{ Definition Definition }

// moved is what a message brought about, for the crash points after its commit.
type moved struct {
	ids   []uuid.UUID
	step  Direction // of the command that left; "" for none
	pivot bool      // the pivot is done since this message
}

// Handle implements [patterns.Handler]. After nil every message has had its
// effect on its saga, which may be none: a late reply is recorded and ignored.
func (o *Orchestrator) Handle(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
	type one struct {
		message inbox.Message
		in      input
		query   string
		args    []any
		order   string
	}
	all := make([]one, 0, len(batch))
	for _, m := range batch {
		in, query, args, err := o.Definition.inputOf(m)
		if err != nil {
			return retry.Permanent(err)
		}
		id, _ := args[len(args)-1].(uuid.UUID)
		all = append(all, one{m, in, query, args, m.Correlation + id.String() + m.EventID})
	}
	// By what conditions lock, then by saga: two workers with the same ones wait for
	// each other in one order.
	slices.SortFunc(all, func(a, b one) int { return strings.Compare(a.order, b.order) })
	for _, each := range all {
		if each.in.kind == signalled {
			if err := o.signal(ctx, tx, each.message); err != nil {
				return err
			}
			continue
		}
		s, m, err := o.Definition.advance(telemetry.WithTraceparent(ctx, each.message.Traceparent), tx, each.in, each.query, each.args...)
		switch {
		case errors.Is(err, ErrNotFound):
			return retry.Permanent(fmt.Errorf("%w: %s for %v", err, each.message.Type, each.args))
		case errors.Is(err, errRivals):
			return retry.Transient(err)
		case err != nil:
			return err
		}
		inbox.AfterCommit(ctx, func() { after(o.Definition.moved(each.in, s, m)) })
	}
	return nil
}

const waitingSQL = `SELECT id FROM sagas WHERE definition = $1 AND correlation_id = $2 AND merchant_id = $3 AND state = 'waiting' ORDER BY id`

// signal asks the conditions of the sagas that wait for what m tells. One that
// comes to its step a moment later reads what was committed before m.
func (o *Orchestrator) signal(ctx context.Context, tx postgres.Tx, m inbox.Message) error {
	var waiting []uuid.UUID
	if err := tx.Select(ctx, &waiting, waitingSQL, o.Definition.Name, patterns.ID(m.Correlation), patterns.ID(m.Scope)); err != nil {
		return err
	}
	for _, id := range waiting {
		s, moves, err := o.Definition.advance(telemetry.WithTraceparent(ctx, m.Traceparent), tx, input{kind: signalled}, byIDSQL, id)
		if errors.Is(err, errRivals) {
			return retry.Transient(err)
		}
		if err != nil {
			return err
		}
		if moves.send != nil {
			inbox.AfterCommit(ctx, func() { after(o.Definition.moved(input{kind: signalled}, s, moves)) })
		}
	}
	return nil
}

func (d Definition) moved(in input, s Saga, m move) moved {
	w := moved{ids: []uuid.UUID{s.Correlation, s.Scope}, pivot: in.kind == replied && in.ok && in.direction == Do && d.position(in.step) == d.pivot()}
	if m.send != nil {
		w.step = m.send.Direction
	}
	return w
}

// after holds the crash points behind a commit. What they return is dropped:
// nothing can fail any more.
func after(w moved) {
	if w.pivot {
		_ = fault.Point("saga.after_pivot", w.ids...)
	}
	switch w.step {
	case Do:
		_ = fault.Point("saga.after_step_commit", w.ids...)
	case Undo:
		_ = fault.Point("saga.after_undo_commit", w.ids...)
	}
}

// Retry sends a stuck saga's command once more, at a person's request, and
// closes the alert. A saga that is not stuck is ErrSettled, one about which a
// decision is pending ErrDeciding.
func (d Definition) Retry(ctx context.Context, db *postgres.DB, id uuid.UUID) (s Saga, err error) {
	return s, postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		var m move
		if s, m, err = d.advance(ctx, tx, input{kind: again}, byIDSQL, id); err != nil {
			return err
		}
		switch {
		case s.Decision.Pending():
			return ErrDeciding
		case m.send == nil:
			return ErrSettled
		}
		return nil
	})
}

// DataOf reads a command's data.
func DataOf[T any](c Command) (T, error) {
	var data T
	if err := json.Unmarshal(c.Data, &data); err != nil {
		return data, fmt.Errorf("the data does not fit %T: %w", data, err)
	}
	return data, nil
}
