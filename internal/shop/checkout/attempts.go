package checkout

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/fault"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/call"
	"payonce/once/idempotency"
)

// attempts is where the protocol of package call finds this shop's attempts to charge.
// Each step changes payment, order, key and event with the attempt.
type attempts struct{ *Service }

var _ call.Store[attempt, outcome] = attempts{}

var statuses = map[string]call.Status{
	attemptSending: call.Calling, attemptInDoubt: call.InDoubt,
	attemptSucceeded: call.Done, attemptDeclined: call.Refused, attemptAbandoned: call.Abandoned,
	attemptNotSent: call.Released, attemptRefused: call.Released,
}

// Call implements [call.Row].
func (a attempt) Call() call.Attempt {
	return call.Attempt{
		ID: call.ID{Subject: a.PaymentID.String(), No: a.No}, Key: a.ProviderKey, Status: statuses[a.Status],
		Fence: a.Fence, Asked: a.Asked, Leased: a.Leased, Age: time.Duration(a.Age * float64(time.Second)),
	}
}

// protocol wires package call. That what it needs is there is this package's own doing.
func (s *Service) protocol() *call.Runner[attempt, outcome] {
	runner, err := call.New(call.Config[attempt, outcome]{
		Store:   attempts{s},
		Outside: call.Outside[attempt, outcome]{Send: s.send, Ask: s.ask, Cancel: s.cancel},

		Deadline: s.ProviderDeadline, Commit: s.Finalise, Lease: s.Lease, GiveUp: s.GiveUp, Doubt: s.Doubt,
		Landed: s.landed, Point: point(), Log: s.Log,
	})
	if err != nil {
		panic(err)
	}
	return runner
}

// point names the steps as this shop does; those around the charge are in [Service.send].
func point() func(step string, a attempt) error {
	if !fault.Enabled {
		return nil
	}
	names := map[string]string{
		call.BeforeComplete: "capture.before_finalise", call.AfterComplete: "capture.after_finalise",
		call.AfterTakeOver: "recovery.after_fetch", call.AfterRecover: "recovery.after_commit",
	}
	return func(step string, a attempt) error {
		if names[step] == "" {
			return nil
		}
		return fault.Point(names[step], a.MerchantID, a.PaymentID)
	}
}

// left is why an attempt did not come to an end here, in this shop's words.
func left(err error) error {
	var ended *call.Error
	switch {
	case errors.Is(err, call.ErrHeld):
		return idempotency.ErrInProgress
	case !errors.As(err, &ended):
		return err
	case ended.Sent:
		return maybeExecuted(err)
	}
	return notExecuted(ended.Err)
}

// landed says that this process holds the attempt no longer, and what it has stored.
func (s *Service) landed(ctx context.Context, a attempt) {
	s.flights.Landed(a.PaymentID.String())
	about := observe.Event{
		Node: "postgres", Scope: a.MerchantID, Correlation: a.PaymentID, Operation: "capture", Key: a.OpenedBy, Attempt: a.No,
	}
	switch {
	case a.end != nil:
		s.Wake()
		about.Type, about.EventID, about.Detail = a.end.event.Type, patterns.ID(a.end.event.ID), a.end.status
	case a.Status == attemptInDoubt:
		about.Detail = InDoubt
	default:
		return
	}
	s.tell(ctx, observe.Committed, about)
}

// Read implements [call.Store].
func (b attempts) Read(ctx context.Context, id call.ID) (attempt, error) {
	payment, err := uuid.Parse(id.Subject)
	if err != nil {
		return attempt{}, err
	}
	return b.attempt(ctx, payment, id.No)
}

// takeOverSQL makes this call the holder of an attempt that no one holds, with
// a higher fence; the key that opened it follows. A second run by the driver
// recognises the holder that its first run wrote and changes nothing.
var takeOverSQL = postgres.Guarded("capture.take_over", `
WITH t AS (
  UPDATE payment_attempts
     SET fence = fence + CASE WHEN holder = @holder::uuid THEN 0 ELSE 1 END,
         -- A client that asks early does not use up the schedule's questions.
         asked = asked + CASE WHEN holder = @holder::uuid OR next_ask_at > clock_timestamp() THEN 0 ELSE 1 END,
         lease_until = CASE WHEN holder = @holder::uuid THEN lease_until ELSE clock_timestamp() + @lease::float8 * interval '1 second' END,
         next_ask_at = CASE WHEN holder = @holder::uuid THEN next_ask_at ELSE clock_timestamp() + @lease::float8 * interval '1 second' END,
         holder = @holder::uuid
   WHERE payment_id = @payment::uuid AND attempt_no = @attempt::integer AND status IN ('sending', 'in_doubt')
     AND (lease_until IS NULL OR lease_until <= clock_timestamp() OR holder = @holder::uuid)
  RETURNING *, payment_id AS subject_id, attempt_no AS subject_no
), k AS (`+KeyTable.TakeOverFrom("t")+`)
SELECT `+attemptColumns+`
  FROM t a JOIN payments p ON p.id = a.payment_id JOIN orders o ON o.id = p.order_id`)

// TakeOver implements [call.Store].
func (b attempts) TakeOver(ctx context.Context, id call.ID, holder string, lease time.Duration) (a attempt, taken bool, err error) {
	err = takeOverSQL.Get(ctx, b.DB, &a, takeOverSQL.Values(once.Args{
		"payment": id.Subject, "attempt": id.No, "holder": holder, "lease": lease.Seconds(),
	})...)
	if errors.Is(err, sql.ErrNoRows) {
		return a, false, nil
	}
	return a, err == nil, err
}

