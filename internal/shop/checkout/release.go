package checkout

import (
	"context"
	"time"

	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/idempotency"
)

// parkSQL puts an attempt in doubt: nothing final is stored, and the lease ends
// in the same statement, so that the next delivery may ask at once. A tenth of
// chance keeps those that fell into doubt together from asking together. A second
// run finds the lease gone and leaves the attempt as it is.
var parkSQL = postgres.Guarded("capture.park", `
WITH `+current+`, a AS (
  UPDATE payment_attempts a
     SET status = 'in_doubt', lease_until = NULL, next_ask_at = clock_timestamp() + @ask_in::float8 * (1 + 0.1 * random()) * interval '1 second'
    FROM cur WHERE a.payment_id = cur.subject_id AND a.attempt_no = cur.subject_no AND a.lease_until IS NOT NULL
), p AS (
  UPDATE payments p SET status = 'in_doubt' FROM cur WHERE p.id = cur.subject_id
), k AS (`+KeyTable.ParkFrom("cur")+`)
SELECT count(*) FROM cur`)

// park records that nobody here knows what became of the charge.
func (s *Service) park(ctx context.Context, a attempt) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)
	defer cancel()
	var n int
	err := s.insist(ctx, func() error {
		return parkSQL.Get(ctx, s.DB, &n, parkSQL.Values(a.held().With(once.Args{"ask_in": s.askIn(a.Asked).Seconds()}))...)
	})
	if err != nil {
		return maybeExecuted(err)
	}
	s.flights.Landed(a.PaymentID.String())
	s.tell(ctx, observe.Committed, observe.Event{
		Node: "postgres", Scope: a.MerchantID, Correlation: a.PaymentID, Operation: "capture", Key: a.OpenedBy, Attempt: a.No, Detail: InDoubt,
	})
	return nil
}

// askIn says how long to wait before asking about an attempt again.
func (s *Service) askIn(asked int) time.Duration {
	return s.Doubt[min(asked, len(s.Doubt)-1)]
}

// releaseSQL closes an attempt that certainly had no effect and gives the key
// back. A second run finds the attempt closed and changes nothing.
var releaseSQL = once.Named(`
WITH ` + current + `, a AS (
  UPDATE payment_attempts a
     SET status = @status::text, card_token = NULL, lease_until = NULL, next_ask_at = NULL, finished_at = clock_timestamp()
    FROM cur WHERE a.payment_id = cur.subject_id AND a.attempt_no = cur.subject_no
), p AS (
  UPDATE payments p SET status = 'requires_capture' FROM cur WHERE p.id = cur.subject_id
), k AS (` + KeyTable.ReleaseFrom("cur") + `)
SELECT count(*) FROM cur`)

// release closes an attempt as not sent or refused. A refusal is our bug or
// theirs, so a person hears of it.
func (s *Service) release(ctx context.Context, a attempt, status string, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)
	defer cancel()
	var n int
	err := s.insist(ctx, func() error {
		return postgres.InTx(ctx, s.DB, func(tx postgres.Tx) error {
			if err := tx.Get(ctx, &n, releaseSQL.Text(), releaseSQL.Values(a.held().With(once.Args{"status": status}))...); err != nil {
				return err
			}
			if n == 0 || status != "refused" {
				return nil
			}
			return AlertRefused.Raise(ctx, tx, a.MerchantID, PaymentRef(a.PaymentID),
				map[string]any{"attempt_no": a.No, "reason": why.Error()})
		})
	})
	s.flights.Landed(a.PaymentID.String())
	if err != nil {
		return maybeExecuted(err)
	}
	if n == 0 {
		return s.notReleased(ctx, a, status, why)
	}
	return &UnavailableError{Executed: "no", RetryAfter: time.Second, Cause: why}
}

// notReleased finds out why nothing was there to release: a first run of the statement,
// whose reply was lost, has done it; or another holder has taken the attempt over while
// this one slept, and may have charged.
func (s *Service) notReleased(ctx context.Context, a attempt, status string, why error) error {
	now, err := s.attempt(ctx, a.PaymentID, a.No)
	switch {
	case err != nil:
		return maybeExecuted(err)
	case now.Status == status && now.Fence == a.Fence:
		return &UnavailableError{Executed: "no", RetryAfter: time.Second, Cause: why}
	}
	return idempotency.ErrInProgress // asked again, the client gets what became of it
}
