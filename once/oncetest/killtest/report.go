package killtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report is what came of it.
type Report struct {
	// Met are the moments at which something was done to the subject.
	Met []string
	// Missed are those that did not come again.
	Missed []string
	// Failures are the moments after which an effect was not there once.
	Failures []Failure
	// Commits are those of one activity, in their order.
	Commits []string
	// Findings are what a reviewer would ask about, with its evidence. They fail nothing.
	Findings []string
}

// Failure is a moment after which the effects were wrong.
type Failure struct {
	Where   string
	Effects map[string]int
	Trouble string // instead of effects
}

// String says it in one line.
func (f Failure) String() string {
	if f.Trouble != "" {
		return f.Where + ": " + f.Trouble
	}
	said := make([]string, 0, len(f.Effects))
	for _, name := range slices.Sorted(maps.Keys(f.Effects)) {
		said = append(said, fmt.Sprintf("%s %d times", name, f.Effects[name]))
	}
	return f.Where + ": " + strings.Join(said, ", ")
}

// String is the report as a table for people.
func (r Report) String() string {
	var b strings.Builder
	list := func(title string, lines []string) {
		fmt.Fprintf(&b, "%s: %d\n", title, len(lines))
		for _, line := range lines {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	failed := make([]string, len(r.Failures))
	for i, f := range r.Failures {
		failed[i] = f.String()
	}
	list("met", r.Met)
	list("did not come again", r.Missed)
	list("effects not there once", failed)
	list("commits of one activity", r.Commits)
	list("findings", r.Findings)
	return b.String()
}
