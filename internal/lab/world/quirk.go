package world

import (
	"context"
	"fmt"
	"net/http"
)

// What Behaviour.Charges can be, beside none. Each leaves a charge in the books:
// the quirk is in the charge itself, in its answer, or in the provider's memory.
const (
	// otherAmount charges, and says, one minor unit more than was asked for.
	otherAmount = "other_amount"
	// brokenJSON charges and sends half an answer, declared as whole.
	brokenJSON = "broken_json"
	// resetAfter charges and cuts the connection instead of answering.
	resetAfter = "reset_after"
	// forgetful forgets each key before it is used: a key that has charged
	// charges again. The list of charges still names it.
	forgetful = "forgetful"
)

// A second run finds the key gone.
const forgetSQL = `DELETE FROM charge_keys WHERE key = $1 AND NOT cancelled`

func (w *World) forget(ctx context.Context, odd, key string) error {
	if odd != forgetful || key == "" {
		return nil
	}
	if _, err := w.books.db.ExecContext(ctx, forgetSQL, key); err != nil {
		return fmt.Errorf("world: forget a key: %w", err)
	}
	return nil
}

func answerOddly(rw http.ResponseWriter, odd string, a answer) {
	switch odd {
	case brokenJSON:
		writeBytes(rw, a.status, a.body[:len(a.body)/2])
	case resetAfter:
		cutConnection(rw)
	default:
		writeBytes(rw, a.status, a.body)
	}
}
