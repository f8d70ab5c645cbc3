package arch_test

import (
	"os"
	"sync"
	"testing"

	"payonce/internal/arch"
)

// house is the real tree, read once for all tests of this package.
var house = sync.OnceValues(func() (arch.Tree, error) {
	return arch.Load(os.DirFS("../.."))
})

func loadHouse(t *testing.T) arch.Tree {
	t.Helper()
	tree, err := house()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestTheHouseStandsOnZeroViolations(t *testing.T) {
	t.Parallel()
	for _, violation := range arch.Check(loadHouse(t)) {
		t.Error(violation)
	}
}

func TestTheWalkSeesFilesOfEveryBuildTag(t *testing.T) {
	t.Parallel()
	tree, err := loadHouse(t).With("internal/platform/fault/never.go",
		"//go:build plan9 && lab && ignore\n\npackage fault\n\nimport _ \"payonce/internal/edge/httpapi\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if !violates(arch.Check(tree, "floor"), "floor", "internal/platform/fault/never.go") {
		t.Error("a file under tags that no build sets was not looked at")
	}
}

func TestTheWalkFindsThisFile(t *testing.T) {
	t.Parallel()
	if loadHouse(t)["internal/arch/arch_test.go"] == nil {
		t.Error("the walk does not see this very file, so it looks at the wrong folder")
	}
}

func violates(found []arch.Violation, rule, path string) bool {
	for _, violation := range found {
		if violation.Rule == rule && violation.Path == path {
			return true
		}
	}
	return false
}
