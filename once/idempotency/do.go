package idempotency

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"payonce/once"
)

// An expired row becomes the new one in its place; of one that has not expired nothing
// changes. A twin that has not committed is waited for.
const (
	anewSQL = `
ON CONFLICT (<scope>, key) DO UPDATE
   SET operation = excluded.operation, request_hash = excluded.request_hash, field_macs = excluded.field_macs,
       status = excluded.status, claim_token = excluded.claim_token, fence = excluded.fence, lease_until = excluded.lease_until,
       subject_id = NULL, subject_no = NULL,
       response_status = excluded.response_status, response_headers = excluded.response_headers,
       response_body = excluded.response_body, resource_ref = excluded.resource_ref,
       created_at = excluded.created_at, expires_at = excluded.expires_at
 WHERE ` + expired
	claimSQL = `
INSERT INTO {idempotency_keys} AS k (<scope>, key, operation, request_hash, field_macs, status, claim_token, lease_until, expires_at)
VALUES (@key_scope, @key, @key_operation, @key_hash, @key_macs, 'running', @key_token,
        clock_timestamp() + @key_lease * interval '1 second', clock_timestamp() + @key_life * interval '1 second')` + anewSQL
	completeSQL = `
UPDATE {idempotency_keys} AS k SET ` + completion + `
 WHERE <scope> = @key_scope AND key = @key AND claim_token = @key_token AND status = 'running'`
	storeSQL = `
INSERT INTO {idempotency_keys} AS k (<scope>, key, operation, request_hash, field_macs, status, claim_token,
        response_status, response_headers, response_body, resource_ref, expires_at)
VALUES (@key_scope, @key, @key_operation, @key_hash, @key_macs, 'completed', @key_token,
        @answer_status, @answer_headers, @answer_body, @answer_resource, clock_timestamp() + @key_life * interval '1 second')` + anewSQL
)

// errTaken rolls back a transaction whose key exists.
var errTaken = errors.New("idempotency: the key is taken")

// Do runs an effect that is ours alone, together with its claim and its outcome
// in one transaction. A twin that is running is waited for, by the unique
// index, up to the session's lock timeout. effect may run more than once (see
// [once.DB]); an error from it leaves nothing behind, not even the key.
func (k *Keys) Do(ctx context.Context, r Request, effect func(tx once.Tx) (Answer, string, error)) (Outcome, error) {
	f := r.Fingerprint(k.Secret)
	if out, found, err := k.replay(ctx, r, f); found || err != nil {
		return out, err
	}
	var out Outcome
	err := k.DB.InTx(ctx, func(tx once.Tx) (err error) {
		out, err = k.whole(ctx, tx, k.ClaimArgs(r, f, uuid.New()), effect)
		return err
	})
	if errors.Is(err, errTaken) || errors.Is(err, once.ErrCommitUnknown) {
		// Either a twin won, or we may have won without hearing of it.
		lost := err
		out, found, err := k.replay(ctx, r, f)
		switch {
		case err != nil || found:
			return out, err
		case errors.Is(lost, errTaken):
			return Outcome{}, ErrInProgress // the twin's answer expired in between: ask again
		}
		return Outcome{}, lost
	}
	if once.LockTimeout(err) {
		return Outcome{}, ErrInProgress
	}
	return out, err
}

// whole is claim, effect and outcome.
func (k *Keys) whole(ctx context.Context, tx once.Tx, key once.Args, effect func(tx once.Tx) (Answer, string, error)) (Outcome, error) {
	switch claimed, err := k.claim.Exec(ctx, tx, key); {
	case err != nil:
		return Outcome{}, err
	case claimed == 0:
		return Outcome{}, errTaken
	}
	answer, resource, err := effect(tx)
	if err != nil {
		return Outcome{}, err
	}
	n, err := k.complete.Exec(ctx, tx, key.With(k.CompleteArgs(answer, resource)))
	if err == nil && n != 1 {
		err = errors.New("idempotency: the claimed key vanished inside its own transaction")
	}
	return Outcome{Answer: answer, Resource: resource}, err
}

// Store keeps an outcome under a key that never ran: a refusal that is an
// outcome of the operation, or the outcome of another key's run. Of several
// deliveries one stores; all get what is stored.
func (k *Keys) Store(ctx context.Context, r Request, a Answer, resource string) (Outcome, error) {
	f, token := r.Fingerprint(k.Secret), uuid.New()
	args := k.ClaimArgs(r, f, token).With(k.CompleteArgs(a, resource))
	err := k.DB.InTx(ctx, func(tx once.Tx) error {
		_, err := k.store.Exec(ctx, tx, args)
		return err
	})
	// After a lost COMMIT the row says whose answer is stored.
	if err != nil && !errors.Is(err, once.ErrCommitUnknown) {
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
	return Outcome{Answer: stored, Resource: row.Resource, Replayed: row.ClaimToken != token.String()}, err
}
