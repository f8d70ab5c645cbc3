package arch

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// A room is the one place for something that the standard library offers to all:
// words of some packages that no file elsewhere may use, but for a list of
// exceptions with a reason each.
type room struct {
	dirs       []string            // the room and what lies below it
	words      map[string][]string // by import path
	exceptions map[string]string   // file to reason
	list       string              // the file that holds the exceptions
	detail     string              // what a violation says; %s is the word
}

// check returns each use outside. An exception that is needed no more is a
// violation too: the list says what is.
func (r room) check(tree Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		if slices.ContainsFunc(r.dirs, func(dir string) bool { return under(file.Dir(), dir) }) {
			continue
		}
		if used := r.usedIn(file); r.exceptions[file.Path] == "" {
			found = append(found, used...)
		} else if len(used) == 0 {
			found = append(found, Violation{Path: file.Path, Line: 1, Detail: "needs no exception any more; take it off the list in " + r.list})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.exceptions)) {
		if tree[name] == nil {
			found = append(found, Violation{Path: name, Detail: "there is no such file; take it off the list in " + r.list})
		}
	}
	return found
}

// usedIn lists the words that a file uses.
func (r room) usedIn(file *File) []Violation {
	var found []Violation
	for _, each := range file.imports {
		words := r.words[each.path]
		name := each.as
		switch {
		case words == nil:
			continue
		case name == "":
			name = path.Base(each.path)
		case name == ".":
			found = append(found, Violation{Path: file.Path, Line: each.line, Detail: each.path + " without its name hides who uses it"})
		}
		for _, used := range file.qualified {
			if word, of := strings.CutPrefix(used.text, name+"."); of && slices.Contains(words, word) {
				found = append(found, Violation{Path: file.Path, Line: used.line, Detail: fmt.Sprintf(r.detail, path.Base(each.path)+"."+word)})
			}
		}
	}
	return found
}
