package onceprom_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"payonce/once/inbox"
	"payonce/once/outbox"
	onceprom "payonce/once/prom"
	"payonce/once/retry"
)

// TestEachPartShowsItsCountsUnderTheNamespace holds the names: dashboards and alarms of
// an adopter are made of them.
func TestEachPartShowsItsCountsUnderTheNamespace(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	onceprom.Relay(registry, "billing", &outbox.Relay{})
	onceprom.Backlog(registry, "billing", &outbox.BacklogGauge{})
	onceprom.Consumer(registry, "billing", "invoices", &inbox.Runner{})
	onceprom.Consumer(registry, "billing", "mailer", &inbox.Runner{})
	onceprom.Letters(registry, "billing", &retry.Collector{})
	families, err := registry.Gather()
	require.NoError(t, err)
	shown := map[string]int{}
	for _, f := range families {
		shown[fmt.Sprintf("%s %s", f.GetName(), f.GetType())] = len(f.GetMetric())
		for _, m := range f.GetMetric() {
			if f.GetName() == "billing_consumer_messages_total" {
				require.Equal(t, []string{"consumer", "outcome"}, []string{m.GetLabel()[0].GetName(), m.GetLabel()[1].GetName()})
			}
		}
	}
	classes := len(retry.Classes)
	require.Equal(t, map[string]int{
		"billing_relay_published_total COUNTER": 1, "billing_relay_marked_total COUNTER": 1, "billing_relay_unroutable_total COUNTER": 1,
		"billing_relay_nacked_total COUNTER": 1, "billing_relay_unconfirmed_total COUNTER": 1,
		"billing_relay_held_aggregates GAUGE": 1, "billing_relay_partitions GAUGE": 1,
		"billing_outbox_unpublished GAUGE": 1, "billing_outbox_oldest_seconds GAUGE": 1,
		"billing_consumer_messages_total COUNTER": 2 * 5, "billing_consumer_returned_total COUNTER": 2, "billing_consumer_failures_total COUNTER": 2 * classes,
		"billing_dead_letters_open GAUGE": 1, "billing_dead_letters_total COUNTER": classes,
	}, shown)
}
