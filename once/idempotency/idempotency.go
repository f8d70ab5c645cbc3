package idempotency

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/once"
)

// Config says where keys are kept, and for how long.
type Config struct {
	DB    once.DB
	Table Table
	// Secret is for the hashes of single fields; see [Request.Fingerprint].
	Secret []byte
	// TTL is how long an answer is kept, from the claim on. One that comes after its
	// lease is kept for TTL less Lease from then on.
	TTL   time.Duration
	Lease time.Duration // how long a running key belongs to its holder
}

// Keys is the store of keys.
type Keys struct {
	Config
	lookup, claim, complete, store, bind, completeTry, releaseTry once.Statement
}

// New returns the store. It asks the database nothing; an error is a mistake in cfg.
func New(cfg Config) (*Keys, error) {
	switch {
	case cfg.DB == nil:
		return nil, errors.New("idempotency: the keys need a database")
	case cfg.Lease <= 0 || cfg.TTL <= cfg.Lease:
		// An answer would have expired before its client can ask again.
		return nil, fmt.Errorf("idempotency: an answer is kept for %s, which is not longer than the lease of %s", cfg.TTL, cfg.Lease)
	case len(cfg.Secret) == 0:
		return nil, errors.New("idempotency: without a secret each hash of a field can be guessed")
	}
	named := func(text string) once.Statement { return once.Named(cfg.Table.in(text)) }
	return &Keys{
		Config: cfg, lookup: named(lookupSQL), claim: named(claimSQL), complete: named(completeSQL),
		store: named(storeSQL), bind: named(bindSQL), completeTry: named(completeTrySQL), releaseTry: named(releaseTrySQL),
	}, nil
}

// Row is what the store knows of a key.
type Row struct {
	Operation   string
	RequestHash []byte
	FieldMACs   []byte
	Status      string
	ClaimToken  string
	Fence       int64
	Leased      bool
	Subject     string // "" for an operation without tries
	SubjectNo   int
	Resource    string
	CreatedAt   time.Time
	ExpiresAt   time.Time

	status  sql.NullInt32
	headers []byte
	body    []byte
}

// Completed says whether the row holds an answer.
func (row Row) Completed() bool { return row.Status == "completed" }

const lookupSQL = `
SELECT operation, request_hash, field_macs, status, claim_token, fence,
       coalesce(lease_until > clock_timestamp(), false),
       subject_id, subject_no, response_status, response_headers, response_body, resource_ref, created_at, expires_at
  FROM {idempotency_keys} AS k
 WHERE <scope> = @key_scope AND key = @key AND NOT ` + expired

// Lookup reads a key: one indexed read, which is all a replay costs. An expired
// row counts as absent; a look changes nothing.
func (k *Keys) Lookup(ctx context.Context, scope, key string) (row Row, found bool, err error) {
	var subject, resource sql.NullString
	var no sql.NullInt32
	rows, err := k.DB.Read(ctx, k.lookup.Text(), k.lookup.Values(once.Args{"key_scope": scope, "key": key})...)
	found, err = once.One(rows, err, &row.Operation, &row.RequestHash, &row.FieldMACs, &row.Status, &row.ClaimToken, &row.Fence,
		&row.Leased, &subject, &no, &row.status, &row.headers, &row.body, &resource, &row.CreatedAt, &row.ExpiresAt)
	row.Subject, row.SubjectNo, row.Resource = subject.String, int(no.Int32), resource.String
	return row, found, err
}

// Taken says whether err is the refusal of a folded claim whose key exists: the loser
// reads the winner in a new statement.
func (k *Keys) Taken(err error) bool {
	return k.DB.Constraint(err) == k.Table.constraint()
}

// ClaimArgs are the parameters of [Table.ClaimFrom]. The token recognises the
// claim's own row, should the driver run the statement twice.
func (k *Keys) ClaimArgs(r Request, f Fingerprint, token uuid.UUID) once.Args {
	macs, err := json.Marshal(f.MACs)
	if err != nil {
		panic(err) // strings always marshal
	}
	return once.Args{
		"key_scope": r.Scope, "key": r.Key, "key_operation": r.Operation, "key_hash": f.Hash, "key_macs": string(macs),
		"key_token": token.String(), "key_lease": k.Lease.Seconds(), "key_life": k.TTL.Seconds(),
	}
}

// CompleteArgs are the parameters of [Table.CompleteFrom].
func (k *Keys) CompleteArgs(a Answer, resource string) once.Args {
	body := a.Body
	if body == nil {
		body = []byte{} // no bytes are an answer too, and NULL is none
	}
	return once.Args{
		"answer_status": a.Status, "answer_headers": a.headers(), "answer_body": body, "answer_resource": resource,
		"answer_life": (k.TTL - k.Lease).Seconds(),
	}
}

// Outcome is an answer and how this delivery came by it.
type Outcome struct {
	Answer   Answer
	Resource string
	// Replayed says that the answer was stored before this delivery.
	Replayed bool
}

// ErrInProgress says that a twin is still running: ask again with the same key.
var ErrInProgress = errors.New("a request with this Idempotency-Key is still running")

// replay answers a delivery whose key has an answer, which may be its own.
func (k *Keys) replay(ctx context.Context, r Request, f Fingerprint, mine uuid.UUID) (Outcome, bool, error) {
	row, found, err := k.Lookup(ctx, r.Scope, r.Key)
	if err != nil || !found {
		return Outcome{}, false, err
	}
	if err := row.Match(r, f); err != nil {
		return Outcome{}, true, err
	}
	if !row.Completed() {
		return Outcome{}, true, ErrInProgress
	}
	a, err := row.Answer()
	return Outcome{Answer: a, Resource: row.Resource, Replayed: row.ClaimToken != mine.String()}, true, err
}

const removeExpiredSQL = `
DELETE FROM {idempotency_keys} WHERE (<scope>, key) IN (
  SELECT k.<scope>, k.key FROM {idempotency_keys} AS k WHERE ` + expired + `
   ORDER BY k.expires_at LIMIT @most FOR UPDATE SKIP LOCKED)`

// RemoveExpired removes up to most expired keys and says how many. No client can
// see the difference. A row in use is left for the next time.
func (t Table) RemoveExpired(ctx context.Context, tx once.Tx, most int) (int64, error) {
	return once.Named(t.in(removeExpiredSQL)).Exec(ctx, tx, once.Args{"most": most})
}
