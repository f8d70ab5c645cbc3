package audit_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/audit"
)

//go:generate go test -count=1 -run ^TestTheTableOfPlantedFaultsIsThePresentOne$ . -write

var write = flag.Bool("write", false, "write the table of planted faults instead of comparing it")

// The table stands between these lines of the page.
const (
	page  = "../../../docs/invariants.md"
	begin = "<!-- faults: make generate writes this table -->\n"
	end   = "<!-- end of faults -->\n"
)

func TestTheTableOfPlantedFaultsIsThePresentOne(t *testing.T) {
	t.Parallel()
	old, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, opened := strings.Cut(string(old), begin)
	_, after, closed := strings.Cut(rest, end)
	require.True(t, opened && closed, "the page has no place for the table")
	now := before + begin + table() + "\n" + end + after
	if *write {
		require.NoError(t, os.WriteFile(page, []byte(now), 0o644))
		return
	}
	require.Equal(t, now, string(old), "run make generate")
}

// table is the list of faults as Markdown: one table for each state.
func table() string {
	var text strings.Builder
	ids := audit.IDs()
	for _, state := range faults {
		fmt.Fprintf(&text, "\n### %s\n\n| planted |", state.in)
		for _, id := range ids {
			fmt.Fprintf(&text, " `%s` |", id)
		}
		text.WriteString("\n|---|" + strings.Repeat(":-:|", len(ids)) + "\n")
		for _, f := range state.faults {
			fmt.Fprintf(&text, "| %s |", f.what)
			for _, id := range ids {
				mark := ""
				if slices.Contains(f.red, id) {
					mark = "red"
				}
				fmt.Fprintf(&text, " %s |", mark)
			}
			text.WriteString("\n")
		}
	}
	return text.String()
}

func TestEachInvariantHasAFaultThatItAloneSeesAndEachFaultStandsOnce(t *testing.T) {
	t.Parallel()
	alone, seen := map[string]int{}, map[string]bool{}
	for _, state := range faults {
		for _, f := range state.faults {
			require.False(t, seen[state.in+f.what], f.what)
			seen[state.in+f.what] = true
			require.Subset(t, audit.IDs(), f.red, f.what)
			if len(f.red) == 1 {
				alone[f.red[0]]++
			}
		}
	}
	for _, id := range audit.IDs() {
		require.Positive(t, alone[id], id)
	}
	require.Len(t, audit.IDs(), 13)
}
