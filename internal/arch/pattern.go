package arch

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// business holds the words that a pattern must not know. They are looked for
// anywhere in a word; cents only at its start, because of descents.
var business = regexp.MustCompile(`(?i:payment|refund|ticket|ledger|capture)|(?:^|[^a-zA-Z])(?i:cents)|Cents`)

// checkVocabulary refuses business words in the identifiers, the string
// literals and the SQL of once. Comments may use them: an essay without an
// example convinces nobody.
func checkVocabulary(tree Tree) []Violation {
	var found []Violation
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		file := tree[name]
		if floorOf(file.Dir()) != library {
			continue
		}
		if file.AST == nil {
			found = append(found, wordsInSQL(file)...)
			continue
		}
		for _, each := range slices.Concat(file.identifiers, file.literals) {
			if hit := business.FindString(each.text); hit != "" {
				found = append(found, Violation{Path: name, Line: each.line,
					Detail: fmt.Sprintf("%q is a word of the business; a pattern knows keys, events and effects", hit)})
			}
		}
	}
	return found
}

func wordsInSQL(file *File) []Violation {
	var found []Violation
	for i, line := range strings.Split(file.Src, "\n") {
		statement, _, _ := strings.Cut(line, "--")
		if hit := business.FindString(statement); hit != "" {
			found = append(found, Violation{Path: file.Path, Line: i + 1,
				Detail: fmt.Sprintf("%q is a word of the business; a pattern's tables know none", hit)})
		}
	}
	return found
}

// patterns lists the patterns of the tree by folder.
func patterns(tree Tree) map[string][]*File {
	folders := map[string][]*File{}
	for _, file := range tree.goFiles() {
		if folder, ok := patternOf(file.Dir()); ok {
			folders[folder] = append(folders[folder], file)
		}
	}
	return folders
}

// checkPatternFolders asks each pattern for the parts that make it worth
// copying: an essay, the code, a runnable example and a suite that judges the
// copy.
func checkPatternFolders(tree Tree) []Violation {
	var found []Violation
	missing := func(name, why string) {
		found = append(found, Violation{Path: name, Detail: "missing: " + why})
	}
	for _, folder := range slices.Sorted(maps.Keys(patterns(tree))) {
		each := path.Base(folder)
		if essay := tree[folder+"/doc.go"]; essay == nil || essay.AST.Doc == nil {
			missing(folder+"/doc.go", "the essay: problem, promise, what is not promised, crash table")
		}
		if tree[folder+"/"+each+".go"] == nil {
			missing(folder+"/"+each+".go", "the file a reader opens first")
		}
		if example := tree[folder+"/example_test.go"]; example == nil || !declares(example, "Example") {
			missing(folder+"/example_test.go", "an example that go test runs")
		}
		if !hasSuite(tree, folder+"/"+each+"test") {
			missing(folder+"/"+each+"test", "the conformance suite, with a function Run")
		}
	}
	return found
}

func hasSuite(tree Tree, folder string) bool {
	for _, file := range tree.goFiles() {
		if file.Dir() == folder && !file.IsTest() && declares(file, "Run") {
			return true
		}
	}
	return false
}

// declares says whether the file has a function whose name begins so.
func declares(file *File, prefix string) bool {
	return slices.ContainsFunc(file.AST.Decls, func(decl ast.Decl) bool {
		function, ok := decl.(*ast.FuncDecl)
		return ok && function.Recv == nil && strings.HasPrefix(function.Name.Name, prefix)
	})
}
