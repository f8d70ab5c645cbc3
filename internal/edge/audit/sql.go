package audit

import "payonce/internal/edge/delivery"

// query is one text in the two forms that indexes serve: a merchant's rows, or
// everybody's.
type query struct{ merchant, everybody string }

// scoped puts the scope in front of a text. $1 is the merchant or null, $2 how
// many payments or null for all, $3 the grace of liveness in seconds.
//
// seen is what a check looks at, with whether its story is still under way:
// something happened to it within the grace.
func scoped(text string) query {
	const head = `
WITH seen AS (
  SELECT p.*, 'pay_' || replace(p.id::text, '-', '') AS name,
         greatest(coalesce((SELECT max(greatest(t.sent_at, t.finished_at)) FROM payment_attempts t WHERE t.payment_id = p.id), p.created_at),
                  (SELECT max(greatest(g.created_at, g.finished_at, h.started_at, h.finished_at))
                     FROM sagas g LEFT JOIN saga_steps h ON h.saga_id = g.id WHERE g.correlation_id = p.id),
                  (SELECT max(r.created_at) FROM refunds r WHERE r.payment_id = p.id))
           > clock_timestamp() - $3::float8 * interval '1 second' AS young
    FROM payments p
   WHERE `
	const tail = `
   ORDER BY p.id DESC
   LIMIT $2::bigint
)`
	return query{
		merchant:  head + `p.merchant_id = $1::uuid` + tail + text,
		everybody: head + `$1::uuid IS NULL` + tail + text,
	}
}

// The body is bytes and must stay so: it is searched, never decoded, so that no
// content can make the check itself fail. Answers that name no state (409, 422)
// are not looked at.
const storedOutcomeSQL = `, answered AS (
  SELECT k.merchant_id, k.response_status, k.response_body, coalesce(k.resource_ref, '') AS name,
         CASE WHEN k.resource_ref ~ '^(pay|ord)_[0-9a-f]{32}$' THEN substr(k.resource_ref, 5)::uuid END AS id
    FROM idempotency_keys k
   WHERE ($1::uuid IS NULL OR k.merchant_id = $1::uuid) AND k.status = 'completed' AND k.response_status IN (200, 201, 402)
   ORDER BY k.created_at DESC
   LIMIT 2 * $2::bigint
)
SELECT k.merchant_id, CASE WHEN k.name = '' THEN 'a key without a resource' ELSE k.name END AS name
  FROM answered k
 WHERE k.id IS NULL
    OR position(convert_to(k.name, 'UTF8') IN k.response_body) = 0
    OR NOT CASE k.response_status
      WHEN 200 THEN position('"status":"captured"'::bytea IN k.response_body) > 0 AND EXISTS (
        SELECT FROM payment_attempts t
         WHERE t.payment_id = k.id AND t.merchant_id = k.merchant_id AND t.status = 'succeeded'
           AND position(convert_to(t.provider_charge_id, 'UTF8') IN k.response_body) > 0)
      WHEN 402 THEN position('"status":"declined"'::bytea IN k.response_body) > 0 AND EXISTS (
        SELECT FROM payment_attempts t
         WHERE t.payment_id = k.id AND t.merchant_id = k.merchant_id AND t.status IN ('declined', 'abandoned'))
      ELSE EXISTS (SELECT FROM orders o WHERE o.id = k.id AND o.merchant_id = k.merchant_id)
    END`

// A transaction without entries is not balanced, it is nothing.
const ledgerZeroSQL = `
SELECT s.merchant_id, s.name
  FROM seen s
  JOIN ledger_transactions t ON t.payment_id = s.id
  LEFT JOIN ledger_entries e ON e.transaction_id = t.id
 GROUP BY s.merchant_id, s.name, t.id, e.currency
HAVING coalesce(sum(e.amount_minor), 1) <> 0
UNION
SELECT a.merchant_id, 'book of mer_' || replace(a.merchant_id::text, '-', '') || ' in ' || e.currency
  FROM ledger_accounts a
  JOIN ledger_entries e ON e.account_id = a.id
 WHERE $1::uuid IS NULL OR a.merchant_id = $1::uuid
 GROUP BY a.merchant_id, e.currency
HAVING sum(e.amount_minor) <> 0`

