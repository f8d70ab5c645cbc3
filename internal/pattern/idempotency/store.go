package idempotency

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// An expired row becomes the new one in its place. A second run meets its own
// row and changes nothing; the caller reads the row and recognises its token.
var storeOutcome = postgres.Guarded("idempotency.store_outcome", `
INSERT INTO idempotency_keys
       (merchant_id, key, operation, request_hash, field_macs, status, claim_token,
        response_status, response_headers, response_body, resource_ref, expires_at)
VALUES ($1::uuid, $2::text, $3::text, $4::bytea, $5::jsonb, 'completed', $6::uuid,
        $7::integer, $8::bytea, $9::bytea, $10::text, clock_timestamp() + $11::float8 * interval '1 second')
ON CONFLICT (merchant_id, key) DO UPDATE
   SET operation = excluded.operation, request_hash = excluded.request_hash, field_macs = excluded.field_macs,
       claim_token = excluded.claim_token, fence = excluded.fence, subject_id = NULL, subject_no = NULL,
       response_status = excluded.response_status, response_headers = excluded.response_headers,
       response_body = excluded.response_body, resource_ref = excluded.resource_ref,
       created_at = excluded.created_at, expires_at = excluded.expires_at
 WHERE `+expired)

// Store keeps an outcome under a key that never ran: a refusal that is an
// outcome of the operation, or the outcome of another key's run. Of several
// deliveries one stores; all get what is stored.
func (k *Keys) Store(ctx context.Context, r Request, a Answer, resource string) (Outcome, error) {
	f := r.Fingerprint(k.Secret)
	token := uuid.New()
	params := append(append(k.row(r, f, token), outcome(a, resource)...), k.TTL.Seconds())
	if _, err := storeOutcome.Exec(ctx, k.DB, params...); err != nil {
		return Outcome{}, err
	}
	row, found, err := k.Lookup(ctx, r.Scope, r.Key)
	switch {
	case err != nil:
		return Outcome{}, err
	case !found || !row.Completed():
		return Outcome{}, ErrInProgress
	}
	if err := row.Match(r, f); err != nil {
		return Outcome{}, err
	}
	stored, err := row.Answer()
	return Outcome{Answer: stored, Resource: row.Resource.String, Replayed: row.ClaimToken != token}, err
}
