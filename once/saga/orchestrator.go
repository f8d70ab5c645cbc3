package saga

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/retry"
)

// Orchestrator moves the sagas of one definition. It is an [inbox.Handler]:
// start events and replies come in, commands go out through the outbox, and the
// saga's state changes in the same transaction. Any number may run.
type Orchestrator struct{ Definition Definition }

// moved is what a message brought about, for the points after its commit.
type moved struct {
	ids   []string
	step  Direction // of the command that left; "" for none
	pivot bool      // the pivot is done since this message
}

// Handle implements [inbox.Handler]. After nil every message has had its
// effect on its saga, which may be none: a late reply is recorded and ignored.
func (o *Orchestrator) Handle(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
	type one struct {
		message inbox.Message
		in      input
		text    string
		args    once.Args
		saga    string
	}
	all := make([]one, 0, len(batch))
	for _, m := range batch {
		in, text, args, err := o.Definition.inputOf(m)
		if err != nil {
			return retry.Permanent(err)
		}
		id, _ := args["saga"].(string)
		all = append(all, one{m, in, text, args, id})
	}
	// By what conditions lock, then by saga: two workers with the same ones wait for
	// each other in one order.
	slices.SortFunc(all, func(a, b one) int {
		return cmp.Or(strings.Compare(a.message.Correlation, b.message.Correlation), strings.Compare(a.saga, b.saga),
			strings.Compare(a.message.AggregateID, b.message.AggregateID), strings.Compare(a.message.EventID, b.message.EventID))
	})
	for _, each := range all {
		if each.in.kind == signalled {
			if err := o.signal(ctx, tx, each.message); err != nil {
				return err
			}
			continue
		}
		s, m, err := o.Definition.advance(o.Definition.Store.traced(ctx, each.message.Traceparent), tx, each.in, each.text, each.args)
		switch {
		case errors.Is(err, ErrNotFound):
			return retry.Permanent(fmt.Errorf("%w: %s for %v", err, each.message.Type, each.args))
		case errors.Is(err, errRivals):
			return retry.Transient(err)
		case err != nil:
			return err
		}
		inbox.AfterCommit(ctx, func() { o.Definition.after(o.Definition.moved(each.in, s, m)) })
	}
	return nil
}

const waitingSQL = `
SELECT id FROM {sagas} WHERE definition = @definition AND correlation_id = @correlation AND <scope> = @whose AND state = 'waiting' ORDER BY id`

// signal asks the conditions of the sagas that wait for what m tells. One that
// comes to its step a moment later reads what was committed before m.
func (o *Orchestrator) signal(ctx context.Context, tx once.Tx, m inbox.Message) error {
	d := o.Definition
	waiting, err := ids(d.Store.within(tx)(ctx, waitingSQL, once.Args{
		"definition": d.Name, "correlation": once.OrNull(m.Correlation), "whose": once.OrNull(m.Scope),
	}))
	if err != nil {
		return err
	}
	for _, id := range waiting {
		s, moves, err := d.advance(d.Store.traced(ctx, m.Traceparent), tx, input{kind: signalled}, byIDSQL, once.Args{"saga": id})
		if errors.Is(err, errRivals) {
			return retry.Transient(err)
		}
		if err != nil {
			return err
		}
		if moves.send != nil {
			inbox.AfterCommit(ctx, func() { o.Definition.after(o.Definition.moved(input{kind: signalled}, s, moves)) })
		}
	}
	return nil
}

func (d Definition) moved(in input, s Saga, m move) moved {
	w := moved{ids: []string{s.Correlation, s.Scope}, pivot: in.kind == replied && in.ok && in.direction == Do && d.position(in.step) == d.pivot()}
	if m.send != nil {
		w.step = m.send.Direction
	}
	return w
}

// ids are the one column of what a statement returned.
func ids(rows once.Rows, err error) ([]string, error) {
	return once.All(rows, err, func(id *string) []any { return []any{id} })
}

// after holds the points behind a commit. What they return is dropped:
// nothing can fail any more.
func (d Definition) after(w moved) {
	if w.pivot {
		_ = d.Store.at("after_pivot", w.ids...)
	}
	switch w.step {
	case Do:
		_ = d.Store.at("after_step_commit", w.ids...)
	case Undo:
		_ = d.Store.at("after_undo_commit", w.ids...)
	}
}

// Retry sends a stuck saga's command once more, at a person's request, and
// ends the trouble. A saga that is not stuck is ErrSettled, one about which a
// decision is pending ErrDeciding.
func (d Definition) Retry(ctx context.Context, db once.DB, id string) (s Saga, err error) {
	return s, db.InTx(ctx, func(tx once.Tx) error {
		var m move
		if s, m, err = d.advance(ctx, tx, input{kind: again}, byIDSQL, once.Args{"saga": id}); err != nil {
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
