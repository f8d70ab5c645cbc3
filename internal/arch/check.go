package arch

import (
	"fmt"
	"slices"
	"strings"
)

// A Violation is one place where the tree breaks a rule. Its text says what to
// do instead, because who reads it is about to move code.
type Violation struct {
	Rule   string
	Path   string
	Line   int // 0 when the violation is a missing file
	Detail string
}

func (v Violation) String() string {
	where := v.Path
	if v.Line > 0 {
		where = fmt.Sprintf("%s:%d", v.Path, v.Line)
	}
	return fmt.Sprintf("%s: [%s] %s", where, v.Rule, v.Detail)
}

// rules is the whole law. Each has a planted violation of its own in the
// tests; one without fails them.
var rules = []struct {
	name  string
	check func(Tree) []Violation
}{
	{"modules", checkModules},
	{"floor", checkFloors},
	{"sibling", checkSiblings},
	{"adapter", checkAdapter},
	{"lab", checkLab},
	{"texts", checkTexts},
	{"gin", checkGin},
	{"amqp", checkAMQP},
	{"toxiproxy", checkToxiproxy},
	{"http-client", checkHTTPClients},
	{"http-server", checkHTTPServers},
	{"listing", checkListings},
	{"library", checkLibrary},
	{"program", checkPrograms},
	{"wiring", checkWiring},
	{"transaction", checkTransactions},
	{"notify", checkNotify},
	{"test-helper", checkTestHelpers},
	{"name", checkNames},
	{"vocabulary", checkVocabulary},
	{"pattern-folder", checkPatternFolders},
	{"pattern-table", checkPatternTables},
	{"pattern-schema", checkPatternSchemas},
}

// Check returns every violation in the tree, in the order of the rules and
// then of the paths; when rules are named, only theirs. An empty answer means
// that the house stands.
func Check(tree Tree, only ...string) []Violation {
	var found []Violation
	for _, rule := range rules {
		if len(only) > 0 && !slices.Contains(only, rule.name) {
			continue
		}
		for _, violation := range rule.check(tree) {
			violation.Rule = rule.name
			found = append(found, violation)
		}
	}
	return found
}

// checkImports calls judge for every import of every Go file; a non-empty
// answer is a violation.
func checkImports(tree Tree, judge func(f *File, i imported) string) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		for _, each := range file.imports {
			if detail := judge(file, each); detail != "" {
				found = append(found, Violation{Path: file.Path, Line: each.line, Detail: detail})
			}
		}
	}
	return found
}

// under says whether dir is root or lies below it.
func under(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, root+"/")
}

// Rules names every rule, so that a test can ask each for a planted violation.
func Rules() []string {
	names := make([]string, 0, len(rules))
	for _, rule := range rules {
		names = append(names, rule.name)
	}
	return names
}
