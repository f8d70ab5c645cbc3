package event_test

import (
	"slices"
	"strings"
	"testing"

	"payonce/internal/shop/event"
)

func TestTheCatalogueDescribesWhatIsReadAndNothingElse(t *testing.T) {
	t.Parallel()
	described := map[string]bool{}
	for _, d := range event.Catalogue {
		if described[d.Type] {
			t.Errorf("%s is described twice", d.Type)
		}
		described[d.Type] = true
		if d.Means == "" || len(d.Readers()) == 0 || !slices.Contains(d.Fields(), "payment_id") && !strings.HasPrefix(d.Type, "provider.") {
			t.Errorf("%s: %q, read by %q, fields %q", d.Type, d.Means, d.Readers(), d.Fields())
		}
	}
	for _, c := range event.Consumers {
		for _, kind := range c.Types {
			reply := strings.HasSuffix(kind, ".done") || strings.HasSuffix(kind, ".failed")
			if command := strings.TrimSuffix(strings.TrimSuffix(kind, ".done"), ".failed"); reply && command != kind && described[command] {
				continue
			}
			if !described[kind] {
				t.Errorf("%s reads %s, which nobody describes", c.Name, kind)
			}
		}
	}
}
