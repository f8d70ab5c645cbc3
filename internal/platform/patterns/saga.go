package patterns

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/platform/alert"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/envelope"
	onceotel "payonce/once/otel"
	"payonce/once/saga"
)

// Sagas is where this house's sagas are.
var Sagas = saga.Store{
	Table: saga.Table{Scope: "merchant_id"}, Outbox: Outbox, Troubles: alert.Troubles{}, ID: envelope.UUID,
	Trace: onceotel.Traceparent, Context: onceotel.WithTraceparent, Point: sagaPoint(),
}

func sagaPoint() func(step string, ids ...string) error {
	if !fault.Enabled {
		return nil
	}
	names := map[string]string{
		"before_step": "saga.before_step", "before_undo": "saga.before_undo", "after_pivot": "saga.after_pivot",
		"after_step_commit": "saga.after_step_commit", "after_undo_commit": "saga.after_undo_commit",
	}
	return func(step string, ids ...string) error {
		about := make([]uuid.UUID, len(ids))
		for i, id := range ids {
			about[i] = ID(id)
		}
		return fault.Point(names[step], about...)
	}
}

// Act is an action of this house: its transaction reads rows into structs.
func Act(do func(ctx context.Context, tx postgres.Tx, c saga.Command) error) saga.Action {
	return func(ctx context.Context, tx once.Tx, c saga.Command) error { return do(ctx, postgres.Reading(tx), c) }
}

// Participant is one of this house.
func Participant(actions map[string]saga.Action) saga.Participant {
	return saga.Participant{Store: Sagas, Actions: actions}
}
