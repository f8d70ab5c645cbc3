package docs_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// forbidden are claims that no system of this kind can keep. A text may still
// name one, to refuse it: then its line, or the one before, says why after the
// word "claim:".
var forbidden = regexp.MustCompile(`(?i)exactly[-\s]+once\s+(delivery|processing|semantics)|never\s+lost|guarantees\s+exactly`) // claim: the list itself

// overclaims lists the forbidden claims of a text, with their lines.
func overclaims(text string) []string {
	var found []string
	lines := strings.Split(text, "\n")
	for _, at := range forbidden.FindAllStringIndex(text, -1) {
		line := strings.Count(text[:at[0]], "\n")
		if !excused(lines, line) && !(line > 0 && excused(lines, line-1)) {
			found = append(found, fmt.Sprintf("%d: %q promises what nobody can keep; say what converges, or why this is said", line+1, text[at[0]:at[1]]))
		}
	}
	return found
}

var reason = regexp.MustCompile(`claim: \S+ \S+`)

func excused(lines []string, line int) bool { return reason.MatchString(lines[line]) }

func TestNobodyPromisesWhatCannotBeKept(t *testing.T) {
	t.Parallel()
	endings := []string{".md", ".go", ".sql", ".yaml", ".yml", ".svelte", ".ts", ".html"}
	walk(t, func(name string) {
		if !slices.ContainsFunc(endings, func(end string) bool { return strings.HasSuffix(name, end) }) {
			return
		}
		for _, claim := range overclaims(read(t, name)) {
			t.Errorf("%s:%s", name, claim)
		}
	})
}

func TestAClaimIsFoundUnlessAReasonStandsBesideIt(t *testing.T) {
	t.Parallel()
	phrase := "exactly-" + "once delivery"
	for text, finds := range map[string]int{
		"We offer " + phrase + ".":                                     1,
		"Events are never\nlost.":                                      1, // claim: a sample for the checker
		"It is " + phrase + ". <!-- claim: quotes a vendor -->":        0,
		"<!-- claim: quotes a vendor -->\nIt is " + phrase + ".":       0,
		"It is " + phrase + ". <!-- claim: -->":                        1,
		"Deliveries are many, effects one: effective-once, by dedupe.": 0,
	} {
		if found := overclaims(text); len(found) != finds {
			t.Errorf("%q: found %q, want %d", text, found, finds)
		}
	}
}
