package alerts

import (
	"fmt"
	"strings"
)

//go:generate go run ./cmd/table ../../../docs/production.md

// The table stands between these lines of the page.
const (
	begin = "<!-- alerts: make generate writes this table -->\n"
	end   = "<!-- end of alerts -->\n"
)

// Table is the list of kinds as Markdown.
func Table() string {
	var t strings.Builder
	t.WriteString("| kind | means | do | what ends it |\n|---|---|---|---|\n")
	for _, k := range Kinds() {
		fmt.Fprintf(&t, "| `%s` | %s | %s | %s |\n", k.Name, k.Means, k.Remedy, k.EndedBy())
	}
	return t.String()
}

// Write returns the page with the present table.
func Write(page string) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("the page has no place for the table of alerts: it begins with %q and ends with %q", begin, end)
	}
	return before + begin + "\n" + Table() + "\n" + end + after, nil
}
