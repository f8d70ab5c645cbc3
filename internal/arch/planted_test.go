package arch_test

import (
	"fmt"
	"slices"
	"testing"

	"payonce/internal/arch"
)

// importing is the smallest file that imports something.
func importing(name string, paths ...string) string {
	src := "package " + name + "\n\n"
	for _, path := range paths {
		src += fmt.Sprintf("import _ %q\n", path)
	}
	return src
}

// planted lists one violation per line: a file that nobody should be able to
// add to the house, and the rule that must say so.
var planted = []struct {
	name, rule, path, src string
}{
	{"a module that is not on the list", "modules", "river/go.mod", "module payonce/river\n"},
	{"a module whose path is not its folder's", "modules", "bench/go.mod", "module example.com/bench\n"},
	{"a module on the list that is not there", "modules", "scripts/modules", "modules=(. bench once river)\n"},
	{"a package beside the tools", "modules", "tools/planted.go", "package tools\n"},
	{"a folder of bench that is not its command", "floor", "bench/river/planted.go", "package river\n"},

	{"an import from once into the shop's house", "floor",
		"once/planted.go", importing("once", "payonce/internal/platform/postgres")},
	{"a pattern of once that writes a table it does not bring", "pattern-table",
		"once/webhook/planted.go", "package webhook\n\nconst q = `INSERT INTO {orders} (id) VALUES ($1)`\n"},
	{"a driver in the core of once", "library",
		"once/planted.go", importing("once", "github.com/lib/pq")},
	{"a transaction that once opens beside its adapters", "transaction",
		"once/schema/planted.go", "package schema\n\nfunc open(db interface{ Begin() error }) { _ = db.Begin() }\n"},

	{"an import from a pattern to shop", "floor",
		"once/saga/planted.go", importing("saga", "payonce/internal/shop/checkout")},
	{"an import from platform to shop", "floor",
		"internal/platform/postgres/planted.go", importing("postgres", "payonce/internal/shop/checkout")},
	{"an import from shop to edge", "floor",
		"internal/shop/checkout/planted.go", importing("checkout", "payonce/internal/edge/httpapi")},
	{"an import from shop to edge in a test", "floor",
		"internal/shop/checkout/planted_test.go", importing("checkout_test", "payonce/internal/edge/httpapi")},
	{"an import of a command", "floor",
		"internal/edge/httpapi/planted.go", importing("httpapi", "payonce/cmd/api")},
	{"an import from the embedded files upwards", "floor",
		"migrations/planted.go", importing("migrations", "payonce/internal/platform/postgres")},
	{"a package on no floor", "floor",
		"internal/billing/planted.go", "package billing\n"},
	{"a package beside the floors", "floor",
		"pkg/client/planted.go", "package client\n"},
	{"a package in the root of the repository", "floor",
		"planted.go", "package payonce\n"},
	{"a package on no floor behind a build tag", "floor",
		"internal/debug/planted.go", "//go:build lab && windows\n\npackage debug\n"},

	{"a sibling import in shop", "sibling",
		"internal/shop/ledger/planted.go", importing("ledger", "payonce/internal/shop/tickets")},
	{"a sibling import in a test of the shop", "sibling",
		"internal/shop/ledger/planted_test.go", importing("ledger_test", "payonce/internal/shop/tickets")},
	{"a contract that imports who uses it", "sibling",
		"internal/shop/event/planted.go", importing("event", "payonce/internal/shop/checkout")},
	{"outbox importing inbox", "sibling",
		"once/outbox/planted.go", importing("outbox", "payonce/once/inbox")},
	{"retry importing inbox, the friendship the wrong way round", "sibling",
		"once/retry/planted.go", importing("retry", "payonce/once/inbox")},

	{"a new question for a list of the provider", "listing",
		"internal/shop/checkout/planted.go", "package checkout\n\nfunc f(p provider.Charger) { p.ChargesByReference(nil, \"\") }\n"},
	{"a new question for what the provider holds", "listing",
		"internal/edge/httpapi/planted.go", "package httpapi\n\nfunc f(p provider.Lister) { provider.Alive(nil, p, \"\") }\n"},
	{"a list of the provider that is handed on", "listing",
		"internal/edge/audit/planted.go", "package audit\n\nvar each = books.EachRefund\n"},

	{"the provider's adapter in the business", "adapter",
		"internal/shop/checkout/planted.go", importing("checkout", "payonce/internal/shop/provider/simulated")},
	{"the provider's adapter at the edge", "adapter",
		"internal/edge/audit/planted.go", importing("audit", "payonce/internal/shop/provider/simulated")},

	{"the laboratory imported from shop", "lab",
		"internal/shop/checkout/planted.go", importing("checkout", "payonce/internal/lab/world")},
	{"the laboratory imported from shop under its tag", "lab",
		"internal/shop/checkout/lab.go", "//go:build lab\n\n" + importing("checkout", "payonce/internal/lab/world")},
	{"the laboratory imported from the embedded files", "lab",
		"web/planted.go", importing("web", "payonce/internal/lab/devstack")},
	{"the laboratory in a command outside lab.go", "lab",
		"cmd/api/planted.go", "//go:build lab\n\n" + importing("main", "payonce/internal/lab/bursts")},
	{"the laboratory in lab.go without the tag", "lab",
		"cmd/api/lab.go", importing("main", "payonce/internal/lab/bursts")},
	{"the laboratory in lab.go under a tag that is not enough", "lab",
		"cmd/worker/lab.go", "//go:build lab || linux\n\n" + importing("main", "payonce/internal/lab/bursts")},

	{"code beside the documents", "texts",
		"docs/planted.go", "package docs\n"},

	{"gin in the business", "gin",
		"internal/shop/checkout/planted.go", importing("checkout", "github.com/gin-gonic/gin")},
	{"gin elsewhere at the edge", "gin",
		"internal/edge/journal/planted.go", importing("journal", "github.com/gin-gonic/gin/binding")},
	{"gin's tracing middleware in a command", "gin",
		"cmd/api/planted.go", importing("main", "go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin")},

	{"amqp091 in a pattern", "amqp",
		"once/outbox/planted.go", importing("outbox", "github.com/rabbitmq/amqp091-go")},
	{"amqp091 in a command", "amqp",
		"cmd/relay/planted.go", importing("main", "github.com/rabbitmq/amqp091-go")},

	{"toxiproxy on a floor", "toxiproxy",
		"once/rabbit/planted.go", importing("rabbit", "github.com/Shopify/toxiproxy/v2")},
	{"toxiproxy in a command's tests", "toxiproxy",
		"cmd/relay/planted_test.go", importing("main", "github.com/Shopify/toxiproxy/v2")},

	{"Go's own client in a test", "http-client", "internal/lab/e2e/planted_test.go",
		"package e2e\n\nimport \"net/http\"\n\nfunc buy() { _, _ = http.Post(\"\", \"\", nil) }\n"},
	{"a client of the laboratory's own", "http-client", "internal/lab/bursts/planted.go",
		"package bursts\n\nimport \"net/http\"\n\nvar buyer = &http.Client{}\n"},
	{"a client made by its zero value", "http-client", "internal/lab/bursts/planted.go",
		"package bursts\n\nimport \"net/http\"\n\nvar buyer http.Client\n"},
	{"a transport under another name", "http-client", "cmd/demo/planted.go",
		"package main\n\nimport web \"net/http\"\n\nvar way = web.DefaultTransport\n"},
	{"net/http without a name", "http-client", "internal/edge/audit/planted.go",
		"package audit\n\nimport . \"net/http\"\n\nvar way Transport\n"},
	{"an exception that nothing needs any more", "http-client", "internal/lab/world/webhook.go",
		"package world\n"},

	{"a server without deadlines", "http-server", "internal/edge/audit/planted.go",
		"package audit\n\nimport \"net/http\"\n\nvar door = &http.Server{}\n"},

	{"a program that a test starts by itself", "program", "internal/lab/e2e/planted_test.go",
		"package e2e\n\nimport \"os/exec\"\n\nvar api = exec.Command(\"api\")\n"},
	{"a build that a campaign makes by itself", "program", "internal/lab/chaos/planted.go",
		"package chaos\n\nimport run \"os/exec\"\n\nvar build = run.CommandContext(nil, \"go\", \"build\")\n"},
	{"a child of the demo's own", "program", "cmd/demo/planted.go",
		"package main\n\nimport \"payonce/internal/lab/devstack/proc\"\n\nfunc start() { _, _ = proc.Start(proc.Spec{}) }\n"},
	{"an exception that nothing starts any more", "program", "cmd/demo/welcome.go",
		"package main\n"},

	{"a database driver in a command", "wiring",
		"cmd/api/planted.go", importing("main", "github.com/jmoiron/sqlx")},

	{"BeginTx in the business", "transaction", "internal/shop/ledger/planted.go",
		"package ledger\n\nimport \"database/sql\"\n\nfunc open(db *sql.DB) { _, _ = db.BeginTx(nil, nil) }\n"},
	{"Beginx at the edge", "transaction", "internal/edge/journal/planted.go",
		"package journal\n\nfunc open(db interface{ Beginx() }) { db.Beginx() }\n"},
	{"Begin passed as a value", "transaction", "once/inbox/planted.go",
		"package inbox\n\nimport \"database/sql\"\n\nvar open = (*sql.DB).Begin\n"},

	{"a NOTIFY in the business", "notify", "internal/shop/checkout/planted.go",
		"package checkout\n\nconst wake = `SELECT pg_notify('outbox', '')`\n"},
	{"a NOTIFY in a trigger", "notify", "migrations/90000_planted.sql",
		"CREATE FUNCTION wake() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n  PERFORM pg_notify('outbox', '');\nEND $$;\n"},

	{"testing in a binary", "test-helper",
		"internal/platform/postgres/planted.go", importing("postgres", "testing")},
	{"a suite in a binary", "test-helper",
		"cmd/worker/planted.go", importing("main", "payonce/once/inbox/inboxtest")},
	{"a fake server in a binary", "test-helper",
		"internal/shop/checkout/planted.go", importing("checkout", "net/http/httptest")},
	{"an assertion library in a binary", "test-helper",
		"internal/edge/audit/planted.go", importing("audit", "github.com/stretchr/testify/require")},

	{"a stage of the laboratory in a binary", "test-helper",
		"cmd/demo/planted.go", importing("main", "payonce/internal/lab/stage")},

	{"a drawer for everything", "name",
		"internal/shop/common/planted.go", "package common\n"},

	{"refund as an identifier in pattern", "vocabulary",
		"once/retry/planted.go", "package retry\n\nvar refundLimit = 3\n"},
	{"payment in a string of pattern", "vocabulary",
		"once/outbox/planted.go", "package outbox\n\nconst topic = \"payment.done\"\n"},
	{"cents in a field of pattern", "vocabulary",
		"once/inbox/planted.go", "package inbox\n\ntype row struct{ AmountCents int64 }\n"},
	{"ticket in a test of pattern", "vocabulary",
		"once/inbox/planted_test.go", "package inbox_test\n\nvar tickets int\n"},
	{"ledger in a table of pattern", "vocabulary",
		"once/schema/planted.sql", "CREATE TABLE ledger_rows (id bigint);\n"},

	{"a pattern without its parts", "pattern-folder",
		"once/lease/planted.go", "package lease\n"},

	{"a pattern that writes a table it does not bring", "pattern-table",
		"once/outbox/planted.go", "package outbox\n\nconst steal = `UPDATE orders SET status = 'paid' WHERE id = $1`\n"},

	{"a table brought along that differs from the migrated one", "pattern-schema",
		"once/schema/planted.sql", "CREATE TABLE consumer_inbox (\n  consumer text,\n  event_id text\n);\n"},
}

