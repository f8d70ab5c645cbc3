package arch_test

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"payonce/internal/arch"
)

// Two of the rules that judge code, in each module: a module that is on the list and
// not in the tree would stay green.
func TestAPlantedViolationInEachModuleIsFound(t *testing.T) {
	t.Parallel()
	modules := loadHouse(t).Modules()
	if len(modules) < 2 {
		t.Fatalf("the list of modules is %q", modules)
	}
	for _, module := range modules {
		for rule, src := range map[string]string{
			"floor": importing("planted", "payonce/cmd/api"),
			"name":  "package util\n",
			"gin":   importing("planted", "github.com/gin-gonic/gin"),
		} {
			file := path.Join(module, "internal/util/planted.go")
			tree, err := loadHouse(t).With(file, src)
			if err != nil {
				t.Fatal(err)
			}
			if !violates(arch.Check(tree, rule), rule, file) {
				t.Errorf("the rule %q stays green over %s", rule, file)
			}
		}
	}
}

func TestEveryCommandForAllPackagesGoesThroughTheListOfModules(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"../../scripts/*", "../../Makefile", "../../.github/workflows/*.yml"} {
		matches, err := filepath.Glob(pattern)
		if err != nil || len(matches) == 0 {
			t.Fatalf("%s: %v, %v", pattern, matches, err)
		}
		files = append(files, matches...)
	}
	through := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		through += strings.Count(string(text), "scripts/modules ")
		for _, violation := range arch.PastTheList(file, string(text)) {
			t.Error(violation)
		}
	}
	if through < 5 {
		t.Errorf("%d commands go through the list; this test reads the wrong files", through)
	}
	for _, line := range []string{"\tgo vet ./...", "run: go test ./... && true", "\tgo -C bench vet ./..."} {
		if len(arch.PastTheList("planted", line)) == 0 {
			t.Errorf("%q goes past the list and is not found", line)
		}
	}
}
