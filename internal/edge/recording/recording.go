// Package recording keeps runs that somebody wants to show to somebody else.
//
// # The problem
//
// The journal belongs to a sandbox and is bounded: a link to a payment's story
// shows a colleague nothing today, and tomorrow nobody.
//
// # The promise
//
// A recording is what was known of a payment when it was made, byte for byte, and
// does not change until its payment is recorded again. It is read by its link
// alone. The link is signed (caller.Tokens), so whoever makes one up is refused
// before the table is asked; the signature is the scope here, as the merchant is
// everywhere else.
//
// # What is not promised
//
// That it can be taken back, except by recording again; it ends when its time is
// over, and retention removes it then.
package recording

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/once"
)

// ErrNone says that there is no recording, or none any more.
var ErrNone = errors.New("there is no such recording")

// MostEvents is the longest story that is written down.
const MostEvents = 1000

// expired is the one rule of a recording's end.
const expired = `(recordings.expires_at <= clock_timestamp())`

const (
	keepSQL = `
INSERT INTO recordings (payment_id, merchant_id, body, recorded_at, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (payment_id) DO UPDATE SET body = excluded.body, recorded_at = excluded.recorded_at, expires_at = excluded.expires_at
 WHERE recordings.merchant_id = excluded.merchant_id`
	findSQL = `SELECT body FROM recordings WHERE payment_id = $1 AND NOT ` + expired
)

// Keep writes a recording down, in place of the payment's last one.
func Keep(ctx context.Context, db *postgres.DB, merchant, payment uuid.UUID, body []byte, recorded, expires time.Time) error {
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, keepSQL, payment, merchant, body, recorded, expires)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a recording: %w", err)
	}
	return nil
}

// Find reads the recording of a payment whose link was verified.
func Find(ctx context.Context, db postgres.Reader, payment uuid.UUID) (body []byte, err error) {
	err = db.Get(ctx, &body, findSQL, payment)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNone
	case err != nil:
		return nil, fmt.Errorf("find a recording: %w", err)
	}
	return body, nil
}

const removeExpiredSQL = `
DELETE FROM recordings WHERE payment_id IN (
  SELECT payment_id FROM recordings WHERE ` + expired + `
   ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)`

// RemoveExpired removes up to most expired recordings and says how many. A row in
// use is left for the next time.
func RemoveExpired(ctx context.Context, tx once.Tx, most int) (int64, error) {
	return tx.Exec(ctx, removeExpiredSQL, most)
}
