package checkout

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/idempotency"
)

// The two transactions of capture.go as one statement each, for [Config.Folded]: the same
// statements, as parts of one. A statement can be run twice by the driver, so each
// recognises that it has run (ADR 2 and 3).

// claimSQL inserts the key's row from the guarded UPDATE: a payment that cannot be
// claimed writes no key, a key that exists undoes the claim of the payment.
//
// A second run by the driver finds the payment already capturing and returns no
// row; the caller then reads the key and recognises its token.
var claimSQL = postgres.Guarded("capture.claim", `
WITH p AS (`+claimPayment+`
  RETURNING id AS subject_id, attempt_no AS subject_no, id, attempt_no, merchant_id, amount_minor, currency, order_id,
            status, version, refunded_minor, captured_at, created_at
), a AS (`+openAttempt+`p
  RETURNING *
), `+KeyTable.ClaimFrom("p")+`
SELECT a.payment_id, a.attempt_no, a.merchant_id, a.provider_key, a.amount_minor, a.currency, a.card_token, a.opened_by,
       a.fence, a.status, a.provider_charge_id, a.decline_code, a.asked,
       true AS leased, 0::float8 AS age, false AS contradicted, a.traceparent,
       p.order_id, p.status AS payment_status, p.version, p.refunded_minor, p.captured_at, p.created_at AS payment_created_at,
       o.email, o.items
  FROM a JOIN p ON p.id = a.payment_id JOIN orders o ON o.id = p.order_id`)

// claimFolded is [Service.claim] in one round trip.
func (s *Service) claimFolded(ctx context.Context, d *delivery, token uuid.UUID) (a attempt, err error) {
	values := claimSQL.Values(s.Keys.ClaimArgs(d.request, d.print, token).With(s.opening(ctx, d)))
	err = again(func() error { return claimSQL.Get(ctx, s.DB, &a, values...) })
	switch {
	case s.Keys.Taken(err):
		return a, idempotency.ErrTaken
	case errors.Is(err, sql.ErrNoRows):
		return a, errNotClaimable
	}
	return a, err
}

// again runs a guarded statement a second time when the first run's reply was
// lost. database/sql does so for an end of file and not for a reset, after which
// the claim would stand, and no process would know of it until its lease ends.
func again(run func() error) error {
	err := run()
	if once.Unavailable(err) {
		err = run()
	}
	return err
}

// finaliseSQL does everything from the one row of the attempt: all of it or nothing. Were
// the payment not waiting for its attempt, the event would have no version, and nothing
// would stand. A second run by the driver finds the attempt finished, changes nothing and
// returns 0; the caller reads what is stored.
var (
	finaliseSQL      = postgres.Guarded("capture.finalise", finalise(""))
	finaliseDoubtSQL = postgres.Guarded("capture.finalise_doubt", finalise(`al AS (`+answerAlerts+`), `))
)

// finalise is the statement; alerts is one more part of it, or "".
func finalise(alerts string) string {
	return `
WITH cur AS (` + endAttempt + `
  RETURNING a.payment_id AS subject_id, a.attempt_no AS subject_no
), p AS (` + endPayment + `
    FROM cur WHERE p.id = cur.subject_id AND p.attempt_no = cur.subject_no AND ` + waiting + `
  RETURNING p.order_id, p.version
), o AS (` + payOrder + `
    FROM p WHERE o.id = p.order_id AND ` + isPaid + `
), ` + alerts + `k AS (` + KeyTable.CompleteFrom("cur") + `
), e AS (` + patterns.Outbox.Fold("cur", "(SELECT version FROM p)") + `)
SELECT count(*) FROM cur`
}

// finishFolded is [Service.finish] in one round trip, and its own transaction.
func (s *Service) finishFolded(ctx context.Context, a attempt, o outcome, f final) (changed bool, err error) {
	statement := finaliseSQL
	if a.doubted() {
		statement = finaliseDoubtSQL
	}
	var n int
	err = statement.Get(ctx, s.DB, &n, statement.Values(a.ending(o, f).
		With(s.Keys.CompleteArgs(f.answer, PaymentRef(a.PaymentID))).With(patterns.EventArgs(ctx, f.event)))...)
	return n > 0, err
}
