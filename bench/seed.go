package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"payonce/internal/shop/checkout"
	"payonce/internal/shop/event"
)

// job is a payment that waits for its capture.
type job struct{ payment, merchant, order uuid.UUID }

// item is what everybody buys here, twice.
var item = checkout.Catalogue()[0]

const quantity = 2

func amount() int64 { return quantity * item.Price.AmountMinor }

func orderLines() []event.Line {
	return []event.Line{{SKU: item.SKU, Name: item.Name, Quantity: quantity, UnitAmountMinor: item.Price.AmountMinor}}
}

// seedSQL makes orders with their payments, dealt to the merchants in turn: the
// rows that POST /v1/orders makes, without its key and its event.
const seedSQL = `
WITH m AS (
  SELECT id, place FROM unnest($1::uuid[]) WITH ORDINALITY AS m (id, place)
), o AS (
  INSERT INTO orders (id, merchant_id, request_key, status, email, amount_minor, currency, items)
  SELECT uuid_v7(g), m.id, 'bench-' || gen_random_uuid(), 'awaiting_payment', 'bench@example.org', $3, $4, $5
    FROM generate_series(0, $2::bigint - 1) AS g JOIN m ON m.place = 1 + g % cardinality($1::uuid[])
   ORDER BY g
  RETURNING id, merchant_id, created_at
)
INSERT INTO payments (id, merchant_id, order_id, status, amount_minor, currency, created_at)
SELECT uuid_v7(), merchant_id, id, 'requires_capture', $3, $4, created_at FROM o
RETURNING id, merchant_id, order_id`

// seed makes n payments that can be captured.
func (h *house) seed(ctx context.Context, merchants []uuid.UUID, n int) ([]job, error) {
	items, err := json.Marshal(orderLines())
	if err != nil {
		return nil, err
	}
	rows, err := h.db.QueryContext(ctx, seedSQL, pq.Array(merchants), n, amount(), item.Price.Currency, string(items))
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	defer func() { _ = rows.Close() }()
	jobs := make([]job, 0, n)
	for rows.Next() {
		var j job
		if err := rows.Scan(&j.payment, &j.merchant, &j.order); err != nil {
			return nil, fmt.Errorf("seed: %w", err)
		}
		jobs = append(jobs, j)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	// Statistics that say "empty" would make the plans of a table that is.
	_, err = h.db.ExecContext(ctx, `ANALYZE orders, payments, payment_attempts, idempotency_keys, outbox_events`)
	return jobs, err
}

// seedMerchants makes sandboxes for a floor, which has no HTTP to make them by.
func (h *house) seedMerchants(ctx context.Context, n int) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.New()
	}
	_, err := h.db.ExecContext(ctx, `INSERT INTO merchants (id, api_key_hash) SELECT id, id::text::bytea FROM unnest($1::uuid[]) AS m (id)`, pq.Array(ids))
	return ids, err
}

// verifySQL counts what a capture leaves, each once, and what it must not.
var verifySQL = map[string]string{
	"captured payments":    `SELECT count(*) FROM payments WHERE merchant_id = ANY ($1) AND status = 'captured' AND version = 1 AND provider_charge_id IS NOT NULL`,
	"succeeded attempts":   `SELECT count(*) FROM payment_attempts WHERE merchant_id = ANY ($1) AND status = 'succeeded'`,
	"paid orders":          `SELECT count(*) FROM orders WHERE merchant_id = ANY ($1) AND status = 'paid'`,
	"keys with an answer":  `SELECT count(*) FROM idempotency_keys WHERE merchant_id = ANY ($1) AND status = 'completed' AND response_status = 200`,
	"events in the outbox": `SELECT count(*) FROM outbox_events WHERE merchant_id = ANY ($1) AND type = 'payment.captured'`,
}

const pendingSQL = `
SELECT (SELECT count(*) FROM idempotency_keys WHERE merchant_id = ANY ($1) AND status <> 'completed')
     + (SELECT count(*) FROM payment_attempts WHERE merchant_id = ANY ($1) AND status IN ('sending', 'in_doubt'))`

// verify counts the effects of done captures of these merchants.
func (h *house) verify(ctx context.Context, merchants []uuid.UUID, done int) error {
	for what, query := range verifySQL {
		var n int
		if err := h.db.QueryRowContext(ctx, query, pq.Array(merchants)).Scan(&n); err != nil {
			return fmt.Errorf("count %s: %w", what, err)
		}
		if n != done {
			return fmt.Errorf("%d captures, but %d %s", done, n, what)
		}
	}
	var pending int
	if err := h.db.QueryRowContext(ctx, pendingSQL, pq.Array(merchants)).Scan(&pending); err != nil {
		return fmt.Errorf("count what is pending: %w", err)
	}
	if pending > 0 {
		return fmt.Errorf("%d keys or attempts were left pending", pending)
	}
	return nil
}

// seedByHand makes n payments in the tables of bench/byhand.
func (h *house) seedByHand(ctx context.Context, merchants []uuid.UUID, n int) ([]job, error) {
	jobs := make([]job, n)
	ids, owners := make([]uuid.UUID, n), make([]uuid.UUID, n)
	for i := range jobs {
		jobs[i] = job{payment: uuid.Must(uuid.NewV7()), merchant: merchants[i%len(merchants)]}
		ids[i], owners[i] = jobs[i].payment, jobs[i].merchant
	}
	_, err := h.db.ExecContext(ctx, `INSERT INTO byhand.payments (id, merchant_id, amount_minor, currency)
	  SELECT id, merchant, $3, $4 FROM unnest($1::uuid[], $2::uuid[]) AS p (id, merchant)`, pq.Array(ids), pq.Array(owners), amount(), item.Price.Currency)
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	_, err = h.db.ExecContext(ctx, `ANALYZE byhand.payments, byhand.keys, byhand.events`)
	return jobs, err
}

// verifyByHand counts the effects of done captures of these merchants there; the naive
// handler keeps neither event nor answer.
func (h *house) verifyByHand(ctx context.Context, merchants []uuid.UUID, done int, keeps bool) error {
	var captured, events, answers int
	err := h.db.QueryRowContext(ctx, `
SELECT (SELECT count(*) FROM byhand.payments WHERE merchant_id = ANY ($1) AND status = 'captured' AND attempt_no = 1),
       (SELECT count(*) FROM byhand.payments p JOIN byhand.events e ON e.payment_id = p.id WHERE p.merchant_id = ANY ($1)),
       (SELECT count(*) FROM byhand.keys k WHERE k.status = 200)
     - (SELECT count(*) FROM byhand.payments p JOIN byhand.events e ON e.payment_id = p.id WHERE p.merchant_id <> ALL ($1))`, pq.Array(merchants)).Scan(&captured, &events, &answers)
	kept := 0
	if keeps {
		kept = done
	}
	if err == nil && (captured != done || events != kept || answers != kept) {
		err = fmt.Errorf("%d captures, but %d payments, %d events and %d answers", done, captured, events, answers)
	}
	return err
}
