package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// checkGin keeps the web framework in the one package that speaks HTTP to the
// world, because everything else must also run without a request.
func checkGin(tree Tree) []Violation {
	return checkImports(tree, func(file *File, i imported) string {
		if !isGin(i.path) || under(file.Dir(), "internal/edge/httpapi") || byHand(file) {
			return ""
		}
		return "gin stays in internal/edge/httpapi; take an http.Handler or a plain function"
	})
}

func isGin(name string) bool {
	return strings.Contains(name, "gin-gonic/") || strings.Contains(name, "gin-contrib/") ||
		strings.HasSuffix(name, "strictmiddleware/gin") || strings.HasSuffix(name, "/gin-middleware")
}

// transport is the folder of once that speaks to the broker.
const transport = "once/rabbit"

// checkAMQP keeps the broker's client behind once/rabbit, because its
// automatic recovery and its delivery tags are traps that only one package
// should have to know.
func checkAMQP(tree Tree) []Violation {
	return checkImports(tree, func(file *File, i imported) string {
		if !strings.HasPrefix(i.path, "github.com/rabbitmq/amqp091-go") || under(file.Dir(), transport) || byHand(file) {
			return ""
		}
		return "amqp091 stays in once/rabbit; use its Publisher and Consumer"
	})
}

// checkToxiproxy keeps what breaks connections in the laboratory, because a
// process that carries payments must not hold it.
func checkToxiproxy(tree Tree) []Violation {
	return checkImports(tree, func(file *File, i imported) string {
		if !strings.HasPrefix(i.path, "github.com/Shopify/toxiproxy") || floorOf(file.Dir()) == lab {
			return ""
		}
		return "toxiproxy stays in internal/lab; tests of a floor use once/oncetest/nettest"
	})
}

// stateless are the commands that only wire; they get a pool from
// platform/postgres and hand it on.
var stateless = []string{"cmd/api", "cmd/relay", "cmd/worker"}

// checkWiring refuses SQL in the processes' main packages.
func checkWiring(tree Tree) []Violation {
	drivers := []string{"database/sql", "github.com/jmoiron/sqlx", "github.com/lib/pq"}
	return checkImports(tree, func(file *File, i imported) string {
		if file.IsTest() || !slices.Contains(stateless, file.Dir()) || !slices.Contains(drivers, i.path) {
			return ""
		}
		return fmt.Sprintf("%s wires and nothing else; %s belongs to the package that owns the query", file.Dir(), i.path)
	})
}

// openers are the methods of database/sql and sqlx that open a transaction.
var openers = []string{"Begin", "BeginTx", "Beginx", "BeginTxx", "MustBegin", "MustBeginTx"}

// beginsAttempts are files in which Begin is an attempt's, of package call.
var beginsAttempts = []string{"once/examples/foreign/main.go"}

// checkTransactions leaves InTx of the adapters the only way into a transaction, with
// its rollback on panic and its bounded retries. Tests are free: they play the
// rival who holds a lock.
func checkTransactions(tree Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		if file.IsTest() || file.IsSuite() || byHand(file) || isOnceAdapter(file.Dir()) || slices.Contains(beginsAttempts, file.Path) {
			continue
		}
		for _, selector := range file.selectors {
			if slices.Contains(openers, selector.text) {
				found = append(found, Violation{Path: file.Path, Line: selector.line,
					Detail: fmt.Sprintf("%s opens a transaction; only postgres.InTx does", selector.text)})
			}
		}
	}
	return found
}

// checkTestHelpers keeps everything that exists for tests out of what is
// shipped: importing testing registers its flags in the binary. On the floors
// such a package says so by its name; in the laboratory, where the stages of
// whole-house tests stand, importing testing is enough to be one.
func checkTestHelpers(tree Tree) []Violation {
	stages := map[string]bool{}
	for _, file := range tree.goFiles() {
		for _, each := range file.imports {
			if each.path == "testing" && !file.IsTest() && floorOf(file.Dir()) == lab {
				stages[file.Dir()] = true
			}
		}
	}
	return checkImports(tree, func(file *File, i imported) string {
		dir, ours := i.ours()
		helper := isTestHelper(i.path) || ours && stages[dir]
		if !helper || file.IsTest() || file.IsSuite() || stages[file.Dir()] {
			return ""
		}
		return fmt.Sprintf("%s is for tests; only _test.go files and packages named …test import it", i.path)
	})
}

func isTestHelper(name string) bool {
	for _, root := range []string{"testing", "github.com/stretchr/testify", "go.uber.org/goleak", "pgregory.net/rapid"} {
		if under(name, root) {
			return true
		}
	}
	return isSuite(name)
}

// checkNames refuses the drawers into which everything falls.
func checkNames(tree Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		switch base := path.Base(file.Dir()); base {
		case "util", "utils", "common", "helper", "helpers", "types", "misc":
			found = append(found, Violation{Path: file.Path, Line: 1,
				Detail: fmt.Sprintf("a package named %q says nothing about what it promises; name what it does", base)})
		}
	}
	return found
}

// examples are programs: they choose their driver, as their readers do.
const examples = "once/examples"

// checkLibrary keeps the core and the patterns of once on the standard library and
// google/uuid: they are taken by programs that have chosen other drivers.
func checkLibrary(tree Tree) []Violation {
	return checkImports(tree, func(file *File, i imported) string {
		_, ours := i.ours()
		switch first, _, _ := strings.Cut(i.path, "/"); {
		case floorOf(file.Dir()) != library, file.IsTest(), file.IsSuite(), ours, !strings.Contains(first, "."):
			return "" // the standard library's paths begin with no domain
		case i.path == "github.com/google/uuid", isOnceAdapter(file.Dir()), isOnceHook(file.Dir()), under(file.Dir(), transport), under(file.Dir(), examples):
			return ""
		}
		return fmt.Sprintf("%s: the core of once builds with the standard library and google/uuid; put it into an adapter", i.path)
	})
}
