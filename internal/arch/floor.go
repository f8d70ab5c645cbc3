package arch

import (
	"slices"
	"strings"
)

// A floor is a storey of the house, or one of the places beside it.
type floor string

const (
	nowhere  floor = ""
	platform floor = "platform"
	shop     floor = "shop"
	edge     floor = "edge"
	command  floor = "cmd"
	lab      floor = "lab"
	library  floor = "once"   // a module of its own: the patterns, for any program
	beside   floor = "beside" // embedded files, next to floor 0
	judge    floor = "arch"   // this package: reads the house, imports none of it
	texts    floor = "texts"  // tests about documents and manifests
	measure  floor = "bench"  // a module of its own: measures the house against floors by hand
)

// below lists what each floor may import. Its own name among them means that
// packages of that floor may import each other; shop and once narrow that
// further, see siblings.
var below = map[floor][]floor{
	nowhere:  {},
	beside:   {},
	judge:    {},
	library:  {library},
	platform: {library, beside, platform},
	shop:     {library, beside, platform, shop},
	edge:     {library, beside, platform, shop, edge},
	command:  {library, beside, platform, shop, edge},
	lab:      {library, beside, judge, platform, shop, edge, lab},
	texts:    {library, beside, judge, platform},
	measure:  {library, beside, platform, shop, edge, lab},
}

// floorOf says where a folder stands. The folder is the rule: nothing but its
// path is looked at.
func floorOf(dir string) floor {
	switch parts := strings.Split(dir, "/"); {
	case dir == "migrations", dir == "api", dir == "web":
		return beside
	case dir == "docs", dir == "deploy":
		return texts
	case dir == "internal/arch":
		return judge
	case dir == "bench", dir == "bench/byhand":
		return measure
	case under(dir, string(library)):
		return library
	case parts[0] == "cmd" && len(parts) > 1:
		return command
	case parts[0] == "internal" && len(parts) > 2:
		named := floor(parts[1])
		if slices.Contains([]floor{platform, shop, edge, lab}, named) {
			return named
		}
	}
	return nowhere
}

// byHand says whether the file belongs to what the house is measured against: it
// writes by hand what the house keeps in one place.
func byHand(f *File) bool { return floorOf(f.Dir()) == measure }

// unitOf names the pattern or the part of the shop a folder belongs to:
// "outbox" for once/outbox/outboxtest, "inbox" for once/inbox/inboxtest.
func unitOf(dir string) string {
	parts := strings.Split(dir, "/")
	if floorOf(dir) == library && len(parts) > 1 {
		return parts[1]
	}
	if len(parts) < 3 {
		return dir
	}
	return parts[2]
}

// onceAdapters are the folders of once that have a driver each, and open transactions.
var onceAdapters = []string{"pq", "pgx"}

func isOnceAdapter(dir string) bool {
	return floorOf(dir) == library && slices.Contains(onceAdapters, unitOf(dir))
}

// onceHooks are modules of their own, each for one library that watches: no pattern needs
// it, and each may look at any pattern.
var onceHooks = []string{"otel", "prom"}

func isOnceHook(dir string) bool {
	return floorOf(dir) == library && slices.Contains(onceHooks, unitOf(dir))
}

// notPatterns are the other folders of once: the transport, what is said to it and the form of its messages, the
// tables and what keeps them, where trouble is written, what tests need, and programs.
var notPatterns = []string{"rabbit", "message", "envelope", "schema", "retention", "trouble", "doctor", "oncetest", "examples"}

// patternOf returns the folder of the pattern that dir belongs to.
func patternOf(dir string) (folder string, ok bool) {
	unit := unitOf(dir)
	if floorOf(dir) == library && dir != string(library) && !isOnceAdapter(dir) && !isOnceHook(dir) && !slices.Contains(notPatterns, unit) {
		return string(library) + "/" + unit, true
	}
	return "", false
}

// contracts are the packages of the shop that exist to be shared: values, wire
// events and the provider's port.
var contracts = []string{"money", "event", "provider"}

// adapter is the folder of implementations of the provider's port. Who
// imports it has chosen a provider, and choosing is wiring.
const adapter = "internal/shop/provider/"

// friends lists which pattern may stand on which other one. Copied out, it
// goes together with these.
var friends = map[string][]string{
	"inbox": {"retry"},
	"saga":  {"outbox", "inbox", "retry"}, // retry comes along with inbox
}

// siblings says whether two packages on one floor may know each other.
func siblings(where floor, from, to string) bool {
	a, b := unitOf(from), unitOf(to)
	switch {
	case a == b:
		return true
	case where == shop:
		return slices.Contains(contracts, b)
	case where == library:
		_, fromPattern := patternOf(from)
		_, toPattern := patternOf(to)
		return !fromPattern || !toPattern || slices.Contains(friends[a], b)
	}
	return true
}
