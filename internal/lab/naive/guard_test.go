package naive_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/lab/naive"
	"payonce/internal/lab/program"
)

// declares says whether a file of the repository declares a function of that name.
func declares(t *testing.T, file, function string) bool {
	t.Helper()
	root, err := program.Root()
	require.NoError(t, err)
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range parsed.Decls {
		if f, is := d.(*ast.FuncDecl); is && f.Name.Name == function {
			return true
		}
	}
	return false
}

func TestEachGuardHasItsWordsAndLinksToFunctionsThatExist(t *testing.T) {
	t.Parallel()
	require.Len(t, naive.Guards, 8)
	var seen []naive.Guard
	for _, g := range naive.Guards {
		require.NotContains(t, seen, g.Slug)
		seen = append(seen, g.Slug)
		for _, text := range []string{g.Name, g.Protects, g.HarmName, g.CaughtBy} {
			require.NotEmpty(t, text, g.Slug)
		}
		require.NotEmpty(t, g.Code, g.Slug)
		for _, link := range g.Code {
			require.True(t, declares(t, link.File, link.Function), "%s: %s has no function %s", g.Slug, link.File, link.Function)
		}
	}
	require.False(t, declares(t, "internal/lab/naive/guard.go", "renamed"), "the look itself finds anything")
}

func TestPresetsAreNoneAllAndAllButOne(t *testing.T) {
	t.Parallel()
	none, err := naive.Preset("none", "")
	require.NoError(t, err)
	require.Empty(t, none)
	all, err := naive.Preset("all", "")
	require.NoError(t, err)
	require.Len(t, all, 8)
	for _, g := range naive.Guards {
		but, err := naive.Preset("all-but", g.Slug)
		require.NoError(t, err)
		require.Len(t, but, 7)
		require.False(t, but.Has(g.Slug))
	}
	for name, but := range map[string]naive.Guard{"all-but": "luck", "all": naive.Key, "some": ""} {
		_, err := naive.Preset(name, but)
		require.Error(t, err, "%s %s", name, but)
	}
}
