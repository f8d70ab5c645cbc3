package arch

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// moduleList is the one list of modules. The scripts take it from there too.
const moduleList = "scripts/modules"

// toolsModule pins the versions of tools. It holds no package, so nothing has to go
// through it.
const toolsModule = "tools"

var listed = regexp.MustCompile(`(?m)^modules=\(([^)]*)\)$`)

// Modules lists the folders of the modules that hold packages, as the scripts read
// them; "." is the root.
func (t Tree) Modules() []string {
	list := t[moduleList]
	if list == nil {
		return nil
	}
	match := listed.FindStringSubmatch(list.Src)
	if match == nil {
		return nil
	}
	return strings.Fields(match[1])
}

// checkModules asks that each module is on the list and each entry of the list a
// module, and that a module's path is its folder's, from which all other rules read
// the floor.
func checkModules(tree Tree) []Violation {
	var found []Violation
	modules := tree.Modules()
	for _, folder := range modules {
		if tree[path.Join(folder, "go.mod")] == nil {
			found = append(found, Violation{Path: moduleList, Detail: fmt.Sprintf("%s holds no go.mod", folder)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		switch folder := path.Dir(name); {
		case under(name, toolsModule) && tree[name].AST != nil:
			found = append(found, Violation{Path: name, Detail: "tools/go.mod pins tools and holds no package"})
		case path.Base(name) != "go.mod" || folder == toolsModule:
		case !slices.Contains(modules, folder):
			found = append(found, Violation{Path: name, Detail: "this module is not in " + moduleList + ", so no check looks at it"})
		case !strings.HasPrefix(tree[name].Src, "module "+path.Join(module, folder)+"\n"):
			found = append(found, Violation{Path: name, Detail: "its path must be " + path.Join(module, folder) + ", because a folder says what a package may import"})
		}
	}
	return found
}

// allPackages is how a command says that it goes through all packages of a module.
const allPackages = " ./..."

// PastTheList returns the lines of a script, a Makefile or a workflow that go through
// the packages of one module only.
func PastTheList(name, text string) []Violation {
	var found []Violation
	for i, line := range strings.Split(text, "\n") {
		command, _, _ := strings.Cut(line, "#")
		at := strings.Index(command+" ", allPackages+" ")
		if at < 0 || strings.Contains(command[:at], moduleList+" ") || strings.Contains(command, `cd "$module"`) {
			continue
		}
		found = append(found, Violation{Rule: "modules", Path: name, Line: i + 1, Detail: "goes through one module; begin it with " + moduleList})
	}
	return found
}