// Complete implements [call.Store].
func (b attempts) Complete(ctx context.Context, a attempt, o outcome) (after attempt, changed bool, err error) {
	f, err := b.finalOf(ctx, a, o)
	if err != nil {
		return a, false, err
	}
	if b.Folded {
		changed, err = b.finishFolded(ctx, a, o, f)
	} else {
		err = postgres.InTx(ctx, b.DB, func(tx postgres.Tx) (err error) {
			changed, err = b.finish(ctx, tx, a, o, f)
			return err
		})
	}
	if err != nil || !changed {
		return a, false, err
	}
	a.Status, a.end = o.attemptStatus, &f
	return a, true, nil
}

// current is the attempt that may be put back: this number, this fence, still open, and
// its payment waiting for it.
const current = `
  SELECT a.payment_id AS subject_id, a.attempt_no AS subject_no
    FROM payment_attempts a
    JOIN payments p ON p.id = a.payment_id AND p.attempt_no = a.attempt_no
   WHERE a.payment_id = @payment::uuid AND a.attempt_no = @attempt::integer AND a.fence = @fence::bigint
     AND a.status IN ('sending', 'in_doubt') AND ` + waiting + `
     FOR UPDATE
`

// parkSQL puts an attempt in doubt: nothing final is stored, and the lease ends
// in the same statement, so that the next delivery may ask at once. A tenth of
// chance keeps those that fell into doubt together from asking together. A second
// run finds the lease gone and leaves the attempt as it is.
var parkSQL = postgres.Guarded("capture.park", `
WITH cur AS (`+current+`), a AS (
  UPDATE payment_attempts a
     SET status = 'in_doubt', lease_until = NULL, next_ask_at = clock_timestamp() + @ask_in::float8 * (1 + 0.1 * random()) * interval '1 second'
    FROM cur WHERE a.payment_id = cur.subject_id AND a.attempt_no = cur.subject_no AND a.lease_until IS NOT NULL
), p AS (
  UPDATE payments p SET status = 'in_doubt' FROM cur WHERE p.id = cur.subject_id
), k AS (`+KeyTable.ParkFrom("cur")+`)
SELECT count(*) FROM cur`)

// Park implements [call.Store].
func (b attempts) Park(ctx context.Context, a attempt, next time.Duration) (attempt, error) {
	var n int
	err := parkSQL.Get(ctx, b.DB, &n, parkSQL.Values(a.held().With(once.Args{"ask_in": next.Seconds()}))...)
	if err == nil {
		a.Status = attemptInDoubt
	}
	return a, err
}

// releaseSQL closes an attempt that certainly had no effect and gives the key
// back. A second run finds the attempt closed and changes nothing.
var releaseSQL = once.Named(`
WITH cur AS (` + current + `), a AS (
  UPDATE payment_attempts a
     SET status = @status::text, card_token = NULL, lease_until = NULL, next_ask_at = NULL, finished_at = clock_timestamp()
    FROM cur WHERE a.payment_id = cur.subject_id AND a.attempt_no = cur.subject_no
), p AS (
  UPDATE payments p SET status = 'requires_capture' FROM cur WHERE p.id = cur.subject_id
), k AS (` + KeyTable.ReleaseFrom("cur") + `)
SELECT count(*) FROM cur`)

// Release implements [call.Store]. A refusal is our bug or the provider's, so it is an
// alert.
func (b attempts) Release(ctx context.Context, a attempt, why error) (after attempt, changed bool, err error) {
	status := attemptNotSent
	if errors.Is(why, call.ErrRefused) {
		status = attemptRefused
	}
	var n int
	err = postgres.InTx(ctx, b.DB, func(tx postgres.Tx) error {
		if err := tx.Get(ctx, &n, releaseSQL.Text(), releaseSQL.Values(a.held().With(once.Args{"status": status}))...); err != nil {
			return err
		}
		if n == 0 || status != attemptRefused {
			return nil
		}
		return AlertRefused.Raise(ctx, tx, a.MerchantID, PaymentRef(a.PaymentID), map[string]any{"attempt_no": a.No, "reason": why.Error()})
	})
	if err == nil && n > 0 {
		a.Status = status
	}
	return a, n > 0, err
}

// Same implements [call.Store].
func (b attempts) Same(a attempt, o outcome) bool {
	return a.Status == o.attemptStatus && a.ChargeID.String == o.chargeID
}

// Contradict implements [call.Store].
func (b attempts) Contradict(ctx context.Context, a attempt, o outcome) error {
	return b.contradiction(ctx, a, o)
}

// Overdue implements [call.Store].
func (b attempts) Overdue(ctx context.Context, a attempt, _ error) error {
	return AlertInDoubt.RaiseAlone(ctx, b.DB, a.MerchantID, PaymentRef(a.PaymentID), map[string]any{
		"attempt_no": a.No, "asked": a.Asked, "object": a.ProviderKey, "amount_minor": a.AmountMinor, "currency": a.Currency,
	})
}

const unfinishedSQL = `
SELECT payment_id, attempt_no
  FROM payment_attempts
 WHERE status IN ('sending', 'in_doubt')
   AND next_ask_at <= clock_timestamp()
   AND (lease_until IS NULL OR lease_until <= clock_timestamp())
 ORDER BY next_ask_at
 LIMIT $1`

// Due implements [call.Store].
func (b attempts) Due(ctx context.Context, most int) ([]call.ID, error) {
	var due []struct {
		Payment uuid.UUID `db:"payment_id"`
		No      int       `db:"attempt_no"`
	}
	err := b.DB.Select(ctx, &due, unfinishedSQL, most)
	ids := make([]call.ID, len(due))
	for i, d := range due {
		ids[i] = call.ID{Subject: d.Payment.String(), No: d.No}
	}
	return ids, err
}
