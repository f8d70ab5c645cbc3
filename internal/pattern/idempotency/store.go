package idempotency

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

// A second run meets its own row and changes nothing; the caller reads the row
// and recognises its token.
var storeOutcome = postgres.Guarded("idempotency.store_outcome", `
INSERT INTO idempotency_keys
       (merchant_id, key, operation, request_hash, field_macs, status, claim_token,
        response_status, response_headers, response_body, resource_ref, expires_at)
VALUES ($1::uuid, $2::text, $3::text, $4::bytea, $5::jsonb, 'completed', $6::uuid,
        $8::integer, $9::bytea, $10::bytea, $11::text, clock_timestamp() + $7::float8 * interval '1 second')
ON CONFLICT (merchant_id, key) DO NOTHING`)

// Store keeps an outcome under a key that never ran: a refusal that is an
// outcome of the operation, or the outcome of another key's run. Of several
// deliveries one stores; all get what is stored.
func (k *Keys) Store(ctx context.Context, r Request, a Answer, resource string) (Outcome, error) {
	f := r.Fingerprint(k.Secret)
	token := uuid.New()
	params := k.ClaimParams(r, f, token)
	// ClaimParams ends with lease and lifetime; an outcome has no lease.
	params = append(params[:6:6], params[7])
	if _, err := storeOutcome.Exec(ctx, k.DB, append(params, CompleteParams(a, resource)...)...); err != nil {
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
