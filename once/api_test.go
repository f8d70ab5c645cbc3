package once_test

import (
	"cmp"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write api.txt anew")

// TestTheExportedNamesAreThoseOfTheListAndWhatCameAndWentIsInTheChangelog: an adopter reads
// there what an upgrade takes away.
func TestTheExportedNamesAreThoseOfTheListAndWhatCameAndWentIsInTheChangelog(t *testing.T) {
	t.Parallel()
	names := exported(t)
	if *update {
		require.NoError(t, os.WriteFile("api.txt", []byte(strings.Join(names, "\n")+"\n"), 0o644))
	}
	require.Equal(t, lines(t, "api.txt"), names, "run: go test . -run TheExportedNames -update")

	released := lines(t, "testdata/released.txt")
	changelog, err := os.ReadFile("CHANGELOG.md")
	require.NoError(t, err)
	_, top, _ := strings.Cut(string(changelog), "\n## ")
	top, _, _ = strings.Cut(top, "\n## ")
	require.Equal(t, without(names, released), listed(top, "Came"), "the top entry of CHANGELOG.md names what came")
	require.Equal(t, without(released, names), listed(top, "Went"), "and what went")
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return strings.Fields(string(text))
}

// listed are the names in the paragraph of an entry that begins with a word.
func listed(entry, word string) []string {
	names := []string{}
	for paragraph := range strings.SplitSeq(entry, "\n\n") {
		if strings.HasPrefix(paragraph, word+": ") {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(paragraph, -1) {
				names = append(names, m[1])
			}
		}
	}
	slices.Sort(names)
	return names
}

func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(name string) bool { return slices.Contains(others, name) })
}

// exported lists the exported names of every package that can be imported, with their
// methods and fields; otel and prom are modules of their own.
func exported(t *testing.T) (names []string) {
	t.Helper()
	for _, module := range []string{".", "otel", "prom"} {
		for found := range strings.FieldsSeq(run(t, module, "list", "-f", `{{if ne .Name "main"}}{{.ImportPath}}|{{.Dir}}|{{join .GoFiles ","}}{{end}}`, "./...")) {
			part := strings.Split(found, "|")
			path := cmp.Or(strings.TrimPrefix(strings.TrimPrefix(part[0], "payonce/once"), "/"), "once")
			if strings.HasPrefix(path, "examples") {
				continue
			}
			for file := range strings.SplitSeq(part[2], ",") {
				names = append(names, exportedIn(t, path, filepath.Join(part[1], file))...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func exportedIn(t *testing.T, path, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range parsed.Decls {
		for _, name := range declared(d) {
			names = append(names, path+"."+name)
		}
	}
	return names
}

func declared(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() {
			return nil
		}
		if d.Recv == nil {
			return []string{d.Name.Name}
		}
		if of := receiver(d.Recv.List[0].Type); ast.IsExported(of) {
			return []string{of + "." + d.Name.Name}
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() {
						names = append(names, name.Name)
					}
				}
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					names = append(append(names, s.Name.Name), members(s)...)
				}
			}
		}
	}
	return names
}

func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.IndexListExpr:
		return receiver(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}

// members are the fields of a struct and the methods of an interface.
func members(s *ast.TypeSpec) (names []string) {
	var list *ast.FieldList
	switch of := s.Type.(type) {
	case *ast.StructType:
		list = of.Fields
	case *ast.InterfaceType:
		list = of.Methods
	default:
		return nil
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			if name.IsExported() {
				names = append(names, s.Name.Name+"."+name.Name)
			}
		}
	}
	return names
}
