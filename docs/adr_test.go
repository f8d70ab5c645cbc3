package docs_test

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
)

// A record says what was decided and, under Confirmation, what keeps it true:
// a test by name, or a link to the code that would not compile otherwise.
func TestEveryDecisionRecordIsCompleteNumberedAndListed(t *testing.T) {
	t.Parallel()
	records, err := fs.Glob(repository, "docs/adr/[0-9]*.md")
	if err != nil || len(records) == 0 {
		t.Fatalf("found %d records: %v", len(records), err)
	}
	index := read(t, "docs/adr/README.md")
	for i, name := range records {
		if number := fmt.Sprintf("%04d-", i+1); !strings.HasPrefix(path.Base(name), number) {
			t.Errorf("%s: the number after the record before it is %s", name, number)
		}
		if !strings.Contains(index, "("+path.Base(name)+")") {
			t.Errorf("%s is not listed in docs/adr/README.md", name)
		}
		text := read(t, name)
		for _, part := range []string{"Context", "Decision", "Consequences", "Confirmation"} {
			if section(text, part) == "" {
				t.Errorf("%s has nothing under %q", name, part)
			}
		}
		if confirmation := section(text, "Confirmation"); !test.MatchString(confirmation) && !link.MatchString(confirmation) {
			t.Errorf("%s: the confirmation names no test and links no code", name)
		}
	}
}

func section(text, title string) string {
	_, after, found := strings.Cut(text, "\n## "+title+"\n")
	if !found {
		return ""
	}
	body, _, _ := strings.Cut(after, "\n## ")
	return strings.TrimSpace(body)
}

var guarantee = regexp.MustCompile(`(?m)^\| \d+ \|.*$`)

// A row of the table of guarantees is a promise: it names its code and its
// test, or it does not stand there.
func TestEveryGuaranteeLinksItsCodeAndItsTest(t *testing.T) {
	t.Parallel()
	rows := guarantee.FindAllString(read(t, "docs/guarantees.md"), -1)
	if len(rows) == 0 {
		t.Fatal("docs/guarantees.md has no table")
	}
	for _, row := range rows {
		var code, tests int
		for _, match := range link.FindAllStringSubmatch(row, -1) {
			switch {
			case strings.HasSuffix(match[2], "_test.go"), strings.Contains(match[2], "test/"):
				tests++
			case strings.HasSuffix(match[2], ".go"), strings.HasSuffix(match[2], ".sql"):
				code++
			}
		}
		if code == 0 || tests == 0 {
			t.Errorf("this guarantee links %d files of code and %d of tests: %s", code, tests, row)
		}
	}
}
