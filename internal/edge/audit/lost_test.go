package audit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/audit"
)

// The audit is wanted most when a broker has lost much, so what it costs must not
// grow with what is lost times what is sold.
func TestTheAuditIsReadAlsoWhenABrokerLostSixHundredPaymentsEvents(t *testing.T) {
	t.Parallel()
	h := open(t)
	const lost = 600
	h.exec(`
INSERT INTO payments (id, merchant_id, order_id, status, amount_minor, currency)
SELECT uuid_v7(), $1, gen_random_uuid(), 'requires_capture', 8400, 'EUR' FROM generate_series(1, $2)`, h.merchant, lost)
	h.exec(`
INSERT INTO outbox_events (row_id, event_id, merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, published_at)
SELECT e.id, e.id, p.merchant_id, p.id, 'payment', p.id, 1, 'payment.captured', '', 0, clock_timestamp()
  FROM payments p, LATERAL (SELECT p.id AS of, uuid_v7() AS id) AS e`)
	h.exec(`ANALYZE`)
	report, err := h.impatient().CheckAll(t.Context())
	require.NoError(t, err)
	require.Len(t, invariant(t, report, "inbox_complete").Violations, audit.MaxViolations)
	report, err = h.impatient().Check(t.Context(), h.merchant)
	require.NoError(t, err)
	require.Len(t, invariant(t, report, "inbox_complete").Violations, audit.MaxViolations)
}
