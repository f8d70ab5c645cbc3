package docs_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A word is one row of the glossary's list of words not to use.
type word struct {
	text string
	left int
}

var unwanted = regexp.MustCompile("(?m)^\\| `([a-z ]+)` \\| [^|]+ \\| (\\d+) \\|$")

func wordsNotToUse(glossary string) []word {
	var words []word
	for _, match := range unwanted.FindAllStringSubmatch(glossary, -1) {
		left, _ := strconv.Atoi(match[2]) // digits, as the pattern says
		words = append(words, word{match[1], left})
	}
	return words
}

// usage lists where a word stands in a text.
func usage(w, text string) []int {
	var lines []int
	for i, line := range strings.Split(text, "\n") {
		for range regexp.MustCompile(`(?i)\b`+w+`\b`).FindAllString(line, -1) {
			lines = append(lines, i+1)
		}
	}
	return lines
}

// written says whether a file's words are chosen by a person.
func written(name string) bool {
	switch {
	case name == "docs/glossary.md", strings.HasSuffix(name, ".gen.go"), strings.HasSuffix(name, "schema.ts"):
		return false
	case name == "Makefile", path.Dir(name) == "scripts":
		return true
	}
	return slices.Contains([]string{".go", ".md", ".sql", ".svelte", ".ts", ".yaml", ".yml"}, path.Ext(name))
}

func TestTheWordsNotToUseOnlyBecomeFewer(t *testing.T) {
	t.Parallel()
	words := wordsNotToUse(read(t, "docs/glossary.md"))
	if len(words) < 5 {
		t.Fatalf("the glossary's list is not read: %v", words)
	}
	places := map[string][]string{}
	walk(t, func(name string) {
		if !written(name) {
			return
		}
		text := read(t, name)
		for _, w := range words {
			for _, line := range usage(w.text, text) {
				places[w.text] = append(places[w.text], fmt.Sprintf("%s:%d", name, line))
			}
		}
	})
	for _, w := range words {
		switch n := len(places[w.text]); {
		case n > w.left:
			t.Errorf("%q stands %d times, %d are allowed; write what docs/glossary.md says instead. One of: %v", w.text, n, w.left, places[w.text][:min(n, 40)])
		case n < w.left:
			t.Errorf("%q stands %d times only: write %d into docs/glossary.md, so that it stays so", w.text, n, n)
		}
	}
}

func TestAWordIsFoundWhole(t *testing.T) {
	t.Parallel()
	if got := usage("told", "Told twice: told.\nuntold\n// retold, told42\nbeing told"); !slices.Equal(got, []int{1, 1, 4}) {
		t.Errorf("%v", got)
	}
}
