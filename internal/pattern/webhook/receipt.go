package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"payonce/internal/platform/postgres"
)

// Verdict says what a receipt makes of a message.
type Verdict string

// The verdicts of [Receive].
const (
	// Fresh says that the message was never received: the caller writes what it
	// starts in the same transaction.
	Fresh Verdict = "fresh"
	// Known says that this very message has its receipt; nothing is to be done.
	Known Verdict = "known"
	// Altered says that the id has a receipt for other bytes. One of the two is
	// not what its sender meant: nothing is to be done, and an alert is raised.
	Altered Verdict = "altered"
)

// A rival's uncommitted receipt is waited for. Then the row is there, or the
// rival rolled back and this one is the first.
const insertReceipt = `
INSERT INTO webhook_receipts (provider, message_id, payload_hash, sent_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (provider, message_id) DO NOTHING
RETURNING message_id`

const readReceipt = `SELECT payload_hash FROM webhook_receipts WHERE provider = $1 AND message_id = $2`

// Receive writes the receipt of a verified message in the caller's transaction.
// After Fresh the caller appends what the message starts and commits both; a
// crash before the commit leaves neither, and the sender comes again.
func Receive(ctx context.Context, tx postgres.Tx, provider string, m Message) (Verdict, error) {
	hash := sha256.Sum256(m.Body)
	var id string
	err := tx.Get(ctx, &id, insertReceipt, provider, m.ID, hash[:], m.At)
	if err == nil {
		return Fresh, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("write the receipt: %w", err)
	}
	// A new statement: the one above does not see the winner's row.
	var stored []byte
	if err := tx.Get(ctx, &stored, readReceipt, provider, m.ID); err != nil {
		return "", fmt.Errorf("read the receipt: %w", err)
	}
	if !bytes.Equal(stored, hash[:]) {
		return Altered, nil
	}
	return Known, nil
}
