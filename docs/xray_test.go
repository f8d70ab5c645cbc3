package docs_test

import (
	"regexp"
	"testing"
)

// codeTable is where the page says which function does what its picture shows.
const codeTable = "web/src/model/code.ts"

// codeEntry is one line of it: a file and a name that it declares.
var codeEntry = regexp.MustCompile(`(?s)file: '([^']+)',\s*name: '([^']+)'`)

func TestEveryFunctionThatTheXRayNamesExists(t *testing.T) {
	t.Parallel()
	entries := codeEntry.FindAllStringSubmatch(read(t, codeTable), -1)
	if len(entries) < 11 {
		t.Fatalf("%d functions in %s; there are 11 nodes", len(entries), codeTable)
	}
	for _, entry := range entries {
		if file, name := entry[1], entry[2]; !declares(file, name) {
			t.Errorf("%s names %s in %s, which does not declare it", codeTable, name, file)
		}
	}
}