func TestEveryPlantedViolationTurnsItsRuleRed(t *testing.T) {
	t.Parallel()
	for _, plant := range planted {
		t.Run(plant.name, func(t *testing.T) {
			t.Parallel()
			tree, err := loadHouse(t).With(plant.path, plant.src)
			if err != nil {
				t.Fatal(err)
			}
			found := arch.Check(tree, plant.rule)
			if plant.rule == "pattern-folder" {
				if !violates(found, plant.rule, "once/lease/doc.go") {
					t.Errorf("the rule %q stays green", plant.rule)
				}
				return
			}
			if !violates(found, plant.rule, plant.path) {
				t.Errorf("the rule %q stays green over %s:\n%s", plant.rule, plant.path, plant.src)
			}
		})
	}
}

func TestEveryRuleHasAtLeastOnePlantedViolation(t *testing.T) {
	t.Parallel()
	for _, rule := range arch.Rules() {
		if !slices.ContainsFunc(planted, func(p struct{ name, rule, path, src string }) bool { return p.rule == rule }) {
			t.Errorf("no violation is planted for the rule %q, so nobody knows whether it can fire", rule)
		}
	}
}

// allowed lists what looks forbidden and is not. A rule that fires here has
// become stricter than the house.
var allowed = []struct {
	name, path, src string
}{
	{"the shop over patterns and platform", "internal/shop/checkout/planted.go",
		importing("checkout", "payonce/once/saga", "payonce/internal/platform/postgres")},
	{"a contract between siblings", "internal/shop/ledger/planted.go",
		importing("ledger", "payonce/internal/shop/money", "payonce/internal/shop/event")},
	{"inbox standing on retry", "once/inbox/planted.go",
		importing("inbox", "payonce/once/retry")},
	{"a suite beside its pattern", "once/outbox/outboxtest/planted.go",
		importing("outboxtest", "testing", "payonce/once/outbox")},
	{"the laboratory in a test", "internal/shop/ledger/planted_test.go",
		importing("ledger_test", "payonce/internal/lab/devstack/devtest", "testing")},
	{"the laboratory in lab.go under its tag", "cmd/api/lab.go",
		"//go:build lab && !windows\n\n" + importing("main", "payonce/internal/lab/bursts")},
	{"the laboratory in the simulator", "cmd/simulator/planted.go",
		importing("main", "payonce/internal/lab/world")},
	{"the adapter in a command", "cmd/worker/planted.go",
		importing("main", "payonce/internal/shop/provider/simulated")},
	{"a stage for tests in the laboratory", "internal/lab/rehearsal/planted.go",
		importing("rehearsal", "testing", "payonce/internal/lab/devstack/devtest")},
	{"gin in httpapi's generated code", "internal/edge/httpapi/gen/planted.go",
		importing("gen", "github.com/gin-gonic/gin")},
	{"a test that plays the rival", "internal/shop/ledger/planted_test.go",
		"package ledger_test\n\nimport \"database/sql\"\n\nfunc hold(db *sql.DB) { _, _ = db.BeginTx(nil, nil) }\n"},
	{"a request, a status and a header of net/http", "internal/lab/bursts/planted.go",
		"package bursts\n\nimport \"net/http\"\n\nvar _, _ = http.StatusOK, http.Header{}\n\nvar request http.Request\n"},
	{"a Client that is not net/http's", "internal/lab/bursts/planted.go",
		"package bursts\n\nimport http \"payonce/internal/lab/client\"\n\nvar buyer *http.Client\n"},
	{"an essay in pattern that speaks of a refund", "once/retry/planted.go",
		"package retry\n\n// A refund is a good example of a descent.\nvar descents = 3\n"},
	{"an upsert in pattern", "once/outbox/planted.go",
		"package outbox\n\nconst up = `ON CONFLICT (id) DO UPDATE SET (a, b) = (1, 2) WHERE true`\n"},
}

func TestNothingAllowedTurnsARuleRed(t *testing.T) {
	t.Parallel()
	for _, plant := range allowed {
		t.Run(plant.name, func(t *testing.T) {
			t.Parallel()
			tree, err := loadHouse(t).With(plant.path, plant.src)
			if err != nil {
				t.Fatal(err)
			}
			for _, violation := range arch.Check(tree) {
				if violation.Path == plant.path {
					t.Error(violation)
				}
			}
		})
	}
}
