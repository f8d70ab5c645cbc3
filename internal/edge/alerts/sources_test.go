package alerts_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kindsIn finds the names in all literals of alert.Kind and of once.TroubleKind below a
// folder.
func kindsIn(t *testing.T, dir string) (declared []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if name, ok := nameOfKind(n); ok {
				declared = append(declared, name)
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	return declared
}

// nameOfKind is the Name of a literal alert.Kind{…} or once.TroubleKind{…}.
func nameOfKind(n ast.Node) (string, bool) {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return "", false
	}
	of, ok := literal.Type.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	pkg, ok := of.X.(*ast.Ident)
	if name := of.Sel.Name; !ok || (pkg.Name != "alert" || name != "Kind") && (pkg.Name != "once" || name != "TroubleKind") {
		return "", false
	}
	for _, element := range literal.Elts {
		field, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := field.Key.(*ast.Ident); ok && key.Name == "Name" {
			name, err := strconv.Unquote(field.Value.(*ast.BasicLit).Value)
			return name, err == nil
		}
	}
	return "", false
}
