package idempotency

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
)

const claimParams = 8

// ClaimFrom returns two common table expressions, expired and claimed, which
// together claim a key for each row of from. That must have the columns
// subject_id and subject_no: the thing and the try that recovery will speak of.
// Fold them into the statement that makes the guarded state change:
//
//	WITH p AS (UPDATE … WHERE status = … RETURNING id AS subject_id, … AS subject_no),
//	     <ClaimFrom("p", 5)>
//	SELECT … FROM p
//
// If the key exists the whole statement fails (see [Taken]), unless it has
// expired: then it makes room first, for which the INSERT waits by counting. If
// the state change matches nothing, no key is written. Its parameters are
// numbered from first and come from [Keys.ClaimParams].
func ClaimFrom(from string, first int) string {
	p := numbered(first, claimParams)
	return fmt.Sprintf(`expired AS (
  DELETE FROM idempotency_keys WHERE merchant_id = %[1]s::uuid AND key = %[2]s::text AND %[10]s
  RETURNING 1
), claimed AS (
  INSERT INTO idempotency_keys
         (merchant_id, key, operation, request_hash, field_macs, status, claim_token, fence, lease_until, subject_id, subject_no, expires_at)
  SELECT %[1]s::uuid, %[2]s::text, %[3]s::text, %[4]s::bytea, %[5]s::jsonb, 'running', %[6]s::uuid, 1,
         clock_timestamp() + %[7]s::float8 * interval '1 second', subject_id, subject_no,
         clock_timestamp() + %[8]s::float8 * interval '1 second'
    FROM %[9]s, (SELECT count(*) FROM expired) AS gone
)`, p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], from, expired)
}

// ClaimParams are the parameters of [ClaimFrom]. The token recognises the
// claim's own row, should the driver run the statement twice.
func (k *Keys) ClaimParams(r Request, f Fingerprint, token uuid.UUID) []any {
	return append(k.row(r, f, token), k.Lease.Seconds(), k.TTL.Seconds())
}

// row is what a key's row says of its request.
func (*Keys) row(r Request, f Fingerprint, token uuid.UUID) []any {
	macs, err := json.Marshal(f.MACs)
	if err != nil {
		panic(err) // strings always marshal
	}
	return []any{r.Scope, r.Key, r.Operation, f.Hash, string(macs), token}
}

const completeParams = 5

// CompleteFrom returns the UPDATE that stores the answer under the key that
// opened the try which from names by subject_id and subject_no. Fold it into
// the statement that stores the effect. The caller guards from by the fence of
// the try: a holder that lost its lease finds no row and completes nothing.
func CompleteFrom(from string, first int) string {
	return fmt.Sprintf(`UPDATE idempotency_keys SET %s
  FROM %s
 WHERE idempotency_keys.subject_id = %s.subject_id AND idempotency_keys.subject_no = %s.subject_no
   AND idempotency_keys.status = 'running'`, completion(first), from, from, from)
}

// An answer is kept for its lifetime, however long its run took. A run that ends
// within its lease leaves the end where the claim has put it: moving an indexed
// column would cost each capture three index entries.
func completion(first int) string {
	p := numbered(first, completeParams)
	return fmt.Sprintf(`status = 'completed', lease_until = NULL,
       response_status = %s::integer, response_headers = %s::bytea, response_body = %s::bytea, resource_ref = %s::text,
       expires_at = greatest(expires_at, clock_timestamp() + %s::float8 * interval '1 second')`, p[0], p[1], p[2], p[3], p[4])
}

// CompleteParams are the parameters of [CompleteFrom].
func (k *Keys) CompleteParams(a Answer, resource string) []any {
	return append(outcome(a, resource), (k.TTL - k.Lease).Seconds())
}

// outcome is what a completed row says of its answer.
func outcome(a Answer, resource string) []any {
	return []any{a.Status, a.headers(), a.Body, resource}
}

// TakeOverFrom returns the UPDATE that hands the key of a try to its new
// holder: from has subject_id, subject_no and the try's new fence and
// lease_until.
func TakeOverFrom(from string) string {
	return fmt.Sprintf(`UPDATE idempotency_keys
   SET fence = %[1]s.fence, lease_until = %[1]s.lease_until
  FROM %[1]s
 WHERE idempotency_keys.subject_id = %[1]s.subject_id AND idempotency_keys.subject_no = %[1]s.subject_no
   AND idempotency_keys.status = 'running'`, from)
}

// ParkFrom returns the UPDATE that ends the lease of a try whose outcome is
// unknown: the next delivery need not wait to ask.
func ParkFrom(from string) string {
	return fmt.Sprintf(`UPDATE idempotency_keys SET lease_until = NULL
  FROM %[1]s
 WHERE idempotency_keys.subject_id = %[1]s.subject_id AND idempotency_keys.subject_no = %[1]s.subject_no
   AND idempotency_keys.status = 'running'`, from)
}

// ReleaseFrom returns the DELETE that gives back the key of a try that is known
// to have had no effect: the key is as if it had never been used.
func ReleaseFrom(from string) string {
	return fmt.Sprintf(`DELETE FROM idempotency_keys USING %[1]s
 WHERE idempotency_keys.subject_id = %[1]s.subject_id AND idempotency_keys.subject_no = %[1]s.subject_no
   AND idempotency_keys.status = 'running'`, from)
}

func numbered(first, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("$%d", first+i)
	}
	return out
}
