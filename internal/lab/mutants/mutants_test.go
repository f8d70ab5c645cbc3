package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"payonce/internal/arch"
)

// The tool runs in the root of the repository, and so do these tests.
func TestMain(m *testing.M) {
	if err := os.Chdir(filepath.Join("..", "..", "..")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestEveryMutantFitsItsSourceAndNamesWhoMustCatchIt(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range append(planted(), campaigned...) {
		require.False(t, names[m.name], "%s is planted twice", m.name)
		names[m.name] = true
		_, err := writeOverlay(t.TempDir(), m.edits())
		require.NoError(t, err, m.name)
		require.NotEmpty(t, m.breaks, m.name)
		require.NotEqual(t, m.test == "", m.invariant == "", "%s is caught by a test or by an invariant", m.name)
		if m.test != "" {
			require.True(t, declared(t, m.pkg, m.test), "%s: there is no %s in %s", m.name, m.test, m.pkg)
		}
	}
}

func TestTheSimulatorHasTenMutantsAndEachSaysWhatMustHoldAndWhichProtectionMakesItSo(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(providers), 10)
	sorts := map[bool]int{}
	for _, m := range providers {
		require.NotNil(t, m.provider, m.name)
		require.NotEmpty(t, m.provider.holds, m.name)
		require.NotEmpty(t, m.provider.without, m.name)
		sorts[m.provider.breach]++
		for _, e := range m.edits() {
			require.Equal(t, "internal/lab/world", filepath.Dir(e.file), "%s changes the simulator and nothing else", m.name)
		}
		_, err := writeOverlay(t.TempDir(), slices.Concat(m.edits(), m.provider.without))
		require.NoError(t, err, m.name)
	}
	require.Positive(t, sorts[true])
	require.Positive(t, sorts[false])
}

func declared(t *testing.T, pkg, test string) bool {
	t.Helper()
	test, _, _ = strings.Cut(test, "/")
	files, err := filepath.Glob(filepath.Join(pkg, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(test) + `\(`).Match(text) {
			return true
		}
	}
	return false
}

func TestTheDesignsListHasItsTwentyOneBugsOnceEach(t *testing.T) {
	t.Parallel()
	bugs, planted := map[string]bool{}, map[string]bool{}
	for _, c := range canonical {
		bugs[c.bug], planted[c.mutant] = true, true
	}
	require.Len(t, canonical, 21)
	require.Len(t, bugs, 21)
	require.Len(t, planted, 21)
}

// A machine that is too slow ends every test by its timeout: taken for caught, each
// mutant of the list would be proof of nothing.
func TestATimeoutCatchesOnlyABugWhoseSymptomItIsAndIsReported(t *testing.T) {
	t.Parallel()
	failed := errors.New("exit status 1")
	const (
		red     = "--- FAIL: TestThis (0.10s)\nFAIL\n"
		without = "panic: test timed out after 3m0s\n\trunning tests:\n\t\tTestThis (3m0s)\n"
	)
	for name, one := range map[string]struct {
		text    string
		err     error
		late    bool
		verdict [2]string // of a bug that does not hang, and of one that does
	}{
		"it passes":                   {"ok", nil, false, [2]string{survived, survived}},
		"it fails":                    {red, failed, false, [2]string{caught, caught}},
		"it has no end":               {without, failed, false, [2]string{timedOut, hung}},
		"a part failed, and no end":   {"    --- FAIL: TestThis/part\n" + without, failed, false, [2]string{timedOut, hung}},
		"it is stopped from outside":  {"", failed, true, [2]string{timedOut, hung}},
		"it does not build":           {"FAIL x [build failed]", failed, false, [2]string{"", ""}},
		"there is none":               {"ok x [no tests to run]", nil, false, [2]string{"", ""}},
		"it ended for another reason": {"signal: killed", failed, false, [2]string{"", ""}},
	} {
		for i, hangs := range []bool{false, true} {
			verdict, err := mutant{test: "TestThis", hangs: hangs}.read(one.text, one.err, one.late)
			require.Equal(t, one.verdict[i], verdict, name)
			require.Equal(t, one.verdict[i] == "", err != nil, name)
		}
	}
	require.NoError(t, unproven(3, nil, nil))
	require.ErrorContains(t, unproven(3, nil, []string{"slow-one"}), "no end in time, which proves nothing")
	require.ErrorContains(t, unproven(3, []string{"free-one"}, []string{"slow-one"}), "survived")
	require.Error(t, unproven(0, nil, nil))
}

func TestSeveralEditsOfOneFileAreOneMutatedFile(t *testing.T) {
	t.Parallel()
	m := mutant{
		file: "internal/lab/mutants/canonical.go", old: "package main", new: "package other",
		more: []edit{
			{"internal/lab/mutants/canonical.go", `"mandatory off"`, `"mandatory on"`},
			{"internal/lab/mutants/planted.go", "package main", "package other"},
		},
	}
	dir := t.TempDir()
	_, err := writeOverlay(dir, m.edits())
	require.NoError(t, err)
	written, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	require.Len(t, written, 2)
	text, err := os.ReadFile(filepath.Join(dir, "0-canonical.go"))
	require.NoError(t, err)
	require.Contains(t, string(text), "package other")
	require.Contains(t, string(text), `"mandatory on"`)

	m.old = "a text that stands nowhere"
	_, err = writeOverlay(t.TempDir(), m.edits())
	require.ErrorIs(t, err, errFitsNoMore)
}

func TestEachModuleHasAMutant(t *testing.T) {
	t.Parallel()
	tree, err := arch.Load(os.DirFS("."))
	require.NoError(t, err)
	require.NotEmpty(t, tree.Modules())
	for _, module := range tree.Modules() {
		require.True(t, slices.ContainsFunc(planted(), func(m mutant) bool {
			within, _ := moduleOf(m.pkg)
			return within == module
		}), "no bug is planted in %s", module)
	}
}

func TestAPackageIsTestedInItsOwnModule(t *testing.T) {
	for pkg, want := range map[string][2]string{
		"./internal/lab/mutants": {".", "./internal/lab/mutants"},
		"./bench":                {"bench", "./"},
	} {
		if module, within := moduleOf(pkg); module != want[0] || within != want[1] {
			t.Errorf("%s is %s in %s", pkg, within, module)
		}
	}
}
