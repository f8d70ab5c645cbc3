package world

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// refundSQL claims the key, counts against the charge and writes the refund, or
// does nothing because the key is taken. Two refunds of one charge wait for its
// row in refunded, and the second one sees what the first one left. A refund
// that a card declines, or that would exceed the charge, is written as declined.
const refundSQL = `
WITH claimed AS (
    INSERT INTO refund_keys (key, request_hash, refund_id)
    VALUES (coalesce($4::text, 'without a key: ' || $1::text), $9::bytea, $1::text)
    ON CONFLICT (key) DO NOTHING
    RETURNING refund_id
), counted AS (
    INSERT INTO refunded AS r (charge_id, amount_minor)
    SELECT $2::text, $5::bigint FROM claimed WHERE $7::text = '' AND $5::bigint <= $10::bigint
    ON CONFLICT (charge_id) DO UPDATE SET amount_minor = r.amount_minor + excluded.amount_minor
     WHERE r.amount_minor + excluded.amount_minor <= $10::bigint
    RETURNING charge_id
)
INSERT INTO refunds (id, charge_id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at)
SELECT refund_id, $2::text, $3::text, $4::text, $5::bigint, $6::text,
       CASE WHEN EXISTS (SELECT FROM counted) THEN 'succeeded' ELSE 'declined' END,
       CASE WHEN NOT EXISTS (SELECT FROM counted) THEN coalesce(nullif($7::text, ''), 'exceeds_charge') END, $8::timestamptz
  FROM claimed`

const refundOfKeySQL = `
SELECT k.request_hash, r.id, r.charge_id, r.reference, r.idempotency_key, r.amount_minor, r.currency, r.status, r.decline_code, r.created_at
FROM refund_keys k JOIN refunds r ON r.id = k.refund_id
WHERE k.key = coalesce($1::text, 'without a key: ' || $2::text)`

// refund writes a refund unless its key has one, and returns the one that the
// key has, with the hash of the request that made it. A repetition by the driver
// finds the key taken by itself.
func (b *books) refund(ctx context.Context, r Refund, decline string, limit int64, hash []byte) (Refund, []byte, error) {
	if _, err := b.db.ExecContext(ctx, refundSQL, r.ID, r.ChargeID, r.Reference, r.IdempotencyKey, r.AmountMinor,
		r.Currency, decline, r.at, hash, limit); err != nil {
		return Refund{}, nil, fmt.Errorf("world: write refund %s: %w", r.ID, err)
	}
	var (
		stored     Refund
		storedHash []byte
	)
	err := b.db.QueryRowContext(ctx, refundOfKeySQL, r.IdempotencyKey, r.ID).Scan(&storedHash, &stored.ID, &stored.ChargeID, &stored.Reference,
		&stored.IdempotencyKey, &stored.AmountMinor, &stored.Currency, &stored.Status, &stored.DeclineCode, &stored.at)
	if err != nil {
		return Refund{}, nil, fmt.Errorf("world: read refund %s: %w", r.ID, err)
	}
	stored.CreatedAt = stamp(stored.at)
	return stored, storedHash, nil
}

const refundsSQL = `
SELECT id, charge_id, reference, idempotency_key, amount_minor, currency, status, decline_code, created_at
FROM refunds
WHERE ($1 = '' OR reference = $1) AND ($2 = '' OR idempotency_key = $2) AND ($3 = '' OR charge_id = $3) AND id > $4
  AND ($6::timestamptz IS NULL OR created_at >= $6)
  AND ($1 <> '' OR $2 <> '' OR $3 <> '' OR ` + ofFirstAccount + `)
ORDER BY id
LIMIT $5`

func (b *books) refunds(ctx context.Context, f filter, chargeID string) ([]Refund, error) {
	rows, err := b.db.QueryContext(ctx, refundsSQL, f.reference, f.key, chargeID, f.after, f.limit, f.from)
	if err != nil {
		return nil, fmt.Errorf("world: list refunds: %w", err)
	}
	defer rows.Close()
	refunds := []Refund{}
	for rows.Next() {
		var r Refund
		if err := rows.Scan(&r.ID, &r.ChargeID, &r.Reference, &r.IdempotencyKey, &r.AmountMinor,
			&r.Currency, &r.Status, &r.DeclineCode, &r.at); err != nil {
			return nil, fmt.Errorf("world: read a refund: %w", err)
		}
		r.CreatedAt = stamp(r.at)
		refunds = append(refunds, r)
	}
	return refunds, rows.Err()
}

const announceRefundSQL = `
INSERT INTO webhook_messages (id, kind, reference, charge_id, body, copies, state, due_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO NOTHING`

func (b *books) announceRefund(ctx context.Context, r Refund, a *announcement) error {
	if _, err := b.db.ExecContext(ctx, announceRefundSQL, a.id, a.kind, r.Reference, r.ChargeID, a.body, a.copies, a.state, a.dueAt, r.at); err != nil {
		return fmt.Errorf("world: announce refund %s: %w", r.ID, err)
	}
	return nil
}

const rememberCardSQL = `
INSERT INTO charge_cards (charge_id, token) VALUES ($1, $2) ON CONFLICT (charge_id) DO NOTHING`

// rememberCard notes, before the charge, a card whose refunds misbehave. A row
// whose charge never came is never looked for.
func (b *books) rememberCard(ctx context.Context, chargeID string, c card) error {
	if c.refundDecline == "" && c.refundTrouble == smooth {
		return nil
	}
	if _, err := b.db.ExecContext(ctx, rememberCardSQL, chargeID, c.Token); err != nil {
		return fmt.Errorf("world: remember the card of %s: %w", chargeID, err)
	}
	return nil
}

const cardOfSQL = `SELECT token FROM charge_cards WHERE charge_id = $1`

// cardOf is the card of a charge as far as its refunds go; most are plain.
func (b *books) cardOf(ctx context.Context, chargeID string) (card, error) {
	var token string
	err := b.db.QueryRowContext(ctx, cardOfSQL, chargeID).Scan(&token)
	if errors.Is(err, sql.ErrNoRows) {
		return card{}, nil
	}
	if err != nil {
		return card{}, fmt.Errorf("world: read the card of %s: %w", chargeID, err)
	}
	return cardByToken[token], nil
}