// The second half finds bookings for payments that do not exist. They hang on
// the merchant's accounts; in the short look at everybody they are left out.
const ledgerOnceSQL = `
SELECT s.merchant_id, s.name
  FROM seen s
  LEFT JOIN ledger_transactions t ON t.payment_id = s.id AND t.kind = 'capture'
 WHERE NOT s.young
 GROUP BY s.merchant_id, s.name, s.status
HAVING count(t.id) <> CASE WHEN s.status IN ('captured', 'partially_refunded', 'refunded') THEN 1 ELSE 0 END
UNION
SELECT a.merchant_id, 'pay_' || replace(t.payment_id::text, '-', '')
  FROM ledger_accounts a
  JOIN ledger_entries e ON e.account_id = a.id
  JOIN ledger_transactions t ON t.id = e.transaction_id
 WHERE (a.merchant_id = $1::uuid OR ($1::uuid IS NULL AND $2::bigint IS NULL))
   AND t.kind = 'capture'
   AND NOT EXISTS (SELECT FROM payments p WHERE p.id = t.payment_id AND p.merchant_id = t.merchant_id)
UNION
-- A refund that went through is settled, one that did not has its hold released,
-- if it had one, also when a person decided so.
SELECT s.merchant_id, booked.name
  FROM seen s
  JOIN refunds r ON r.payment_id = s.id AND r.status <> 'pending' AND r.provider_refund_id IS NULL
 CROSS JOIN LATERAL (
   SELECT 'ref_' || replace(r.id::text, '-', '') AS name
 ) AS booked
 CROSS JOIN LATERAL (
   SELECT count(*) FILTER (WHERE t.kind = 'refund_hold') AS held, count(*) FILTER (WHERE t.kind = 'refund_settle') AS settled,
          count(*) FILTER (WHERE t.kind = 'refund_release') AS released
     FROM ledger_transactions t
    WHERE t.payment_id = s.id AND t.business_key IN ('refund_hold:' || booked.name, 'refund_settle:' || booked.name, 'refund_release:' || booked.name)
 ) AS n
 WHERE NOT s.young
   AND NOT CASE r.status WHEN 'succeeded' THEN n.held = 1 AND n.settled = 1 AND n.released = 0 ELSE n.settled = 0 AND n.held = n.released END
UNION
-- A refund that was made at the provider is booked once, in its amount.
SELECT s.merchant_id, 'ref_' || replace(r.id::text, '-', '')
  FROM seen s
  JOIN refunds r ON r.payment_id = s.id AND r.provider_refund_id IS NOT NULL
 WHERE NOT s.young
   AND r.amount_minor <> coalesce((
     SELECT -sum(e.amount_minor) FROM ledger_transactions t
       JOIN ledger_entries e ON e.transaction_id = t.id JOIN ledger_accounts a ON a.id = e.account_id AND a.code = 'provider_clearing'
      WHERE t.payment_id = s.id AND t.kind = 'refund_external' AND t.business_key = 'refund_external:ref_' || replace(r.id::text, '-', '')), 0)
UNION
-- Nothing is booked for one that is not there.
SELECT s.merchant_id, s.name
  FROM seen s
  JOIN ledger_transactions t ON t.payment_id = s.id AND t.kind IN ('refund_hold', 'refund_settle', 'refund_release', 'refund_external')
 WHERE NOT EXISTS (SELECT FROM refunds r WHERE r.payment_id = s.id AND (r.provider_refund_id IS NOT NULL) = (t.kind = 'refund_external')
                      AND t.business_key = t.kind || ':ref_' || replace(r.id::text, '-', ''))
UNION
-- And nothing is held once every refund has ended: a hold went or came back whole.
SELECT s.merchant_id, s.name
  FROM seen s
  JOIN ledger_transactions t ON t.payment_id = s.id
  JOIN ledger_entries e ON e.transaction_id = t.id
  JOIN ledger_accounts a ON a.id = e.account_id AND a.code = 'refunds_held'
 WHERE NOT s.young AND NOT EXISTS (SELECT FROM refunds r WHERE r.payment_id = s.id AND r.status = 'pending')
 GROUP BY s.merchant_id, s.name
HAVING sum(e.amount_minor) <> 0`

// Lines and seats are counted from 1. A seat that is owed and a ticket that is
// there must meet, seat by seat: equal numbers could hide one too many of one
// line and one too few of another.
const ticketsOnceSQL = `, owed AS (
  SELECT s.order_id, item.line, number
    FROM seen s
    JOIN orders o ON o.id = s.order_id
   CROSS JOIN jsonb_array_elements(o.items) WITH ORDINALITY AS item (body, line)
   CROSS JOIN generate_series(1, (item.body ->> 'quantity')::integer) AS number
   WHERE s.status IN ('captured', 'partially_refunded', 'refunded')
), there AS (
  SELECT t.order_id, t.line, t.number FROM seen s JOIN tickets t ON t.order_id = s.order_id
)
SELECT DISTINCT s.merchant_id, 'ord_' || replace(s.order_id::text, '-', '') AS name
  FROM owed FULL JOIN there USING (order_id, line, number)
  JOIN seen s USING (order_id)
 WHERE (owed.line IS NULL OR there.line IS NULL) AND NOT s.young
UNION
-- Nothing paid is left, so no ticket opens the door; one that did before has its
-- alert, for that cannot be taken back. Something is left, so no ticket is void,
-- except by a refund that is under way.
SELECT s.merchant_id, 'ord_' || replace(s.order_id::text, '-', '')
  FROM seen s
  JOIN tickets t ON t.order_id = s.order_id
 CROSS JOIN LATERAL (SELECT s.status = 'refunded' OR s.refunded_minor >= s.amount_minor AS nothing_paid) AS money
 WHERE NOT s.young
   AND CASE t.status
         WHEN 'issued' THEN money.nothing_paid
         WHEN 'used' THEN money.nothing_paid AND NOT EXISTS (
           SELECT FROM alerts a WHERE a.kind = 'ticket_used' AND a.subject = 'ord_' || replace(s.order_id::text, '-', ''))
         ELSE NOT money.nothing_paid AND NOT EXISTS (
           SELECT FROM refunds r JOIN refund_reservations v ON v.refund_id = r.id
            WHERE r.id = t.voided_by AND r.payment_id = s.id AND v.state = 'reserved')
       END`

