package checkout

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/internal/platform/telemetry"
	"payonce/once"
)

// claimSQL is tx1 in one round trip. The key's row is inserted from the guarded
// UPDATE: a payment that cannot be claimed writes no key, a key that exists
// undoes the claim of the payment.
//
// A second run by the driver finds the payment already capturing and returns no
// row; the caller then reads the key and recognises its token.
var claimSQL = postgres.Guarded("capture.claim", `
WITH p AS (
  UPDATE payments
     SET status = 'capturing', attempt_no = attempt_no + 1, decline_code = NULL
   WHERE id = @payment::uuid AND merchant_id = @merchant::uuid
     AND amount_minor = @amount::bigint AND currency = @currency::text
     AND status IN ('requires_capture', 'declined')
     -- A charge that contradicts a stored decline forbids every new attempt.
     AND NOT EXISTS (SELECT 1 FROM payment_attempts c WHERE c.payment_id = @payment::uuid AND c.contradicted_at IS NOT NULL)
     -- So does one that no attempt asked for. The provider told of one, and it is not
     -- known to be gone:
     AND unknown_charge_at IS NULL
     -- or an attempt may have reached the provider; then the caller has asked about
     -- all up to this number.
     AND (attempt_no = @asked_up_to::integer OR NOT EXISTS (SELECT 1 FROM payment_attempts t WHERE t.payment_id = @payment::uuid AND t.status <> 'not_sent'))
     -- And the outcome's event must find its day, or the charge would stand alone.
     AND days_are_there()
  RETURNING id AS subject_id, attempt_no AS subject_no, id, attempt_no, merchant_id, amount_minor, currency, order_id,
            status, version, refunded_minor, captured_at, created_at
), a AS (
  INSERT INTO payment_attempts (payment_id, attempt_no, merchant_id, provider_key, amount_minor, currency, card_token,
                                opened_by, holder, lease_until, next_ask_at, status, traceparent)
  SELECT id, attempt_no, merchant_id, 'capture:pay_' || replace(id::text, '-', '') || ':' || attempt_no, amount_minor, currency, @card::text,
         @key::text, @holder::uuid,
         clock_timestamp() + @lease::float8 * interval '1 second', clock_timestamp() + @lease::float8 * interval '1 second', 'sending', @trace::text
    FROM p
  RETURNING *
), `+KeyTable.ClaimFrom("p")+`
SELECT a.payment_id, a.attempt_no, a.merchant_id, a.provider_key, a.amount_minor, a.currency, a.card_token, a.opened_by,
       a.fence, a.status, a.provider_charge_id, a.decline_code, a.asked,
       true AS leased, 0::float8 AS age, false AS contradicted, a.traceparent,
       p.order_id, p.status AS payment_status, p.version, p.refunded_minor, p.captured_at, p.created_at AS payment_created_at,
       o.email, o.items
  FROM a JOIN p ON p.id = a.payment_id JOIN orders o ON o.id = p.order_id`)

// errNotClaimable says that the payment is in no state to be captured by this
// request: read it to find out why.
var errNotClaimable = errors.New("the payment cannot be claimed")

// claim opens the next attempt under the request's key.
func (s *Service) claim(ctx context.Context, d *delivery) (attempt, error) {
	// From here on the client may hang up: a claim that is on its way is
	// carried through, so that its outcome is known to somebody.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Finalise)
	defer cancel()
	token := uuid.New()
	values := claimSQL.Values(s.Keys.ClaimArgs(d.request, d.print, token).With(once.Args{
		"payment": d.Payment, "merchant": d.Merchant, "amount": d.Amount.AmountMinor, "currency": d.Amount.Currency, "card": d.Token,
		"holder": s.self, "lease": s.Lease.Seconds(), "trace": telemetry.Traceparent(ctx), "asked_up_to": d.cleared,
	}))
	var a attempt
	err := again(func() error { return claimSQL.Get(ctx, s.DB, &a, values...) })
	if s.Keys.Taken(err) {
		// By a twin, or by the first run of this very statement.
		return s.ownClaim(ctx, d.Capture, token, err)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return a, err
	}
	return s.ownClaim(ctx, d.Capture, token, errNotClaimable)
}

// ownClaim finds the attempt that was claimed by the first run of a statement
// whose reply was lost: the token tells. Otherwise it is not ours, which is why.
func (s *Service) ownClaim(ctx context.Context, c Capture, token uuid.UUID, why error) (attempt, error) {
	row, found, err := s.Keys.Lookup(ctx, c.Merchant.String(), c.Key)
	if err != nil {
		return attempt{}, err
	}
	if found && row.ClaimToken == token.String() {
		return s.attempt(ctx, c.Payment, row.SubjectNo)
	}
	return attempt{}, why
}

// again runs a guarded statement a second time when the first run's reply was
// lost. database/sql does so for an end of file and not for a reset, after which
// the claim would stand with nobody who knows of it until its lease ends.
func again(run func() error) error {
	err := run()
	if once.Unavailable(err) {
		err = run()
	}
	return err
}
