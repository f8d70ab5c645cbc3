package idempotency

import (
	"regexp"
	"strconv"
	"strings"

	"payonce/once"
)

// Table is where the keys are. The zero value is the table of payonce/once/schema, looked
// for on the session's search_path.
type Table struct {
	Schema once.Schema
	// Scope is the column that keeps one tenant's keys from another's; "" means scope.
	Scope string
	// Key is the constraint that makes a key unique in its scope; "" means
	// idempotency_keys_pkey.
	Key string
}

func (t Table) constraint() string {
	if t.Key == "" {
		return "idempotency_keys_pkey"
	}
	return t.Key
}

var column = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

func (t Table) in(statement string) string {
	scope := t.Scope
	if scope == "" {
		scope = "scope"
	}
	if !column.MatchString(scope) {
		panic("idempotency: " + strconv.Quote(scope) + " is no name of a column")
	}
	return t.Schema.In(strings.ReplaceAll(statement, "<scope>", scope))
}

// expired is the one rule of a key's end: its answer is older than its lifetime.
// A key that runs has no end, however long the run takes: its outcome is still
// to come, and a caller who takes a running key for absent runs the operation twice.
// Such a row is absent to every reader, gives way to every claim, and goes with
// the next [Table.RemoveExpired].
const expired = `(k.status = 'completed' AND k.expires_at <= clock_timestamp())`

// ClaimFrom returns two common table expressions, expired and claimed, which
// together claim a key for each row of from. That must have the columns
// subject_id and subject_no: the thing and the try that recovery will speak of. Both have
// the types of the table's columns, because an INSERT converts where the comparisons of
// [Table.CompleteFrom] do not: an id that is uuid in from and text in the table would be
// claimed and never completed.
// Fold them into the statement that makes the guarded state change:
//
//	WITH p AS (UPDATE … WHERE status = … RETURNING id AS subject_id, … AS subject_no),
//	     <ClaimFrom("p")>
//	SELECT … FROM p
//
// If the key exists the whole statement fails (see [Keys.Taken]), unless it has
// expired: then it makes room first, for which the INSERT waits by counting. If
// the state change matches nothing, no key is written. Its parameters are those
// of [Keys.ClaimArgs].
func (t Table) ClaimFrom(from string) string {
	return t.in(`expired AS (
  DELETE FROM {idempotency_keys} AS k WHERE k.<scope> = @key_scope AND k.key = @key AND ` + expired + `
  RETURNING 1
), claimed AS (
  INSERT INTO {idempotency_keys}
         (<scope>, key, operation, request_hash, field_macs, status, claim_token, fence, lease_until, subject_id, subject_no, expires_at)
  SELECT @key_scope, @key, @key_operation, @key_hash, @key_macs, 'running', @key_token, 1,
         clock_timestamp() + @key_lease * interval '1 second', subject_id, subject_no,
         clock_timestamp() + @key_life * interval '1 second'
    FROM ` + from + `, (SELECT count(*) FROM expired) AS gone
)`)
}

// CompleteFrom returns the UPDATE that stores the answer under the key that
// opened the try which from names by subject_id and subject_no. Fold it into
// the statement that stores the effect. The caller guards from by the fence of
// the try: a holder that lost its lease finds no row and completes nothing. Its
// parameters are those of [Keys.CompleteArgs].
func (t Table) CompleteFrom(from string) string {
	return t.in(`UPDATE {idempotency_keys} AS k SET ` + completion + ofTry(from))
}

// An answer is kept for its lifetime, however long its run took. A run that ends
// within its lease leaves the end where the claim has put it: moving an indexed
// column would cost each completion three index entries.
const completion = `status = 'completed', lease_until = NULL,
       response_status = @answer_status, response_headers = @answer_headers, response_body = @answer_body, resource_ref = @answer_resource,
       expires_at = greatest(k.expires_at, clock_timestamp() + @answer_life * interval '1 second')`

// TakeOverFrom returns the UPDATE that hands the key of a try to its new
// holder: from has subject_id, subject_no and the try's new fence and
// lease_until.
func (t Table) TakeOverFrom(from string) string {
	return t.in(`UPDATE {idempotency_keys} AS k SET fence = ` + from + `.fence, lease_until = ` + from + `.lease_until` + ofTry(from))
}

// ParkFrom returns the UPDATE that ends the lease of a try whose outcome is
// unknown: the next delivery need not wait to ask.
func (t Table) ParkFrom(from string) string {
	return t.in(`UPDATE {idempotency_keys} AS k SET lease_until = NULL` + ofTry(from))
}

// ReleaseFrom returns the DELETE that gives back the key of a try that is known
// to have had no effect: the key is as if it had never been used.
func (t Table) ReleaseFrom(from string) string {
	return t.in(`DELETE FROM {idempotency_keys} AS k` + strings.Replace(ofTry(from), "FROM", "USING", 1))
}

// ofTry finds the running keys of the tries in from.
func ofTry(from string) string {
	return `
  FROM ` + from + `
 WHERE k.subject_id = ` + from + `.subject_id AND k.subject_no = ` + from + `.subject_no AND k.status = 'running'`
}
