package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/lib/pq"

	"payonce/internal/edge/delivery"
	"payonce/internal/platform/postgres"
)

// This file holds what must be true of the other doors at the end.

// unendedSQL counts what was made by hand and is not in our books, the alerts that
// must be over, and the letters that a replay ends.
const unendedSQL = `
SELECT (SELECT count(*) FROM unnest($1::text[]) AS made (id) WHERE NOT EXISTS (SELECT FROM refunds r WHERE r.provider_refund_id = made.id))
     + (SELECT count(*) FROM alerts WHERE state = 'open' AND kind = ANY ($2::text[]))
     + (SELECT count(*) ` + innocent + `)`

// unended is how much of what went through the other doors has not come to its end.
// That lost events are applied is seen at once; that their alert is over only when
// the delivery monitor looks again, so it is asked for in the last look.
func (h *house) unended(ctx context.Context, last bool) (n int, err error) {
	kinds := slices.Clone(ended)
	if !last {
		kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == delivery.AlertNotApplied.Name })
	}
	err = h.db.Get(ctx, &n, unendedSQL, pq.Array(h.hand.made()), pq.Array(kinds))
	return n, err
}

func (h *handbook) refund(id string) (HandRefund, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, known := h.refunds[id]
	return r, known
}

// all is every refund of a charge of ours that was made at the provider.
func (h *handbook) all() map[string]HandRefund {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.refunds)
}

const (
	bookedByHandSQL = `
SELECT provider_refund_id AS id, 'pay_' || replace(payment_id::text, '-', '') AS payment, status, amount_minor
  FROM refunds WHERE provider_refund_id IS NOT NULL`

	alertsAboutSQL = `SELECT DISTINCT unnest(ARRAY[subject, facts->>'object']) FROM alerts WHERE kind IN ('provider_unknown_charge', 'provider_contradiction')`
)

type bookedByHand struct {
	ID      string `db:"id"`
	Payment string `db:"payment"`
	Status  string `db:"status"`
	Amount  int64  `db:"amount_minor"`
}

// judge compares what was made at the provider with our books: each refund of a
// charge of ours is booked once, with its payment and its amount, and nothing else
// is; each stray charge was an alert and went back.
func (h *handbook) judge(ctx context.Context, db *postgres.DB) (violations []string, err error) {
	var booked []bookedByHand
	var alerted []*string
	if err := db.Select(ctx, &booked, bookedByHandSQL); err != nil {
		return nil, err
	}
	if err := db.Select(ctx, &alerted, alertsAboutSQL); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	violations = judgeBooked(h.refunds, booked)
	for charge, s := range h.strays {
		if s.back == "" {
			violations = append(violations, charge+" was made by hand and never went back")
		}
		if !slices.ContainsFunc(alerted, func(named *string) bool { return named != nil && *named == charge }) {
			violations = append(violations, charge+" was made by hand and was never an alert")
		}
	}
	slices.Sort(violations)
	return violations, nil
}

func judgeBooked(made map[string]HandRefund, booked []bookedByHand) (violations []string) {
	times := map[string]int{}
	for _, b := range booked {
		times[b.ID]++
		switch m, known := made[b.ID]; {
		case !known:
			violations = append(violations, b.ID+" is booked as made at the provider, and was not made there")
		case m.Payment != b.Payment || m.Amount != b.Amount || b.Status != "succeeded":
			violations = append(violations, fmt.Sprintf("%s of %s, %d, is booked as %s of %s, %d", b.ID, m.Payment, m.Amount, b.Status, b.Payment, b.Amount))
		}
	}
	for id, m := range made {
		if times[id] != 1 {
			violations = append(violations, fmt.Sprintf("%s of %s was made at the provider and is booked %d times", id, m.Payment, times[id]))
		}
	}
	return violations
}

const openAlertsSQL = `
SELECT kind || ' about ' || subject FROM alerts
 WHERE state = 'open' AND kind = ANY ($1::text[])`

// judgeAlerts lists the alerts that are open and must be over.
func judgeAlerts(ctx context.Context, db *postgres.DB) (violations []string, err error) {
	err = db.Select(ctx, &violations, openAlertsSQL, pq.Array(ended))
	return violations, err
}
