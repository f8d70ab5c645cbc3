package world

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Charge is one row of the provider's books, and its wire form.
type Charge struct {
	ID             string  `json:"id"`
	Reference      string  `json:"reference"`
	IdempotencyKey *string `json:"idempotency_key"`
	AmountMinor    int64   `json:"amount_minor"`
	Currency       string  `json:"currency"`
	Status         string  `json:"status"` // succeeded | declined | cancelled
	DeclineCode    *string `json:"decline_code"`
	CreatedAt      string  `json:"created_at"`

	at time.Time
}

// answer is a response as it is stored under a key, byte for byte.
type answer struct {
	status   int
	body     []byte
	replayed bool
}

// keyRow is what the books remember of an Idempotency-Key.
type keyRow struct {
	hash      []byte // nil: a tombstone that nobody has run into yet
	cancelled bool
	answer    answer
}

// books is the provider's memory. It opens no transaction: each method is one
// statement, which Postgres commits whole or not at all, so that a simulator
// killed at any moment leaves a charge with its key's answer, or neither. Each
// is idempotent by construction too, because database/sql runs a statement
// again when a connection breaks after the server committed it.
type books struct {
	db *sql.DB
	// The hot statements are prepared: parsed once, one round trip each.
	charge, keyless, late, key, tombstone, firstTry *sql.Stmt
}

func openBooks(ctx context.Context, db *sql.DB) (*books, error) {
	b := &books{db: db}
	for text, stmt := range map[string]**sql.Stmt{
		chargeSQL: &b.charge, keylessSQL: &b.keyless, lateSQL: &b.late,
		keySQL: &b.key, tombstoneSQL: &b.tombstone, firstTrySQL: &b.firstTry,
	} {
		prepared, err := db.PrepareContext(ctx, text) //nolint:sqlclosecheck // books.close closes it
		if err != nil {
			b.close()
			return nil, fmt.Errorf("world: prepare a statement: %w", err)
		}
		*stmt = prepared
	}
	return b, nil
}

func (b *books) close() {
	for _, stmt := range []*sql.Stmt{b.charge, b.keyless, b.late, b.key, b.tombstone, b.firstTry} {
		if stmt != nil {
			_ = stmt.Close()
		}
	}
}

// chargeSQL writes the charge, and what the provider will tell about it, from the
// claim of its key: a key that exists claims nothing, and so charges nothing. The foreign key is checked at the
// statement's end, when both rows are there.
const chargeSQL = `
WITH claimed AS (
    INSERT INTO charge_keys (key, request_hash, charge_id, response_status, response_body, created_at)
    VALUES ($3, $9, $1, $10, $11, $8)
    ON CONFLICT (key) DO NOTHING
    RETURNING charge_id
), announced AS (
    INSERT INTO webhook_messages (id, kind, reference, charge_id, body, copies, state, due_at, created_at)
    SELECT $12, $13, $2, charge_id, $14, $15, $16, $17, $8 FROM claimed WHERE $12::text IS NOT NULL
)
INSERT INTO charges (id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at)
SELECT charge_id, $2, $3, $4, $5, $6, $7, $8 FROM claimed`

// lateSQL lets a request run into the tombstone of its key: the refused charge
// enters the books as cancelled, and the refusal becomes the key's answer.
const lateSQL = `
WITH late AS (
    UPDATE charge_keys
    SET request_hash = $9, charge_id = $1, response_status = $10, response_body = $11
    WHERE key = $3 AND cancelled AND request_hash IS NULL
    RETURNING charge_id
)
INSERT INTO charges (id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at)
SELECT charge_id, $2, $3, $4, $5, $6, $7, $8 FROM late`

// write runs one of the two statements above and says whether the key was
// free for it. False means: read the key to learn what it holds. What is told
// goes with a charge, never with a refusal.
func (b *books) write(ctx context.Context, c Charge, hash []byte, a answer, message *announcement) (bool, error) {
	args := []any{c.ID, c.Reference, c.IdempotencyKey, c.AmountMinor,
		c.Currency, c.Status, c.DeclineCode, c.at, hash, a.status, a.body}
	stmt := b.late
	if c.Status != "cancelled" {
		stmt, args = b.charge, append(args, message.params()...)
	}
	result, err := stmt.ExecContext(ctx, args...)
	if err != nil {
		return false, fmt.Errorf("world: write charge %s: %w", c.ID, err)
	}
	rows, err := result.RowsAffected()
	return rows == 1, err
}

// keylessSQL remembers nothing: called twice by its caller it charges twice.
// Only the driver's own repetition, which has the same id, is absorbed.
const keylessSQL = `
WITH announced AS (
    INSERT INTO webhook_messages (id, kind, reference, charge_id, body, copies, state, due_at, created_at)
    SELECT $8, $9, $2, $1, $10, $11, $12, $13, $7 WHERE $8::text IS NOT NULL
    ON CONFLICT (id) DO NOTHING
)
INSERT INTO charges (id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at)
VALUES ($1, $2, NULL, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO NOTHING`

func (b *books) writeKeyless(ctx context.Context, c Charge, message *announcement) error {
	args := []any{c.ID, c.Reference, c.AmountMinor, c.Currency, c.Status, c.DeclineCode, c.at}
	if _, err := b.keyless.ExecContext(ctx, append(args, message.params()...)...); err != nil {
		return fmt.Errorf("world: write charge %s: %w", c.ID, err)
	}
	return nil
}

const keySQL = `
SELECT request_hash, cancelled, coalesce(response_status, 0), response_body
FROM charge_keys WHERE key = $1`

// findKey returns nil when the key is unknown.
func (b *books) findKey(ctx context.Context, key string) (*keyRow, error) {
	row := &keyRow{answer: answer{replayed: true}}
	err := b.key.QueryRowContext(ctx, key).Scan(&row.hash, &row.cancelled, &row.answer.status, &row.answer.body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("world: read a key: %w", err)
	}
	return row, nil
}

// matches says whether the key's answer belongs to this request.
func (k *keyRow) matches(hash []byte) bool { return bytes.Equal(k.hash, hash) }

const tombstoneSQL = `
INSERT INTO charge_keys (key, cancelled, created_at) VALUES ($1, true, $2)
ON CONFLICT (key) DO NOTHING`

// bury puts a tombstone on a key that has no outcome yet; on any other key it
// changes nothing.
func (b *books) bury(ctx context.Context, key string, at time.Time) error {
	if _, err := b.tombstone.ExecContext(ctx, key, at); err != nil {
		return fmt.Errorf("world: bury a key: %w", err)
	}
	return nil
}

const firstTrySQL = `
INSERT INTO card_tries (subject, token, first_at) VALUES ($1, $2, $3)
ON CONFLICT (subject, token) DO NOTHING`

// isFirstTry is true once per subject and card, for ever.
func (b *books) isFirstTry(ctx context.Context, subject, token string, at time.Time) (bool, error) {
	result, err := b.firstTry.ExecContext(ctx, subject, token, at)
	if err != nil {
		return false, fmt.Errorf("world: remember a try: %w", err)
	}
	rows, err := result.RowsAffected()
	return rows == 1, err
}