const outboxDrainedSQL = `
SELECT e.merchant_id, 'evt_' || replace(e.event_id::text, '-', '') AS name
  FROM outbox_events e
 WHERE e.published_at IS NULL AND ($1::uuid IS NULL OR e.merchant_id = $1::uuid)
   AND e.created_at < clock_timestamp() - least(10, $3::float8) * interval '1 second'`

// A delivery that failed walks through the retry schedule before it is applied
// or dead, 19 s in a demo; hence the whole grace and not a moment. A reply that
// its saga never got shows as a saga that does not settle.
//
// Both steps are read whole before what was not applied is looked for. The planner
// takes that for one row, and would compare each of what a broker lost with each
// payment: the more is lost, the less could the audit be read.
var inboxCompleteSQL = `, aggregates AS MATERIALIZED (
  SELECT s.merchant_id, s.id FROM seen s
  UNION ALL
  SELECT s.merchant_id, s.order_id FROM seen s
  UNION ALL
  SELECT s.merchant_id, r.id FROM seen s JOIN refunds r ON r.payment_id = s.id
  UNION ALL
  SELECT s.merchant_id, g.id FROM seen s JOIN sagas g ON g.correlation_id = s.id
), published AS MATERIALIZED (
  SELECT a.merchant_id, e.event_id, e.aggregate_id, e.type, e.destination, e.past_window
    FROM aggregates a
    JOIN outbox_events e ON e.aggregate_id = a.id
   WHERE e.published_at < clock_timestamp() - $3::float8 * interval '1 second'
)
SELECT e.merchant_id, 'evt_' || replace(e.event_id::text, '-', '') || ' at ' || b.consumer AS name
  FROM published e
  JOIN (VALUES ` + delivery.Bindings() + `) AS b (consumer, type) ON b.type = e.type AND b.consumer = coalesce(e.destination, b.consumer)
 WHERE ` + delivery.NotApplied("$3::float8")

// Each finished attempt is a state change that promises an event, and
// payments.version counts those. An order begins with its own event; that it
// has tickets is the second. A refund has one when it is asked for and one when it
// ends, a saga one for each command. Replays (they name a destination) are rows about
// an old event. Aggregates older than the outbox's memory are left out.
const noLostEventSQL = `, promised AS (
  SELECT s.merchant_id, s.name, s.id AS aggregate_id, s.version AS counted,
         (SELECT count(*) FROM payment_attempts t
           WHERE t.payment_id = s.id AND t.status IN ('succeeded', 'declined', 'abandoned')) AS happened
    FROM seen s WHERE s.created_at > clock_timestamp() - interval '7 days'
  UNION ALL
  SELECT o.merchant_id, 'ord_' || replace(o.id::text, '-', ''), o.id, o.version,
         CASE WHEN EXISTS (SELECT FROM tickets t WHERE t.order_id = o.id) THEN 2 ELSE 1 END
    FROM seen s JOIN orders o ON o.id = s.order_id
   WHERE o.created_at > clock_timestamp() - interval '7 days'
  UNION ALL
  SELECT r.merchant_id, 'ref_' || replace(r.id::text, '-', ''), r.id, 1,
         CASE WHEN r.status = 'pending' OR r.provider_refund_id IS NOT NULL THEN 1 ELSE 2 END
    FROM seen s JOIN refunds r ON r.payment_id = s.id
   WHERE r.created_at > clock_timestamp() - interval '7 days'
  UNION ALL
  SELECT g.merchant_id, 'saga_' || replace(g.id::text, '-', ''), g.id, g.sent,
         (SELECT coalesce(sum(h.attempts), 0) FROM saga_steps h WHERE h.saga_id = g.id)
    FROM seen s JOIN sagas g ON g.correlation_id = s.id
   WHERE g.sent > 0 AND g.created_at > clock_timestamp() - interval '7 days'
)
SELECT p.merchant_id, p.name
  FROM promised p
  -- Joined and not looked up one by one: for a visitor's few the planner goes
  -- through the index, for an operator's all it reads the outbox once.
  LEFT JOIN (
    SELECT e.aggregate_id, count(*) AS n, count(DISTINCT e.aggregate_version) AS numbers,
           max(e.aggregate_version) AS last, min(e.aggregate_version) AS first
      FROM outbox_events e JOIN promised w ON w.aggregate_id = e.aggregate_id
     WHERE e.destination IS NULL
     GROUP BY e.aggregate_id
  ) AS found ON found.aggregate_id = p.aggregate_id
 WHERE coalesce(found.n, 0) <> greatest(p.counted, p.happened)
    OR found.numbers <> found.n OR found.last <> found.n OR found.first <> 1`
