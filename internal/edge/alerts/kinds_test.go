package alerts_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/alerts"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/alert"
)

// TestTheTableOfAlertsTakesTheListedKindsAndNoOther compares the list with the
// CHECK: a kind that only one of them knows could not be raised, or not be read.
func TestTheTableOfAlertsTakesTheListedKindsAndNoOther(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	var check string
	require.NoError(t, db.Get(t.Context(), &check, `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'alerts_kind'`))
	var taken []string
	for _, m := range regexp.MustCompile(`'([a-z_]+)'::text`).FindAllStringSubmatch(check, -1) {
		taken = append(taken, m[1])
	}
	slices.Sort(taken)
	require.Equal(t, taken, names(alerts.Kinds()))
}

func TestEachKindSaysWhatItMeansWhatToDoAndWhatEndsIt(t *testing.T) {
	t.Parallel()
	list := names(alerts.Kinds())
	require.Equal(t, slices.Compact(slices.Clone(list)), list, "a kind is listed once")
	for _, k := range alerts.Kinds() {
		require.NotContains(t, []string{k.Means, k.Remedy, k.EndedBy()}, "", k.Name)
	}
}

// TestEachKindThatIsDeclaredIsListed reads the sources: a kind that is raised and
// not listed would have no row in the documentation.
func TestEachKindThatIsDeclaredIsListed(t *testing.T) {
	t.Parallel()
	var declared []string
	for _, dir := range []string{"../../shop", "../../edge", "../../../once"} {
		declared = append(declared, kindsIn(t, dir)...)
	}
	// The shop's calls are its attempts, whose alerts are the provider's.
	declared = slices.DeleteFunc(declared, func(kind string) bool { return strings.HasPrefix(kind, "call_") })
	slices.Sort(declared)
	require.Equal(t, declared, names(alerts.Kinds()))
}

func TestThePagesKnowEachKind(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/production.md")
	require.NoError(t, err)
	now, err := alerts.Write(string(page))
	require.NoError(t, err)
	require.Equal(t, now, string(page), "run make generate")
	words, err := os.ReadFile("../../../web/src/model/alert.ts")
	require.NoError(t, err)
	for _, k := range alerts.Kinds() {
		require.Contains(t, string(words), "  "+k.Name+": ", "the page has no words for it")
	}
}

func names(kinds []alert.Kind) []string {
	list := make([]string, 0, len(kinds))
	for _, k := range kinds {
		list = append(list, k.Name)
	}
	slices.Sort(list)
	return list
}
