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
	bindSQL = `
UPDATE {idempotency_keys} SET subject_id = @subject, subject_no = @no
 WHERE <scope> = @key_scope AND key = @key AND claim_token = @key_token`
	try            = ` WHERE k.subject_id = @subject AND k.subject_no = @no AND k.status = 'running'`
	completeTrySQL = `UPDATE {idempotency_keys} AS k SET ` + completion + try
	releaseTrySQL  = `DELETE FROM {idempotency_keys} AS k` + try
	storeSQL       = `
INSERT INTO {idempotency_keys} AS k (<scope>, key, operation, request_hash, field_macs, status, claim_token,
        response_status, response_headers, response_body, resource_ref, expires_at)
VALUES (@key_scope, @key, @key_operation, @key_hash, @key_macs, 'completed', @key_token,
        @answer_status, @answer_headers, @answer_body, @answer_resource, clock_timestamp() + @key_life * interval '1 second')` + anewSQL
)

// ErrTaken says that the key exists. The caller rolls back: what it changed would stand
// beside what the key's own run changes. Then it looks again ([Keys.Lookup]) and makes sure
// that the key is the same request's ([Row.Match]), which [Keys.Do] does by itself.
var ErrTaken = errors.New("idempotency: the key is taken")

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
		out, err = k.whole(ctx, tx, r, f, token, effect)
		return err
	})
	if errors.Is(err, ErrTaken) {
		return k.theirs(k.replay(ctx, r, f, token))
	}
	return k.unlessLost(ctx, r, f, token, out, err)
}

// Claim writes the key in the caller's transaction, before the change that it guards:
// the unfolded form of [Table.ClaimFrom]. A twin that is running is waited for, up to the
// session's lock timeout. After any error the caller rolls back.
func (k *Keys) Claim(ctx context.Context, tx once.Tx, r Request, f Fingerprint, token uuid.UUID) error {
	switch claimed, err := k.claim.Exec(ctx, tx, k.ClaimArgs(r, f, token)); {
	case once.LockTimeout(err): // a twin's: what the effect waits for is its own affair
		return ErrInProgress
	case err != nil:
		return err
	case claimed == 0:
		return ErrTaken
	}
	return nil
}

// Bind says which try a claimed key runs: recovery speaks of it, and [Keys.Complete]
// finds the key by it.
func (k *Keys) Bind(ctx context.Context, tx once.Tx, r Request, token uuid.UUID, subject string, no int) error {
	n, err := k.bind.Exec(ctx, tx, once.Args{"key_scope": r.Scope, "key": r.Key, "key_token": token.String(), "subject": subject, "no": no})
	return vanished(n, err)
}

// Complete stores the answer under the key that opened a try, if it still runs: the
// unfolded form of [Table.CompleteFrom], and as there the caller has made sure of the fence.
func (k *Keys) Complete(ctx context.Context, tx once.Tx, subject string, no int, a Answer, resource string) error {
	_, err := k.completeTry.Exec(ctx, tx, k.CompleteArgs(a, resource).With(once.Args{"subject": subject, "no": no}))
	return err
}

// Release gives back the key that opened a try which certainly had no effect, as if it had
// never been used: the unfolded form of [Table.ReleaseFrom].
func (k *Keys) Release(ctx context.Context, tx once.Tx, subject string, no int) error {
	_, err := k.releaseTry.Exec(ctx, tx, once.Args{"subject": subject, "no": no})
	return err
}

func vanished(n int64, err error) error {
	if err == nil && n != 1 {
		err = errors.New("idempotency: the claimed key vanished inside its own transaction")
	}
	return err
}

// whole is claim, effect and outcome.
func (k *Keys) whole(ctx context.Context, tx once.Tx, r Request, f Fingerprint, token uuid.UUID, effect func(tx once.Tx) (Answer, string, error)) (Outcome, error) {
	if err := k.Claim(ctx, tx, r, f, token); err != nil {
		return Outcome{}, err
	}
	answer, resource, err := effect(tx)
	if err != nil {
		return Outcome{}, err
	}
	n, err := k.complete.Exec(ctx, tx, k.CompleteArgs(answer, resource).With(once.Args{"key_scope": r.Scope, "key": r.Key, "key_token": token.String()}))
	return Outcome{Answer: answer, Resource: resource}, vanished(n, err)
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
