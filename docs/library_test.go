package docs_test

import (
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	requirement = regexp.MustCompile(`(?m)^\s+(\S+\.\S+/?\S*) (v\S+)`)
	library     = regexp.MustCompile(`(?m)^\| (\S+) \| [^|]+ \| (v\S+) \| \d{4}-\d{2}-\d{2} \| \d+ \| [\d.]+ \|$`)
)

func TestTheTableOfLibrariesIsWhatTheCodeImports(t *testing.T) {
	t.Parallel()
	versions := map[string]string{}
	for _, gomod := range []string{"once/go.mod", "go.mod"} { // bench is no part of what is shipped
		for _, match := range requirement.FindAllStringSubmatch(read(t, gomod), -1) {
			versions[match[1]] = match[2]
		}
	}
	imported := map[string]bool{}
	walk(t, func(name string) {
		if strings.HasSuffix(name, ".go") && !strings.HasPrefix(name, "bench/") && !strings.HasPrefix(name, "tools/") {
			for _, module := range modules(t, name, versions) {
				imported[module] = true
			}
		}
	})
	listed := map[string]bool{}
	for _, match := range library.FindAllStringSubmatch(read(t, "docs/adr/0009-libraries.md"), -1) {
		listed[match[1]] = true
		switch {
		case !imported[match[1]]:
			t.Errorf("%s is listed and nobody imports it", match[1])
		case versions[match[1]] != match[2]:
			t.Errorf("%s is listed as %s, go.mod has %s", match[1], match[2], versions[match[1]])
		}
	}
	for _, module := range slices.Sorted(maps.Keys(imported)) {
		if !listed[module] {
			t.Errorf("%s %s is imported and not listed", module, versions[module])
		}
	}
}

// modules lists the modules that a file imports from.
func modules(t *testing.T, name string, versions map[string]string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, read(t, name), parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		longest := ""
		for module := range versions {
			if (path == module || strings.HasPrefix(path, module+"/")) && len(module) > len(longest) {
				longest = module
			}
		}
		if longest != "" {
			found = append(found, longest)
		}
	}
	return found
}
