package docs_test

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// The first document is read to its end, and its code is a program's that is tested.
func TestTheReadmeIsShortAndItsCodeIsTheMinimalServices(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")
	lines := strings.Split(strings.TrimRight(readme, "\n"), "\n")
	if len(lines) > 150 {
		t.Errorf("README.md has %d lines, not 150", len(lines))
	}
	for i, line := range lines {
		if n := utf8.RuneCountInString(line); n > 120 {
			t.Errorf("README.md:%d has %d characters, not 120", i+1, n)
		}
	}
	_, code, _ := strings.Cut(readme, "```go\n")
	code, _, found := strings.Cut(code, "```")
	if !found || !strings.Contains(flat(read(t, "once/examples/minimal/main.go")), flat(code)) {
		t.Error("README.md's code is not that of once/examples/minimal/main.go")
	}
}

func flat(code string) string { return strings.Join(strings.Fields(code), " ") }
