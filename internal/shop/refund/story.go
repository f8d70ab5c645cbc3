package refund

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once"
	"payonce/once/outbox"
	"payonce/once/retry"
	"payonce/once/saga"
)

// Steps of the saga.
const (
	StepHold   = "hold_funds"
	StepVoid   = "void_tickets"
	StepRefund = "refund" // the pivot
	StepSettle = "settle"
)

// Story is the refund saga. A step's deadline exceeds retries, the longest way
// that a command can be on before it is given to a person.
func Story(retries time.Duration, reservations Reservations) saga.Definition {
	deadline := retries + retries/4
	return saga.Definition{
		Store: patterns.Sagas, Name: "refund", Start: event.TypeRefundRequested, Signal: event.TypeRefundReservationClosed, Ended: ended,
		Steps: []saga.Step{
			{Name: StepHold, Do: event.CommandHoldRefund, Undo: event.CommandReleaseRefund, Deadline: deadline},
			{Name: StepVoid, Do: event.CommandVoidTickets, Undo: event.CommandReinstateTickets, Deadline: deadline, Condition: last(reservations)},
			{Name: StepRefund, Do: event.CommandRefund, Pivot: true, Deadline: deadline},
			{Name: StepSettle, Do: event.CommandSettleRefund, Deadline: deadline},
		},
	}
}

// last is the condition of the void: tickets are void when nothing is left of
// the payment. Whether an earlier refund goes through is not known before its end,
// so the one that would be the last waits for it.
func last(reservations Reservations) saga.Condition {
	return func(ctx context.Context, tx once.Tx, s saga.Saga) (saga.Ready, error) {
		var r event.Refund
		if err := json.Unmarshal(s.Data, &r); err != nil {
			return saga.Wait, retry.Permanent(fmt.Errorf("the data of saga %s: %w", s.ID, err))
		}
		left, known, err := reservations.LeftAfter(ctx, postgres.Reading(tx), r)
		switch {
		case err != nil || !known:
			return saga.Wait, err
		case left > 0:
			return saga.Skip, nil
		}
		return saga.Go, nil
	}
}

// FailureResolved is the failure code of a refund that a person gave up.
const FailureResolved = "resolved_by_operator"

const endSQL = `
UPDATE refunds SET status = $2, failure_code = $3, finished_at = clock_timestamp()
 WHERE id = $1 AND status = 'pending'
RETURNING finished_at`

// ended gives the refund its outcome and tells it, in the transaction in which
// its saga ends.
func ended(ctx context.Context, tx once.Tx, s saga.Saga) error {
	var r event.Refund
	if err := json.Unmarshal(s.Data, &r); err != nil {
		return fmt.Errorf("the data of saga %s: %w", s.ID, err)
	}
	status, code := Succeeded, (*string)(nil)
	if s.State == saga.Compensated {
		status, code = Failed, failureCode(s)
	}
	var at time.Time
	if err := postgres.Reading(tx).Get(ctx, &at, endSQL, r.RefundID, status, code); err != nil {
		return fmt.Errorf("end refund %s: %w", r.RefundID, err)
	}
	e, err := outcome(s, r, code, at.UTC())
	if err != nil {
		return err
	}
	e.AggregateVersion, e.Traceparent = 2, s.Traceparent
	return patterns.Append(ctx, tx, e)
}

func failureCode(s saga.Saga) *string {
	code := saga.NoAnswer
	switch {
	case s.ResolvedBy != nil:
		code = FailureResolved
	case s.Failure != nil:
		code = *s.Failure
	}
	return &code
}

func outcome(s saga.Saga, r event.Refund, code *string, at time.Time) (outbox.Event, error) {
	if code == nil {
		return outbox.New(s.Scope, s.Correlation, "refund", r.RefundID.String(), event.TypeRefundCompleted,
			event.RefundCompleted{Schema: event.SchemaVersion, Refund: r, CompletedAt: at})
	}
	return outbox.New(s.Scope, s.Correlation, "refund", r.RefundID.String(), event.TypeRefundFailed,
		event.RefundFailed{Schema: event.SchemaVersion, Refund: r, FailureCode: *code, FailedAt: at})
}
