package checkout_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/platform/postgres"
	"payonce/once"
)

// updated are the columns that a capture sets in rows that are there. An index that has one
// of them, also in its condition, would make each capture write all indexes of the table
// anew (docs/performance.md).
var updated = map[string][]string{
	"payments":         {"status", "attempt_no", "decline_code", "version", "provider_charge_id", "captured_at"},
	"orders":           {"status"},
	"idempotency_keys": {"status", "lease_until", "response_status", "response_headers", "response_body", "resource_ref"},
}

func TestNoIndexHasAColumnThatACaptureUpdates(t *testing.T) {
	t.Parallel()
	s := open(t)
	for table, columns := range updated {
		for _, column := range columns {
			require.Zero(t, s.count(`
SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2
 WHERE c.relname = $1 AND (a.attnum = ANY (i.indkey) OR EXISTS (SELECT FROM pg_depend d WHERE d.objid = i.indexrelid AND d.refobjid = c.oid AND d.refobjsubid = a.attnum))`, table, column),
				"an index of %s has %s", table, column)
		}
		require.Equal(t, 1, s.count(`SELECT count(*) FROM pg_class WHERE relname = $1 AND reloptions::text LIKE '%fillfactor%'`, table),
			"%s has no room for the next version of a row", table)
	}
}

// Whatever a statement of ours does, one charge is not two payments'.
func TestAChargeIsOnePayments(t *testing.T) {
	t.Parallel()
	s := open(t)
	var payments []uuid.UUID
	for _, key := range []string{"K", "L"} {
		payment := s.payment()
		r, err := s.capture(payment, key, "tok_ok")
		require.NoError(t, err)
		require.Equal(t, 200, r.Answer.Status)
		payments = append(payments, payment)
	}
	err := postgres.InTx(context.Background(), s.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(context.Background(), `
UPDATE payment_attempts SET provider_charge_id = (SELECT provider_charge_id FROM payments WHERE id = $1) WHERE payment_id = $2`, payments[0], payments[1])
		return err
	})
	require.Equal(t, "23505", once.SQLState(err), "%v", err)
}
