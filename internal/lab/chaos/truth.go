package chaos

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
)

const paymentsTruthSQL = `
SELECT 'pay_' || replace(p.id::text, '-', '') AS name, p.status, coalesce(p.provider_charge_id, '') AS charge,
       (SELECT count(*) FROM payment_attempts a WHERE a.payment_id = p.id) AS attempts,
       p.amount_minor
  FROM payments p`

// A house without sagas has no such table.
const hasRefundsSQL = `SELECT to_regclass('refunds') IS NOT NULL`

const refundsTruthSQL = `
SELECT 'ref_' || replace(id::text, '-', '') AS name, 'pay_' || replace(payment_id::text, '-', '') AS payment, status, amount_minor,
       coalesce(provider_refund_id, '') AS external
  FROM refunds ORDER BY id`

const ordersTruthSQL = `SELECT 'ord_' || replace(id::text, '-', '') FROM orders`

const usedSQL = `SELECT 'tkt_' || replace(id::text, '-', '') FROM tickets WHERE status = 'used'`

// truthOf reads what the shop's database says.
func truthOf(ctx context.Context, db *postgres.DB) (Truth, error) {
	t := Truth{Payments: map[string]PaymentTruth{}, Orders: map[string]bool{}}
	var payments []struct {
		Name string `db:"name"`
		PaymentTruth
	}
	if err := db.Select(ctx, &payments, paymentsTruthSQL); err != nil {
		return t, err
	}
	for _, p := range payments {
		t.Payments[p.Name] = p.PaymentTruth
	}
	var orders []string
	if err := db.Select(ctx, &orders, ordersTruthSQL); err != nil {
		return t, err
	}
	for _, name := range orders {
		t.Orders[name] = true
	}
	var used []string
	if err := db.Select(ctx, &used, usedSQL); err != nil {
		return t, err
	}
	t.Used = map[string]bool{}
	for _, name := range used {
		t.Used[name] = true
	}
	return t, t.readRefunds(ctx, db)
}

func (t *Truth) readRefunds(ctx context.Context, db *postgres.DB) error {
	t.Refunds = map[string][]RefundTruth{}
	var has bool
	if err := db.Get(ctx, &has, hasRefundsSQL); err != nil || !has {
		return err
	}
	var refunds []RefundTruth
	if err := db.Select(ctx, &refunds, refundsTruthSQL); err != nil {
		return err
	}
	for _, r := range refunds {
		t.Refunds[r.Payment] = append(t.Refunds[r.Payment], r)
	}
	return nil
}

// Verdict is what became of an event.
type Verdict string

// The verdicts. Lost and Unexpected are violations.
const (
	OK         Verdict = "ok"
	Duplicated Verdict = "duplicated and absorbed"
	Recovered  Verdict = "recovered"
	Lost       Verdict = "lost"
	Unexpected Verdict = "unexpected"
)

// EventTruth is what is known of one event at the end.
type EventTruth struct {
	ID        uuid.UUID `db:"event_id"`
	Type      string    `db:"type"`
	Published bool      `db:"published"`
	// Owed is how many consumers must have applied it, Applied how many have.
	Owed    int
	Applied int `db:"applied"`
	// Dead is how often it ended among the dead letters, Open how many of those
	// still wait for a person.
	Dead int `db:"dead"`
	Open int `db:"open"`
	// Reasons are what the open ones say of why.
	Reasons string `db:"reasons"`
	// Recovered says that its payment was finished by somebody else than the
	// holder who began.
	Recovered bool `db:"recovered"`
	// Copies is how often the broker got it.
	Copies int
}

// Judge gives an event its verdict.
func Judge(e EventTruth) Verdict {
	switch {
	case !e.Published, e.Copies == 0:
		return Lost
	case e.Open > 0:
		return Unexpected // nobody should have to decide in a house that works again
	case e.Applied < e.Owed:
		return Lost
	case e.Dead > 0, e.Recovered:
		return Recovered
	case e.Copies > 1:
		return Duplicated
	}
	return OK
}

// eventsTruthSQL reads every table once: the inbox has no index by event alone.
const eventsTruthSQL = `
WITH applied AS (
  SELECT event_id, count(*) AS n FROM consumer_inbox GROUP BY event_id
), dead AS (
  SELECT event_id, count(*) AS n, count(*) FILTER (WHERE state = 'open') AS open,
         string_agg(consumer || ', ' || class || ' after ' || attempts || ' attempts: ' || reason, '; ') FILTER (WHERE state = 'open') AS reasons
    FROM dead_letters GROUP BY event_id
), recovered AS (
  SELECT DISTINCT payment_id FROM payment_attempts WHERE fence > 1
)
SELECT o.event_id, o.type, o.published_at IS NOT NULL AS published,
       coalesce(a.n, 0) AS applied, coalesce(d.n, 0) AS dead, coalesce(d.open, 0) AS open, coalesce(d.reasons, '') AS reasons,
       r.payment_id IS NOT NULL AND o.type IN ('payment.captured', 'payment.declined') AS recovered
  FROM outbox_events o
  LEFT JOIN applied a ON a.event_id = o.event_id
  LEFT JOIN dead d ON d.event_id = o.event_id::text
  LEFT JOIN recovered r ON r.payment_id = o.correlation_id
 WHERE o.destination IS NULL`

// judgeAll gives every event its verdict. Copies that the tap heard of events
// that nobody wrote are unexpected.
func judgeAll(ctx context.Context, db *postgres.DB, copies map[uuid.UUID]int) (verdicts map[Verdict]int, violations []string, err error) {
	var events []EventTruth
	if err := db.Select(ctx, &events, eventsTruthSQL); err != nil {
		return nil, nil, err
	}
	owing := map[string]int{}
	_, types := owed()
	for _, kind := range types {
		owing[kind]++
	}
	verdicts = map[Verdict]int{OK: 0, Duplicated: 0, Recovered: 0, Lost: 0, Unexpected: 0}
	written := make(map[uuid.UUID]bool, len(events))
	for _, e := range events {
		written[e.ID] = true
		e.Owed, e.Copies = owing[e.Type], copies[e.ID]
		v := Judge(e)
		verdicts[v]++
		if v == Lost || v == Unexpected {
			violations = append(violations, strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", v, e.Type, e.ID, e.Reasons)))
		}
	}
	for id := range copies {
		if !written[id] {
			verdicts[Unexpected]++
			violations = append(violations, "unexpected: nobody wrote event "+id.String())
		}
	}
	return verdicts, violations, nil
}
