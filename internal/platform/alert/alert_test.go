package alert_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/alert"
	"payonce/internal/platform/postgres"
)

var kind = alert.Kind{Name: "provider_amount"}

func run(t *testing.T, db *postgres.DB, f func(tx postgres.Tx) error) {
	t.Helper()
	require.NoError(t, postgres.InTx(t.Context(), db, f))
}

// What was said years ago about other objects costs a booking nothing: its question
// reads an index, whichever alerts there are.
func TestAnAlertAboutAnObjectIsFoundByAnIndexAmongTwentyThousandThatAreOver(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	run(t, db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), `
INSERT INTO alerts (id, kind, subject, facts, state, resolved_at)
SELECT uuid_v7(g), 'provider_amount', g::text, jsonb_build_object('object', 'ch_' || g, 'amount_minor', 1, 'currency', 'EUR'), 'resolved', now()
  FROM generate_series(1, 20000) AS g`)
		return err
	})
	run(t, db, func(tx postgres.Tx) error {
		return kind.Raise(t.Context(), tx, uuid.Nil, "open", alert.Money{Object: "ch_open"})
	})
	for object, want := range map[string]bool{"ch_1": true, "ch_20000": true, "ch_open": true, "ch_0": false, "": false} {
		run(t, db, func(tx postgres.Tx) error {
			named, err := alert.Names(t.Context(), tx, object)
			require.Equal(t, want, named, object)
			return err
		})
	}
	run(t, db, func(tx postgres.Tx) error { _, err := tx.Exec(t.Context(), `ANALYZE alerts`); return err })
	var scans []string
	run(t, db, func(tx postgres.Tx) error { return planOf(t, tx, &scans) })
	require.NotContains(t, strings.Join(scans, ", "), "Seq Scan")
}

// planOf collects the kinds of the nodes of the question's plan, prepared as the driver
// does, for an object that is not known yet.
func planOf(t *testing.T, tx postgres.Tx, nodes *[]string) error {
	t.Helper()
	if _, err := tx.Exec(t.Context(), `SELECT set_config('plan_cache_mode', 'force_generic_plan', true)`); err != nil {
		return err
	}
	if _, err := tx.Exec(t.Context(), `PREPARE asked AS `+alert.NamesSQL); err != nil {
		return err
	}
	var text string
	if err := tx.Get(t.Context(), &text, `EXPLAIN (FORMAT JSON) EXECUTE asked('ch_none')`); err != nil {
		return err
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		return err
	}
	plans[0].Plan.collect(nodes)
	return nil
}

type node struct {
	Type  string `json:"Node Type"`
	Index string `json:"Index Name"`
	Plans []node
}

func (n node) collect(into *[]string) {
	*into = append(*into, n.Type+" "+n.Index)
	for _, below := range n.Plans {
		below.collect(into)
	}
}
