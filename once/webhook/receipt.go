package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"payonce/once"
)

// Verdict says what a receipt makes of a message.
type Verdict string

// The verdicts of [Receipts.Receive].
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

// Receipts is the table of what was received.
type Receipts struct{ Schema once.Schema }

// A rival's uncommitted receipt is waited for. Then the row is there, or the
// rival rolled back and this one is the first.
const insertReceipt = `
INSERT INTO {webhook_receipts} (provider, message_id, payload_hash, sent_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (provider, message_id) DO NOTHING`

const readReceipt = `SELECT payload_hash FROM {webhook_receipts} WHERE provider = $1 AND message_id = $2`

// Receive writes the receipt of a verified message in the caller's transaction.
// After Fresh the caller appends what the message starts and commits both; a
// crash before the commit leaves neither, and the sender comes again.
func (r Receipts) Receive(ctx context.Context, tx once.Tx, provider string, m Message) (Verdict, error) {
	hash := sha256.Sum256(m.Body)
	written, err := tx.Exec(ctx, r.Schema.In(insertReceipt), provider, m.ID, hash[:], m.At)
	if err != nil {
		return "", fmt.Errorf("write the receipt: %w", err)
	}
	if written == 1 {
		return Fresh, nil
	}
	// A new statement: the one above does not see the winner's row.
	var stored []byte
	rows, err := tx.Query(ctx, r.Schema.In(readReceipt), provider, m.ID)
	found, err := once.One(rows, err, &stored)
	switch {
	case err != nil:
		return "", fmt.Errorf("read the receipt: %w", err)
	case !found:
		return "", errNoReceipt
	case !bytes.Equal(stored, hash[:]):
		return Altered, nil
	}
	return Known, nil
}

// Only one that is deleted in the same moment is neither written nor found.
var errNoReceipt = errors.New("webhook: the receipt was there and is not")
