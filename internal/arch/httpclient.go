package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// clientRoom holds the one HTTP client.
const clientRoom = "internal/lab/client"

// clientWords are what net/http offers to a caller. Each of them repeats a
// request that carries an Idempotency-Key by itself when a reused connection
// dies, so that one click becomes two deliveries of which its sender knows
// nothing.
var clientWords = []string{"Client", "DefaultClient", "Transport", "DefaultTransport", "Get", "Head", "Post", "PostForm"}

// ownClients are the files that call by other means than [clientRoom], and why.
var ownClients = map[string]string{
	"internal/shop/provider/simulated/simulated.go": "the shop's way to its provider: no floor imports the laboratory, and its keys make a repetition harmless",
	"internal/lab/world/webhook.go":                 "the provider is another company, which knows nothing of the shop's code",

	"internal/pattern/webhook/webhooktest/webhooktest.go": "a suite goes with its pattern and must not import the laboratory",
	"internal/platform/nettest/nettest_test.go":           "shows that net/http repeats a keyed request",
	"internal/shop/provider/simulated/breaker_test.go":    "counts what net/http repeats",

	"internal/lab/devstack/alarm.go":           "asks the broker; tests inside outbox and saga import devstack, and the room imports both",
	"internal/lab/devstack/devtest/devtest.go": "asks the broker; tests inside outbox and saga import devtest, and the room imports both",

	"cmd/demo/demo.go":              "asks a program whether it is ready, and nothing else",
	"internal/lab/chaos/program.go": "asks a program whether it is ready, and nothing else",
	"internal/lab/stage/stage.go":   "asks a program whether it is ready, and nothing else",
}

// checkHTTPClients keeps net/http's clients out of every other file, so that no
// caller forgets what the room remembers. An exception that is needed no more is
// a violation too: the list says what is.
func checkHTTPClients(tree Tree) []Violation {
	var found []Violation
	for _, file := range tree.goFiles() {
		if under(file.Dir(), clientRoom) {
			continue
		}
		if used := clientsIn(file); ownClients[file.Path] == "" {
			found = append(found, used...)
		} else if len(used) == 0 {
			found = append(found, Violation{Path: file.Path, Line: 1, Detail: "makes no HTTP client any more; take it off the list in internal/arch/httpclient.go"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ownClients)) {
		if tree[name] == nil {
			found = append(found, Violation{Path: name, Detail: "there is no such file; take it off the list in internal/arch/httpclient.go"})
		}
	}
	return found
}

// clientsIn lists the words of net/http's clients in a file.
func clientsIn(file *File) []Violation {
	var found []Violation
	for _, each := range file.imports {
		if each.path != "net/http" {
			continue
		}
		name := each.as
		switch name {
		case "":
			name = "http"
		case ".":
			found = append(found, Violation{Path: file.Path, Line: each.line, Detail: "net/http without its name hides who makes a client"})
		}
		for _, used := range file.qualified {
			if word, of := strings.CutPrefix(used.text, name+"."); of && slices.Contains(clientWords, word) {
				found = append(found, Violation{Path: file.Path, Line: used.line,
					Detail: fmt.Sprintf("http.%s repeats keyed requests by itself; use %s", word, clientRoom)})
			}
		}
	}
	return found
}
