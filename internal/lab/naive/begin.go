package naive

import (
	"context"
	"fmt"
	"time"

	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/idempotency"
)

// keyTable is the naive shop's own, made like the checkout's.
var keyTable = idempotency.Table{Scope: "merchant_id"}

// lease is how long a running click belongs to its holder. It exceeds all the
// calls that charge makes.
const lease = 4 * time.Second

// With the business key the checkout is claimed: one purchase, one claim, and
// whoever takes over a claim that is too old goes on under its number. Without
// it every click is a purchase.
const (
	claimSQL = `
UPDATE naive.checkouts SET status = 'capturing', claimed_at = clock_timestamp(),
       attempts = attempts + CASE status WHEN 'capturing' THEN 0 ELSE 1 END
 WHERE id = @checkout AND merchant_id = @merchant
   AND (status IN ('open', 'declined') OR status = 'capturing' AND claimed_at < clock_timestamp() - @lease::float8 * interval '1 second')
RETURNING id AS subject_id, attempts AS subject_no`
	countSQL = `
UPDATE naive.checkouts SET attempts = attempts + 1
 WHERE id = @checkout AND merchant_id = @merchant
RETURNING id AS subject_id, attempts AS subject_no`
)

var (
	beginKeyedSQL = map[bool]once.Statement{true: keyed(claimSQL), false: keyed(countSQL)}
	beginSQL      = map[bool]once.Statement{true: once.Named(claimSQL), false: once.Named(countSQL)}
)

// keyed folds the key's claim into the state change: both, or neither.
func keyed(change string) once.Statement {
	return once.Named("WITH p AS (" + change + "), " + keyTable.ClaimFrom("p") + " SELECT subject_id, subject_no FROM p")
}

// begin is the first transaction: it draws the attempt's number and writes down
// what the guards ask for. It is done when the purchase is made already.
func (s *Shop) begin(ctx context.Context, a *attempt) (answer idempotency.Answer, done bool, err error) {
	var drawn []struct {
		ID string `db:"subject_id"`
		No int    `db:"subject_no"`
	}
	args := once.Args{"checkout": a.ID, "merchant": a.Merchant, "lease": lease.Seconds()}
	query := beginSQL[a.has(BusinessKey)]
	if a.has(Key) {
		r := a.request(a.checkout)
		query = beginKeyedSQL[a.has(BusinessKey)]
		args = args.With(s.keys.ClaimArgs(r, r.Fingerprint(s.keys.Secret), a.claim))
	}
	err = postgres.InTx(ctx, s.db, func(tx postgres.Tx) error {
		drawn = drawn[:0]
		return tx.Select(ctx, &drawn, query.Text(), query.Values(args)...)
	})
	switch {
	case s.keys.Taken(err):
		return answer, false, errBusy // A twin was faster; the next try reads what it stored.
	case err != nil:
		return answer, false, fmt.Errorf("begin a naive capture: %w", err)
	case len(drawn) == 1:
		a.no = drawn[0].No
		return answer, false, nil
	}
	now, err := load(ctx, s.db, a.Merchant, a.ID)
	if err != nil || now.Status != "captured" {
		return answer, false, errBusy
	}
	answer = answerOf(now)
	answer.Matched = string(BusinessKey)
	return answer, true, nil
}
