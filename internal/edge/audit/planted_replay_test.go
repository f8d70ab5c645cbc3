package audit_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An event that the inbox has forgotten leaves no inbox row when a person has it
// applied; what says so is the replay that went past the window.
func TestAnEventThatAPersonHadAppliedByItsBusinessKeyIsNotMissing(t *testing.T) {
	t.Parallel()
	h := open(t)
	s := h.sell(h.merchant)
	missing := func() []string {
		report, err := h.impatient().CheckAll(t.Context())
		require.NoError(t, err)
		return red(report)["inbox_complete"]
	}
	require.Empty(t, missing())
	id := h.event(s, "payment.captured")
	h.exec(`DELETE FROM consumer_inbox WHERE consumer = 'ledger' AND event_id = $1`, id)
	require.Len(t, missing(), 1)
	again := func(destination string, past, published bool) {
		h.exec(`DELETE FROM outbox_events WHERE destination IS NOT NULL`)
		h.exec(`INSERT INTO outbox_events (row_id, event_id, destination, merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version,
				type, payload, partition_no, past_window, published_at)
			SELECT uuid_v7(), event_id, $2, merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, $3,
				CASE WHEN $4 THEN clock_timestamp() END
			  FROM outbox_events WHERE row_id = $1`, id, destination, past, published)
	}
	again("ledger", true, true)
	require.Empty(t, missing())
	again("tickets", true, true)
	require.Len(t, missing(), 1, "another consumer's")
	again("ledger", true, false)
	require.NotEmpty(t, missing(), "it has not left yet")
	again("ledger", false, true)
	require.NotEmpty(t, missing(), "an ordinary replay, which the inbox would know")
}
