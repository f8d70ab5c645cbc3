package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"

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
// [once.DB]); an error from it leaves nothing behind, not even the key. After
// [once.ErrCommitUnknown] the same request with the same key is safe to send again.
func (k *Keys) Do(ctx context.Context, r Request, effect func(tx once.Tx) (Answer, string, error)) (Outcome, error) {
	if err := r.check(); err != nil {
		return Outcome{}, err
	}
	f, token := r.Fingerprint(k.Secret), uuid.New()
	if out, found, err := k.replay(ctx, r, f, token); found || err != nil {
		return out, err
	}
	var out Outcome
	err := k.DB.InTx(ctx, func(tx once.Tx) (err error) {
		out, err = k.whole(ctx, tx, k.ClaimArgs(r, f, token), effect)
		return err
	})
	if errors.Is(err, errTaken) {
		return k.theirs(k.replay(ctx, r, f, token))
	}
	return k.unlessLost(ctx, r, f, token, out, err)
}

// whole is claim, effect and outcome.
func (k *Keys) whole(ctx context.Context, tx once.Tx, key once.Args, effect func(tx once.Tx) (Answer, string, error)) (Outcome, error) {
	switch claimed, err := k.claim.Exec(ctx, tx, key); {
	case once.LockTimeout(err): // a twin's: what the effect waits for is its own affair
		return Outcome{}, ErrInProgress
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
	if err := r.check(); err != nil {
		return Outcome{}, err
	}
	f, token := r.Fingerprint(k.Secret), uuid.New()
	args := k.ClaimArgs(r, f, token).With(k.CompleteArgs(a, resource))
	var stored int64
	err := k.DB.InTx(ctx, func(tx once.Tx) (err error) {
		stored, err = k.store.Exec(ctx, tx, args)
		return err
	})
	switch {
	case once.LockTimeout(err):
		return Outcome{}, ErrInProgress
	case err == nil && stored == 0:
		return k.theirs(k.replay(ctx, r, f, token))
	}
	return k.unlessLost(ctx, r, f, token, Outcome{Answer: a, Resource: resource}, err)
}

// theirs is the answer of the twin that has the key. When that has expired in between,
// the next delivery finds the key free.
func (*Keys) theirs(out Outcome, found bool, err error) (Outcome, error) {
	if err == nil && !found {
		err = ErrInProgress
	}
	return out, err
}

// lookFor bounds the look after a lost COMMIT, which the caller's context may have cut.
const lookFor = 5 * time.Second

// unlessLost is the outcome, or err. After a COMMIT whose answer was lost the key tells
// whether it is durable. A key that is not there, or cannot be read, tells nothing: the
// COMMIT may still be on its way.
func (k *Keys) unlessLost(ctx context.Context, r Request, f Fingerprint, token uuid.UUID, out Outcome, err error) (Outcome, error) {
	if !errors.Is(err, once.ErrCommitUnknown) {
		return out, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookFor)
	defer cancel()
	stored, found, looked := k.replay(ctx, r, f, token)
	var differs *MismatchError
	switch {
	case looked == nil && found, errors.As(looked, &differs), errors.Is(looked, ErrInProgress):
		return stored, looked
	case looked != nil:
		return Outcome{}, fmt.Errorf("%w; the key cannot be read: %s", err, looked.Error())
	}
	return Outcome{}, err
}
