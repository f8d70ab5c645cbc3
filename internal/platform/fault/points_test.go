//go:build lab

package fault

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryPointIsInTheSourceAndEveryPointOfTheSourceIsKnown reads the names that
// the programs' sources hand to Point, or to a runner's point, which puts its
// consumer's name before a step.
func TestEveryPointIsInTheSourceAndEveryPointOfTheSourceIsKnown(t *testing.T) {
	whole, steps := calls(t, "../../..")
	require.NotEmpty(t, whole)
	require.NotEmpty(t, steps)
	consumers := map[string]bool{}
	for _, p := range Points {
		consumer, step, ok := strings.Cut(p, ".")
		require.True(t, ok, "%s is not part.step", p)
		if slices.Contains(whole, p) {
			continue
		}
		require.Contains(t, steps, step, "%s is nowhere in the source", p)
		consumers[consumer] = true
	}
	for _, name := range whole {
		require.Contains(t, Points, name)
	}
	require.NotEmpty(t, consumers)
	for consumer := range consumers {
		for _, step := range steps {
			require.Contains(t, Points, consumer+"."+step)
		}
	}
	sorted := slices.Sorted(slices.Values(Points))
	require.Equal(t, slices.Compact(slices.Clone(sorted)), sorted, "a name stands for one point")
}

// elsewhere are the folders that name points without passing them: the laboratory
// chooses among them, and the others hold no program.
var elsewhere = []string{"internal/lab", "internal/arch", "internal/platform/fault", "web", "bench", ".git", ".payonce"}

// calls collects the names that the programs' sources hand to a crash point, in
// every module but for what is [elsewhere].
func calls(t *testing.T, root string) (whole, steps []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && slices.Contains(elsewhere, strings.TrimPrefix(path, root+"/")) {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && wholeName.MatchString(literal.Value) {
				whole = append(whole, strings.Trim(literal.Value, `"`))
			}
			if step, ok := stepOf(n); ok && strings.HasPrefix(path, root+"/once/inbox/") {
				steps = append(steps, step)
			}
			return true
		})
		return nil
	})
	require.NoError(t, err)
	return whole, steps
}

// wholeName is a literal that can only be the name of a point: a function may
// choose one of several before it calls Point.
var wholeName = regexp.MustCompile(`^"[a-z_]+\.(before|after)_[a-z0-9_]+"$`)

// stepOf reads r.point("after_ack", …). The inbox's runner alone puts a name before it; the
// others' names are whole where the shop plugs them in.
func stepOf(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", false
	}
	callee, ok := call.Fun.(*ast.SelectorExpr)
	literal, isLiteral := call.Args[0].(*ast.BasicLit)
	if !ok || !isLiteral || callee.Sel.Name != "point" {
		return "", false
	}
	return strings.Trim(literal.Value, `"`), true
}
