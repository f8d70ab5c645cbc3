package arch

import (
	"fmt"
	"go/build/constraint"
	"path"
	"slices"
	"strings"
)

// checkFloors refuses an import that climbs, and a package that stands
// nowhere. What is in the laboratory is judged by checkLab.
func checkFloors(tree Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		if floorOf(file.Dir()) == nowhere {
			found = append(found, Violation{Path: file.Path, Line: 1,
				Detail: "this folder is on no floor of the house; see the list in internal/arch/doc.go"})
		}
	}
	return append(found, checkImports(tree, func(file *File, i imported) string {
		dir, ok := i.ours()
		from, to := floorOf(file.Dir()), floorOf(dir)
		switch {
		case !ok || from == nowhere || to == lab || dir == file.Dir():
			return "" // the last is an external test of the package itself
		case slices.Contains(below[from], to):
			return ""
		case to == nowhere:
			return fmt.Sprintf("%s is on no floor of the house", dir)
		}
		return fmt.Sprintf("%s imports %s, which is not below it; declare an interface here and let cmd wire it", from, dir)
	})...)
}

// checkSiblings keeps the parts of the shop apart, and the patterns too, but
// for the few that stand on each other.
func checkSiblings(tree Tree) []Violation {
	return checkImports(tree, func(file *File, i imported) string {
		dir, ok := i.ours()
		from := floorOf(file.Dir())
		if !ok || from != floorOf(dir) || siblings(from, file.Dir(), dir) {
			return ""
		}
		return fmt.Sprintf("%s imports its sibling %s; siblings meet in a contract, in an event, or in cmd", unitOf(file.Dir()), dir)
	})
}

// checkAdapter lets only wiring, the laboratory and tests choose a provider.
func checkAdapter(tree Tree) []Violation {
	return checkImports(tree, func(file *File, i imported) string {
		dir, ok := i.ours()
		from := floorOf(file.Dir())
		switch {
		case !ok || !strings.HasPrefix(dir, adapter) || isSuite(dir):
			return ""
		case from == command, from == lab, file.IsTest(), strings.HasPrefix(file.Dir(), adapter):
			return ""
		}
		return fmt.Sprintf("%s is an adapter; depend on internal/shop/provider and let cmd hand the adapter in", dir)
	})
}

// teachers are the commands that belong to the laboratory as a whole.
var teachers = []string{"cmd/simulator", "cmd/demo", "cmd/payonce"}

// checkLab keeps the teaching side out of every floor and out of every
// production binary: cmd reaches it through lab.go alone, which the compiler
// does not see without the tag.
func checkLab(tree Tree) []Violation {
	return checkImports(tree, func(file *File, i imported) string {
		dir, ok := i.ours()
		from := floorOf(file.Dir())
		switch {
		case !ok || floorOf(dir) != lab:
			return ""
		case from == lab, from == measure, file.IsTest(), slices.Contains(teachers, file.Dir()):
			return ""
		case from != command:
			return fmt.Sprintf("%s imports the laboratory (%s); no floor does", from, dir)
		case path.Base(file.Path) != "lab.go":
			return fmt.Sprintf("only lab.go imports the laboratory here (%s)", dir)
		case !onlyInLabBuilds(file):
			return "lab.go needs the constraint //go:build lab, or production binaries hold the laboratory"
		}
		return ""
	})
}

// onlyInLabBuilds says whether the file is never compiled without the tag lab,
// whatever the other tags are.
func onlyInLabBuilds(file *File) bool {
	for _, group := range file.AST.Comments {
		if group.Pos() > file.AST.Package {
			break
		}
		for _, comment := range group.List {
			expr, err := constraint.Parse(comment.Text)
			if err == nil && !possibleWithoutLab(expr) {
				return true
			}
		}
	}
	return false
}

// possibleWithoutLab tries every combination of the other tags: a constraint
// holds a handful of them.
func possibleWithoutLab(expr constraint.Expr) bool {
	var others []string
	expr.Eval(func(tag string) bool { // Eval asks for every tag, also where it knows already
		others = append(others, tag)
		return true
	})
	for set := range 1 << len(others) {
		if expr.Eval(func(tag string) bool { return tag != "lab" && set>>slices.Index(others, tag)&1 == 1 }) {
			return true
		}
	}
	return false
}

// checkTexts keeps the folders of documents and manifests free of code that
// could be built into something.
func checkTexts(tree Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		if floorOf(file.Dir()) == texts && !file.IsTest() {
			found = append(found, Violation{Path: file.Path, Line: 1,
				Detail: "only _test.go files live beside documents and manifests"})
		}
	}
	return found
}
