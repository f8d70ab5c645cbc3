package naive

import (
	"context"
	"fmt"
	"time"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/provider"
	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/idempotency"
	"payonce/once/outbox"
)

// What is told of a checkout.
const (
	typeCaptured = "naive.captured"
	typeDeclined = "naive.declined"
)

// With the business key only a claimed checkout gets an outcome, once. Without
// it whoever comes writes.
const (
	finishOnceSQL = `
UPDATE naive.checkouts SET status = $3, charge_id = $4, events = events + 1
 WHERE id = $1 AND merchant_id = $2 AND status = 'capturing'
RETURNING events`
	finishSQL = `
UPDATE naive.checkouts SET status = $3, charge_id = $4, events = events + 1
 WHERE id = $1 AND merchant_id = $2
RETURNING events`
)

var completeSQL = once.Named("WITH p AS (SELECT @checkout::uuid AS subject_id, @attempt::integer AS subject_no) " + keyTable.CompleteFrom("p"))

// finish is the second transaction: outcome, the key's answer and, with the
// outbox, the event. Without the outbox the event is published afterwards, by
// whoever is still there to do it.
func (s *Shop) finish(ctx context.Context, a attempt, charge provider.Charge) (idempotency.Answer, error) {
	a.Status = "declined"
	kind := typeDeclined
	if charge.Status == provider.Succeeded {
		a.Status, kind = "captured", typeCaptured
	}
	answer := answerOf(a.checkout)
	e, err := patterns.NewEvent(a.Merchant, a.ID, "naive_checkout", a.ID, kind, factOf(a.checkout))
	if err != nil {
		return answer, err
	}
	query := finishSQL
	if a.has(BusinessKey) {
		query = finishOnceSQL
	}
	err = postgres.InTx(ctx, s.db, func(tx postgres.Tx) error {
		var version []int64
		if err := tx.Select(ctx, &version, query, a.ID, a.Merchant, a.Status, charge.ID); err != nil {
			return err
		}
		if len(version) == 0 {
			return errBusy // Somebody was faster.
		}
		e.AggregateVersion = version[0]
		if a.has(Key) && a.key != "" { // what a webhook tells has no key
			args := s.keys.CompleteArgs(answer, a.name()).With(once.Args{"checkout": a.ID, "attempt": a.no})
			if _, err := completeSQL.Exec(ctx, tx, args); err != nil {
				return err
			}
		}
		if a.has(Outbox) {
			return patterns.Append(ctx, tx, e)
		}
		return nil
	})
	if err != nil {
		return answer, fmt.Errorf("finish a naive capture: %w", err)
	}
	if strikes(ctx, s.db, a.ID, EndBeforePublish) {
		return answer, errEnded
	}
	if !a.has(Outbox) {
		s.publish(ctx, e)
	}
	return answer, nil
}

// publishTries is how often a publish is tried that is known to have failed. One
// that nobody waits for never is.
const publishTries = 5

// publish is the second half of the dual write. When it fails for good there is
// nobody left to tell: the sale is committed.
func (s *Shop) publish(ctx context.Context, e outbox.Event) {
	m := patterns.Format.Message(envelope.Envelope{
		EventID: e.ID, Type: e.Type, Source: source, AggregateID: e.AggregateID, AggregateVersion: e.AggregateVersion,
		Scope: e.Scope, Correlation: e.Correlation, Time: time.Now(), Attempt: 1, Payload: e.Payload,
	}, Exchange, e.Type)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var err error
	for range publishTries {
		fate := make(chan error, 1)
		if err = s.out.Send(ctx, m, func(err error) { fate <- err }); err == nil {
			err = <-fate // at the latest when the confirm is overdue
		}
		if err == nil {
			return
		}
	}
	s.log.Warn("the naive shop could not publish, and no process will", "checkout", prefix.ID(patterns.ID(e.AggregateID)), "error", err)
}
