package world

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// dueMessage is a message that this world has taken to send.
type dueMessage struct {
	id                   string
	body                 []byte
	copies, taken, tries int
}

// takeDueSQL takes what is due for a lease. Run again by the driver it takes
// other messages; those of the lost reply come back when their lease is over.
const takeDueSQL = `
UPDATE webhook_messages SET due_at = $2, tries = tries + 1
 WHERE id IN (SELECT id FROM webhook_messages WHERE state = 'pending' AND due_at <= $1 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING id, body, copies, taken, tries`

func (b *books) takeDue(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]dueMessage, error) {
	rows, err := b.db.QueryContext(ctx, takeDueSQL, now, now.Add(lease), limit)
	if err != nil {
		return nil, fmt.Errorf("world: take webhooks: %w", err)
	}
	defer rows.Close()
	var due []dueMessage
	for rows.Next() {
		var m dueMessage
		if err := rows.Scan(&m.id, &m.body, &m.copies, &m.taken, &m.tries); err != nil {
			return nil, fmt.Errorf("world: read a webhook: %w", err)
		}
		due = append(due, m)
	}
	return due, rows.Err()
}

// Guarded by the state: a second run finds the message over, or counts copies
// twice, which the state then hides.
const deliveredSQL = `
UPDATE webhook_messages SET taken = least(taken + $2, copies), state = $3, due_at = $4 WHERE id = $1 AND state = 'pending'`

func (b *books) delivered(ctx context.Context, id string, taken int, next outcome) error {
	_, err := b.db.ExecContext(ctx, deliveredSQL, id, taken, next.state, next.dueAt)
	return err
}

type deliveryRow struct {
	message string
	sentAt  time.Time
	took    time.Duration
	status  int
	problem string
}

const logDeliverySQL = `
INSERT INTO webhook_deliveries (id, message_id, sent_at, took_ms, status_code, error)
VALUES ($1, $2, $3, $4, nullif($5, 0), nullif($6, '')) ON CONFLICT (id) DO NOTHING`

func (b *books) logDelivery(ctx context.Context, d deliveryRow) error {
	id := uuid.Must(uuid.NewV7())
	_, err := b.db.ExecContext(ctx, logDeliverySQL, "whd_"+hex.EncodeToString(id[:]), d.message, d.sentAt, d.took.Milliseconds(), d.status, d.problem)
	return err
}

// Delivery is one line of the delivery log: a try that was made, or, without
// sent_at, a message that waits for its next.
type Delivery struct {
	ID            string  `json:"id"`
	MessageID     string  `json:"message_id"`
	Type          string  `json:"type"`
	Reference     string  `json:"reference"`
	ChargeID      string  `json:"charge_id"`
	State         string  `json:"state"` // of the message: pending | delivered | given_up | lost
	StatusCode    *int    `json:"status_code"`
	Error         *string `json:"error"`
	TookMS        *int64  `json:"took_ms"`
	SentAt        *string `json:"sent_at"`
	NextAttemptAt *string `json:"next_attempt_at"`
}

// A message without a try is shown too: with what it waits for.
const deliveriesSQL = `
SELECT coalesce(d.id, ''), m.id, m.kind, m.reference, m.charge_id, m.state, d.status_code, d.error, d.took_ms, d.sent_at,
       CASE WHEN m.state = 'pending' THEN m.due_at END
  FROM webhook_messages m LEFT JOIN webhook_deliveries d ON d.message_id = m.id
 WHERE ($1 = '' OR m.reference = $1) AND ($2 = '' OR m.id = $2) AND coalesce(d.id, m.id) > $3
 ORDER BY coalesce(d.id, m.id)
 LIMIT $4`

// getDeliveries is GET /v1/webhook-deliveries?reference=&message_id=&cursor=&limit=,
// oldest first.
func (w *World) getDeliveries(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := readLimit(query.Get("limit"))
	if err != nil {
		writeError(rw, err)
		return
	}
	for _, name := range []string{"reference", "message_id"} {
		if query.Has(name) && query.Get(name) == "" {
			writeError(rw, invalid(name, "%s is empty; leave it out to list everything.", name))
			return
		}
	}
	list, err := w.books.deliveries(r.Context(), cleanText(query.Get("reference")), cleanText(query.Get("message_id")),
		cleanText(query.Get("cursor")), limit+1)
	if err != nil {
		w.logUnexpected("list webhook deliveries", err)
		writeError(rw, err)
		return
	}
	writeJSON(rw, http.StatusOK, cut(list, limit, Delivery.cursor))
}

// cursor stands behind this line: its own id, or, of a message without a try,
// the message's.
func (d Delivery) cursor() string {
	if d.ID == "" {
		return d.MessageID
	}
	return d.ID
}

func (b *books) deliveries(ctx context.Context, reference, message, after string, limit int) ([]Delivery, error) {
	rows, err := b.db.QueryContext(ctx, deliveriesSQL, reference, message, after, limit)
	if err != nil {
		return nil, fmt.Errorf("world: list webhook deliveries: %w", err)
	}
	defer rows.Close()
	list := []Delivery{}
	for rows.Next() {
		var d Delivery
		var sent, next sql.NullTime
		if err := rows.Scan(&d.ID, &d.MessageID, &d.Type, &d.Reference, &d.ChargeID, &d.State, &d.StatusCode, &d.Error, &d.TookMS, &sent, &next); err != nil {
			return nil, fmt.Errorf("world: read a webhook delivery: %w", err)
		}
		d.SentAt, d.NextAttemptAt = stampOrNull(sent), stampOrNull(next)
		list = append(list, d)
	}
	return list, rows.Err()
}

func stampOrNull(t sql.NullTime) *string {
	if !t.Valid {
		return nil
	}
	text := stamp(t.Time)
	return &text
}
