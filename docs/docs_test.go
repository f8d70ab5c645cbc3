// The documents name files, functions and tests. These tests hold them against
// the tree, so that a renamed function turns a sentence red and not a reader.
package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// repository is the tree that the documents talk about.
var repository = os.DirFS("..")

// documents lists every Markdown file of ours.
func documents(t *testing.T) []string {
	t.Helper()
	var found []string
	walk(t, func(name string) {
		if strings.HasSuffix(name, ".md") {
			found = append(found, name)
		}
	})
	if !slices.Contains(found, "README.md") {
		t.Fatal("README.md is not among the documents")
	}
	return found
}

// walk calls visit for every file of ours.
func walk(t *testing.T, visit func(name string)) {
	t.Helper()
	err := fs.WalkDir(repository, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			visit(name)
		case name == "web/dist", path.Base(name) == "node_modules", path.Base(name) == "test-results",
			strings.HasPrefix(path.Base(name), ".") && name != "." && name != ".github":
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	src, err := fs.ReadFile(repository, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

var (
	link    = regexp.MustCompile(`!?\[([^\]]*)\]\(([^)\s]+)\)`)
	source  = regexp.MustCompile(`\b(?:src|srcset)="([^"]+)"`)
	fenced  = regexp.MustCompile("(?s)\n```.*?\n```")
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	// test names a test, example or benchmark in backticks.
	test = regexp.MustCompile("`((?:Test|Example|Benchmark|Fuzz)[A-Z_]\\w*)`")
	// place names a declaration as path:Name in backticks.
	place = regexp.MustCompile("`([\\w./-]+\\.go):([A-Za-z_][\\w.]*)`")
	// named is the text of a link that promises a declaration behind it.
	named = regexp.MustCompile("^`(?:[a-z]\\w*\\.)?([A-Za-z]\\w*(?:\\.[A-Z]\\w*)?)`$")
)

// mistakes lists what a document says that the tree does not.
func mistakes(name, text string) []string {
	text = fenced.ReplaceAllString("\n"+text, "")
	var wrong []string
	for _, match := range link.FindAllStringSubmatch(text, -1) {
		if problem := checkLink(name, match[1], match[2]); problem != "" {
			wrong = append(wrong, problem)
		}
	}
	for _, match := range source.FindAllStringSubmatch(text, -1) {
		if problem := checkLink(name, "", match[1]); problem != "" {
			wrong = append(wrong, problem)
		}
	}
	for _, match := range place.FindAllStringSubmatch(text, -1) {
		if !declares(match[1], match[2]) {
			wrong = append(wrong, fmt.Sprintf("%s declares no %s", match[1], match[2]))
		}
	}
	return wrong
}

// checkLink follows a relative link. A link whose text is code must lead to a
// file that declares it.
func checkLink(document, text, to string) string {
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(to, "#")
	target := path.Join(path.Dir(document), file)
	if file == "" {
		target = document
	}
	if _, err := fs.Stat(repository, target); err != nil {
		return fmt.Sprintf("the link to %s leads nowhere", to)
	}
	switch {
	case strings.HasSuffix(target, ".go") && anchor != "":
		return fmt.Sprintf("the link to %s names a line, which the next edit moves; name the function", to)
	case strings.HasSuffix(target, ".md") && anchor != "" && !hasHeading(target, anchor):
		return fmt.Sprintf("the link to %s names a heading that is not there", to)
	}
	if match := named.FindStringSubmatch(text); match != nil && strings.HasSuffix(target, ".go") && !declares(target, match[1]) {
		return fmt.Sprintf("%s is linked to %s, which does not declare it", text, target)
	}
	return ""
}

func hasHeading(name, anchor string) bool {
	src, err := fs.ReadFile(repository, name)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(heading.FindAllStringSubmatch(string(src), -1), func(match []string) bool {
		return slug(match[1]) == anchor
	})
}

// slug is how GitHub makes an anchor of a heading.
func slug(title string) string {
	title = strings.ToLower(strings.TrimSpace(title))
	title = regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(title, "")
	return strings.ReplaceAll(title, " ", "-")
}

// declares says whether a Go file declares a name: a function, a method
// (Type.Method or Method alone), a type, a constant or a variable.
func declares(name, wanted string) bool {
	src, err := fs.ReadFile(repository, name)
	if err != nil {
		return false
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(declared(file), func(each string) bool {
		_, method, isMethod := strings.Cut(each, ".")
		return each == wanted || isMethod && method == wanted
	})
}

func declared(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			names = append(names, receiver(decl)+decl.Name.Name)
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

func receiver(decl *ast.FuncDecl) string {
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return ""
	}
	of := decl.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

func TestEveryLinkAndEveryNameInTheDocumentsExists(t *testing.T) {
	t.Parallel()
	for _, name := range documents(t) {
		for _, wrong := range mistakes(name, read(t, name)) {
			t.Errorf("%s: %s", name, wrong)
		}
	}
}

func TestEveryTestThatADocumentNamesExists(t *testing.T) {
	t.Parallel()
	exists := map[string]bool{}
	walk(t, func(name string) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, read(t, name), parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, each := range declared(file) {
			exists[each] = true
		}
	})
	for _, name := range documents(t) {
		for _, match := range test.FindAllStringSubmatch(read(t, name), -1) {
			if !exists[match[1]] {
				t.Errorf("%s names %s, and no test is called that", name, match[1])
			}
		}
	}
}

func TestEachKindOfBrokenReferenceIsFound(t *testing.T) {
	t.Parallel()
	for text, finds := range map[string]bool{
		"[here](docs/docs_test.go)":                    false,
		"[`slug`](docs/docs_test.go)":                  false,
		"[`hasHeading`](docs/docs_test.go)":            false,
		"[the start](CONTRIBUTING.md#before-a-commit)": false,
		"`internal/arch/tree.go:Tree.With`":            false,
		"[gone](docs/gone.md)":                         true,
		"[`hasNoHeading`](docs/docs_test.go)":          true,
		"[`arch.Missing`](internal/arch/check.go)":     true,
		"[a line](internal/arch/check.go#L12)":         true,
		"[the end](CONTRIBUTING.md#after-a-commit)":    true,
		"`internal/arch/tree.go:Tree.Burn`":            true,
		"`internal/arch/forest.go:Load`":               true,
	} {
		if wrong := mistakes("README.md", text); (len(wrong) > 0) != finds {
			t.Errorf("%s: found %q, want a mistake: %v", text, wrong, finds)
		}
	}
}
