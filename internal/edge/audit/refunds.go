package audit

import (
	"context"

	"github.com/google/uuid"

	"payonce/internal/shop/event"
	"payonce/internal/shop/provider"
)

// Three sums that must agree at every moment: what was asked for, what is
// reserved or gone, and what the payment says; and none may exceed the payment.
const refundBoundSQL = `
SELECT s.merchant_id, s.name
  FROM seen s
 CROSS JOIN LATERAL (
   SELECT coalesce(sum(r.amount_minor), 0) AS minor FROM refunds r WHERE r.payment_id = s.id AND r.status <> 'failed'
 ) AS asked
 CROSS JOIN LATERAL (
   SELECT coalesce(sum(v.amount_minor) FILTER (WHERE v.state = 'reserved'), 0) AS reserved,
          coalesce(sum(v.amount_minor) FILTER (WHERE v.state = 'refunded'), 0) AS refunded
     FROM refund_reservations v WHERE v.payment_id = s.id
 ) AS kept
 CROSS JOIN LATERAL (
   SELECT coalesce(-sum(e.amount_minor) FILTER (WHERE a.code = 'refunds_held'), 0) + coalesce(-sum(e.amount_minor) FILTER (WHERE a.code = 'provider_clearing'), 0) AS minor
     FROM ledger_transactions t
     JOIN ledger_entries e ON e.transaction_id = t.id
     JOIN ledger_accounts a ON a.id = e.account_id
    WHERE t.payment_id = s.id AND t.kind <> 'capture'
 ) AS booked
 WHERE asked.minor > s.amount_minor OR booked.minor > s.amount_minor
    OR s.refunded_minor + s.refund_reserved_minor > s.amount_minor
    OR s.refund_reserved_minor <> kept.reserved OR s.refunded_minor <> kept.refunded`

// Named are refunds: each must come to its end everywhere, or an alert must name
// its saga. What a person decided is judged like everything else: its hold, too,
// must be settled or released.
// One that waits is not late while an earlier one is open: that one is judged.
const sagaSettledSQL = `
SELECT s.merchant_id, 'ref_' || replace(r.id::text, '-', '') AS name
  FROM seen s
  JOIN refunds r ON r.payment_id = s.id
  LEFT JOIN sagas g ON g.id = r.saga_id
 WHERE NOT s.young AND r.provider_refund_id IS NULL
   AND NOT EXISTS (SELECT FROM alerts a WHERE a.kind = 'saga_stuck' AND a.subject = 'saga_' || replace(r.saga_id::text, '-', '') AND a.state = 'open')
   AND NOT coalesce(g.state = 'waiting' AND r.status = 'pending' AND EXISTS (
         SELECT FROM refund_reservations mine
           JOIN refund_reservations earlier ON earlier.payment_id = mine.payment_id AND earlier.seq < mine.seq AND earlier.state = 'reserved'
          WHERE mine.refund_id = r.id), false)
   AND (g.id IS NULL
     OR g.state NOT IN ('completed', 'compensated')
     OR r.status <> CASE g.state WHEN 'completed' THEN 'succeeded' ELSE 'failed' END
     OR EXISTS (SELECT FROM refund_reservations v WHERE v.refund_id = r.id AND v.state = 'reserved')
     OR r.status = 'failed' AND EXISTS (SELECT FROM tickets t WHERE t.voided_by = r.id)
     OR EXISTS (SELECT FROM ledger_transactions t WHERE t.payment_id = s.id AND t.business_key = 'refund_hold:ref_' || replace(r.id::text, '-', ''))
        AND NOT EXISTS (SELECT FROM ledger_transactions t WHERE t.payment_id = s.id AND t.business_key IN (
              'refund_settle:ref_' || replace(r.id::text, '-', ''), 'refund_release:ref_' || replace(r.id::text, '-', ''))))`

// refundsSQL is what our own books say of the refunds in scope.
const refundsSQL = `
SELECT s.id AS payment_id, r.id, r.status, r.amount_minor, r.currency, r.provider_refund_id
  FROM seen s JOIN refunds r ON r.payment_id = s.id`

var refundsQuery = scoped(refundsSQL)

type refundFact struct {
	PaymentID   uuid.UUID `db:"payment_id"`
	ID          uuid.UUID `db:"id"`
	Status      string    `db:"status"`
	AmountMinor int64     `db:"amount_minor"`
	Currency    string    `db:"currency"`
	ExternalID  *string   `db:"provider_refund_id"`
}

// is says whether the provider's refund is this one of ours.
func (o refundFact) is(r provider.Refund) bool {
	if o.ExternalID != nil {
		return *o.ExternalID == r.ID
	}
	return event.RefundName(o.ID) == r.Reference
}

// refunds reads them by payment, after the world was asked.
func (p *pass) refunds(ctx context.Context) (map[uuid.UUID][]refundFact, error) {
	var rows []refundFact
	if err := p.rows(ctx, refundsQuery, &rows); err != nil {
		return nil, err
	}
	of := map[uuid.UUID][]refundFact{}
	for _, r := range rows {
		of[r.PaymentID] = append(of[r.PaymentID], r)
	}
	return of, nil
}

// wentBack lists what the provider gave back of the payment's own charge. What went
// back of another charge only takes that one away.
func (f fact) wentBack(at map[string][]provider.Refund) (succeeded []provider.Refund) {
	if f.ChargeID == nil {
		return nil
	}
	for _, r := range at[*f.ChargeID] {
		if r.Status == provider.Succeeded {
			succeeded = append(succeeded, r)
		}
	}
	return succeeded
}
