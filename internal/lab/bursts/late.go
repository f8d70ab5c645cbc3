package bursts

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/caller"
	"payonce/internal/edge/wire"
	"payonce/internal/lab/reply"
	"payonce/internal/platform/postgres"
)

// A key that is still running has a holder who will store an answer; its life is
// not ours to end.
const expireSQL = `
UPDATE idempotency_keys SET expires_at = clock_timestamp()
 WHERE merchant_id = $1 AND key = $2 AND status = 'completed'
RETURNING expires_at`

type expiredView struct {
	Key       string    `json:"idempotency_key"`
	ExpiresAt wire.Time `json:"expires_at"`
}

// expire is POST /v1/lab/expire: the time that a key has, over at once, for
// whoever cannot wait three days to be late.
func (r *routes) expire(w http.ResponseWriter, q *http.Request) {
	var asked struct {
		Key string `json:"idempotency_key"`
	}
	if !reply.Read(w, q, r.schemas["ExpireRequest"].Value, &asked) {
		return
	}
	var over time.Time
	err := postgres.InTx(q.Context(), r.DB, func(tx postgres.Tx) error {
		return tx.Get(q.Context(), &over, expireSQL, caller.From(q.Context()).Merchant, asked.Key)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		reply.Refuse(w, q, wire.KindNotFound, "You have no such key with a stored answer.")
	case err != nil:
		reply.Refuse(w, q, wire.KindUnavailable, "The database is away.")
	default:
		reply.JSON(w, http.StatusAccepted, expiredView{Key: asked.Key, ExpiresAt: wire.At(over)})
	}
}

// aged is an event id as it would have been made some days ago: a UUIDv7 begins
// with its time in milliseconds, and the inbox is cut into days by it.
func aged(id uuid.UUID, days int) uuid.UUID {
	if days == 0 {
		return id
	}
	const millisecondsADay = 24 * 60 * 60 * 1000
	began := binary.BigEndian.Uint64(id[:8])
	then := began>>16 - uint64(days)*millisecondsADay //nolint:gosec // the contract bounds the days
	binary.BigEndian.PutUint64(id[:8], then<<16|began&0xffff)
	return id
}
