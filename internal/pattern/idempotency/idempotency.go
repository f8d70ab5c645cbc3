package idempotency

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/once"
)

// Answer is an outcome as the client gets it. These parts are stored and
// replayed byte for byte; everything else about a response is made fresh.
type Answer struct {
	Status      int
	ContentType string
	Location    string
	// Matched says that another key reached the business effect, and in which
	// of the caller's words.
	Matched string
	Body    []byte
}

// Keys is the store of keys.
type Keys struct {
	DB     *postgres.DB
	Secret []byte        // for field hashes
	TTL    time.Duration // how long an answer is kept
	Lease  time.Duration // how long a running key belongs to its holder
}

// Row is what the store knows of a key.
type Row struct {
	Operation   string         `db:"operation"`
	RequestHash []byte         `db:"request_hash"`
	FieldMACs   []byte         `db:"field_macs"`
	Status      string         `db:"status"`
	ClaimToken  uuid.UUID      `db:"claim_token"`
	Fence       int64          `db:"fence"`
	Leased      bool           `db:"leased"`
	SubjectID   uuid.NullUUID  `db:"subject_id"`
	SubjectNo   sql.NullInt32  `db:"subject_no"`
	HTTPStatus  sql.NullInt32  `db:"response_status"`
	Headers     []byte         `db:"response_headers"`
	Body        []byte         `db:"response_body"`
	Resource    sql.NullString `db:"resource_ref"`
	CreatedAt   time.Time      `db:"created_at"`
	ExpiresAt   time.Time      `db:"expires_at"`
}

// Completed says whether the row holds an answer.
func (row Row) Completed() bool { return row.Status == "completed" }

type storedHeaders struct {
	ContentType string `json:"content_type"`
	Location    string `json:"location,omitempty"`
	Matched     string `json:"matched,omitempty"`
}

// Answer returns the stored outcome of a completed row.
func (row Row) Answer() (Answer, error) {
	var h storedHeaders
	if err := json.Unmarshal(row.Headers, &h); err != nil {
		return Answer{}, fmt.Errorf("stored headers: %w", err)
	}
	return Answer{Status: int(row.HTTPStatus.Int32), ContentType: h.ContentType, Location: h.Location, Matched: h.Matched, Body: row.Body}, nil
}

func (a Answer) headers() []byte {
	b, err := json.Marshal(storedHeaders{ContentType: a.ContentType, Location: a.Location, Matched: a.Matched})
	if err != nil {
		panic(err) // three strings always marshal
	}
	return b
}

const lookupSQL = `
SELECT operation, request_hash, field_macs, status, claim_token, fence,
       coalesce(lease_until > clock_timestamp(), false) AS leased,
       subject_id, subject_no, response_status, response_headers, response_body, resource_ref, created_at, expires_at
  FROM idempotency_keys
 WHERE merchant_id = $1 AND key = $2 AND NOT ` + expired

// Lookup reads a key: one indexed read, which is all a replay costs. An expired
// row counts as absent; a look changes nothing.
func (k *Keys) Lookup(ctx context.Context, scope uuid.UUID, key string) (row Row, found bool, err error) {
	err = k.DB.Get(ctx, &row, lookupSQL, scope, key)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Row{}, false, nil
	case err != nil:
		return Row{}, false, err
	}
	return row, true, nil
}

// Taken says whether err is the refusal of a claim whose key exists: the loser
// reads the winner in a new statement.
func Taken(err error) bool {
	return postgres.Violated(err) == "idempotency_keys_pkey"
}

// Outcome is an answer and how this delivery came by it.
type Outcome struct {
	Answer   Answer
	Resource string
	// Replayed says that the answer was stored before this delivery.
	Replayed bool
}

// Do runs an effect that is ours alone, together with its claim and its outcome
// in one transaction. A twin that is running is waited for, by the unique
// index, up to the session's lock timeout. effect may run more than once (see
// postgres.InTx); an error from it leaves nothing behind, not even the key.
func (k *Keys) Do(ctx context.Context, r Request, effect func(tx postgres.Tx) (Answer, string, error)) (Outcome, error) {
	f := r.Fingerprint(k.Secret)
	if out, found, err := k.replay(ctx, r, f); found || err != nil {
		return out, err
	}
	var out Outcome
	err := postgres.InTx(ctx, k.DB, func(tx postgres.Tx) error {
		token := uuid.New()
		if _, err := tx.Exec(ctx, doClaimSQL, k.ClaimParams(r, f, token)...); err != nil {
			return err
		}
		answer, resource, err := effect(tx)
		if err != nil {
			return err
		}
		out = Outcome{Answer: answer, Resource: resource}
		n, err := tx.Exec(ctx, doCompleteSQL, append(k.CompleteParams(answer, resource), r.Scope, r.Key, token)...)
		if err == nil && n != 1 {
			err = errors.New("idempotency: the claimed key vanished inside its own transaction")
		}
		return err
	})
	if Taken(err) || errors.Is(err, once.ErrCommitUnknown) {
		// Either a twin won, or we may have won without hearing of it.
		lost := err
		out, found, err := k.replay(ctx, r, f)
		if err == nil && !found {
			return Outcome{}, lost
		}
		return out, err
	}
	if once.LockTimeout(err) {
		return Outcome{}, ErrInProgress
	}
	return out, err
}

func (k *Keys) replay(ctx context.Context, r Request, f Fingerprint) (Outcome, bool, error) {
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
	return Outcome{Answer: a, Resource: row.Resource.String, Replayed: true}, true, err
}

// ErrInProgress says that a twin is still running: ask again with the same key.
var ErrInProgress = errors.New("a request with this Idempotency-Key is still running")

var (
	doClaimSQL    = `WITH ` + ClaimFrom("(SELECT NULL::uuid AS subject_id, NULL::integer AS subject_no) AS nothing", 1) + ` SELECT 1`
	doCompleteSQL = `UPDATE idempotency_keys SET ` + completion(1) + `
 WHERE merchant_id = $6 AND key = $7 AND claim_token = $8 AND status = 'running'`
)
