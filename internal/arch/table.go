package arch

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	written = regexp.MustCompile(`(?i)\b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE)\s+\{?([a-z_][a-z0-9_.]*)\}?(?:\s+(?:AS\s+)?[a-z_]+)?\s*(?:\(|\s(?:SELECT|SET|VALUES|WHERE|USING))`)
	created = regexp.MustCompile(`(?i)\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?([a-z_][a-z0-9_.]*)`)
)

// onceSchema is where the tables of the patterns in once are.
const onceSchema = "once/schema"

// checkPatternTables asks that a table a pattern writes is one that once/schema makes: a
// program that takes the pattern gets the table too.
func checkPatternTables(tree Tree) []Violation {
	var found []Violation
	owned := map[string]bool{}
	for name, schema := range tree {
		if !under(name, onceSchema) {
			continue
		}
		for _, match := range created.FindAllStringSubmatch(schema.Src, -1) {
			owned[match[1]] = true
		}
	}
	for _, files := range patterns(tree) {
		for _, file := range files {
			if file.IsTest() || file.IsSuite() {
				continue
			}
			for _, table := range writes(file) {
				if !owned[table] {
					found = append(found, Violation{Path: file.Path,
						Detail: fmt.Sprintf("writes %s, which no file of %s creates", table, onceSchema)})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Violation) int { return strings.Compare(a.Path, b.Path) })
	return found
}

// writes lists the tables that the file's string literals insert into, update
// or delete from.
func writes(file *File) []string {
	var tables []string
	for _, literal := range file.literals {
		for _, match := range written.FindAllStringSubmatch(literal.text, -1) {
			// ON CONFLICT … DO UPDATE SET names no table of its own.
			if !strings.EqualFold(match[1], "set") && !slices.Contains(tables, match[1]) {
				tables = append(tables, match[1])
			}
		}
	}
	return tables
}

var (
	definition = regexp.MustCompile(`(?ms)^CREATE TABLE (?:IF NOT EXISTS )?([a-z_][a-z0-9_]*) \((.*?)^\)`)
	addition   = regexp.MustCompile(`(?m)^ALTER TABLE ([a-z_][a-z0-9_]*)\s+ADD COLUMN (?:IF NOT EXISTS )?([a-z_]\w*)\s+([a-z]+)`)
	column     = regexp.MustCompile(`(?m)^\s+([a-z_]\w*)\s+([a-z]+)`)
)

// columns collects the columns that SQL gives its tables: "table.column type".
func columns(src string, into map[string]string) {
	for _, table := range definition.FindAllStringSubmatch(src, -1) {
		for _, match := range column.FindAllStringSubmatch(table[2], -1) {
			into[table[1]+"."+match[1]] = match[2]
		}
	}
	for _, match := range addition.FindAllStringSubmatch(src, -1) {
		into[match[1]+"."+match[2]] = match[3]
	}
}

// checkPatternSchemas holds the tables of once/schema against the migrations:
// the shop's tables may add constraints and comments, but who copies the
// pattern gets every column that the shop was tested with.
func checkPatternSchemas(tree Tree) []Violation {
	migrated := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if strings.HasPrefix(name, "migrations/") && tree[name].AST == nil {
			columns(tree[name].Src, migrated)
		}
	}
	var found []Violation
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if file := tree[name]; file.AST == nil && under(name, onceSchema) {
			found = append(found, differences(file, migrated)...)
		}
	}
	return found
}

// asTheShopHasIt renames a column of once/schema, whose scope is the merchant in the shop
// and whose ids, which are text there, are uuid.
func asTheShopHasIt(brought, migrated map[string]string) map[string]string {
	shops := map[string]string{}
	for name, kind := range brought {
		if table, is := strings.CutSuffix(name, ".scope"); is {
			name = table + ".merchant_id"
		}
		if kind == "text" && migrated[name] == "uuid" {
			kind = "uuid"
		}
		shops[name] = kind
	}
	return shops
}

// notTheShops are the tables of once/schema that the shop does without: it has alerts, the
// ids of its events are UUIDv7, and its calls are payment_attempts.
var notTheShops = []string{"troubles", "consumer_inbox_any", "calls"}

func differences(schema *File, migrated map[string]string) []Violation {
	brought := map[string]string{}
	columns(schema.Src, brought)
	brought = asTheShopHasIt(brought, migrated)
	tables := map[string]bool{}
	var found []Violation
	for _, name := range slices.Sorted(maps.Keys(brought)) {
		table, _, _ := strings.Cut(name, ".")
		if slices.Contains(notTheShops, table) {
			continue
		}
		tables[table] = true
		if migrated[name] != brought[name] {
			found = append(found, Violation{Path: schema.Path,
				Detail: fmt.Sprintf("%s is %s here and %q in the migrations", name, brought[name], migrated[name])})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(migrated)) {
		table, _, _ := strings.Cut(name, ".")
		if _, known := brought[name]; tables[table] && !known {
			found = append(found, Violation{Path: schema.Path,
				Detail: fmt.Sprintf("the migrations give %s, which is missing here", name)})
		}
	}
	return found
}

// notifies finds a NOTIFY as a statement or as the function behind it.
var notifies = regexp.MustCompile(`(?i)\bpg_notify\b|(?:^|;)\s*NOTIFY\s+[a-z_]`)

// waker is the one file that notifies: after the commit, from a connection of
// its own, coalesced.
const (
	waker = "once/outbox/waker.go"
	board = "internal/lab/faults/board.go"
)

// checkNotify leaves waking the relay to the outbox's waker: a transaction that
// notifies holds a database-wide lock across its commit. Migrations may not
// hide one in a trigger either. The laboratory's board of faults says of itself
// that it has changed, in a transaction that does nothing else.
func checkNotify(tree Tree) []Violation {
	const detail = "NOTIFY serialises every commit of the database; wake the relay after the commit, through outbox.Waker"
	var found []Violation
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		file := tree[name]
		switch {
		case file.AST == nil:
			for i, line := range strings.Split(file.Src, "\n") {
				statement, _, _ := strings.Cut(line, "--")
				if notifies.MatchString(statement) {
					found = append(found, Violation{Path: name, Line: i + 1, Detail: detail})
				}
			}
		case name == waker, name == board, file.IsTest(), file.IsSuite(), byHand(file):
		case floorOf(file.Dir()) == judge, under(file.Dir(), "internal/platform/postgres"):
			// These only know the word, to refuse it.
		default:
			for _, literal := range file.literals {
				if notifies.MatchString(literal.text) {
					found = append(found, Violation{Path: name, Line: literal.line, Detail: detail})
				}
			}
		}
	}
	return found
}
