package arch

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

	"bench/byhand/main.go": "is what the house is measured against, and has nothing of it",

	"once/webhook/webhooktest/webhooktest.go":          "a suite goes with its pattern and must not import the laboratory",
	"once/examples/minimal/main.go":                    "a program of its own; its keys make a repetition harmless",
	"once/examples/foreign/main.go":                    "a program of its own; its keys make a repetition harmless",
	"once/oncetest/killtest/post.go":                   "asks again under one id by itself; the module imports nothing of the house",
	"once/examples/minimal/main_test.go":               "its clicks have one key",
	"once/oncetest/services.go":                        "makes virtual hosts; the module imports nothing of the house",
	"once/oncetest/nettest/nettest_test.go":            "shows that net/http repeats a keyed request",
	"internal/shop/provider/simulated/breaker_test.go": "counts what net/http repeats",

	"internal/lab/devstack/cluster.go": "asks the broker; tests inside outbox and saga import devstack, and the room imports both",
}

// checkHTTPClients keeps net/http's clients out of every other file, so that no
// caller forgets what the room remembers.
func checkHTTPClients(tree Tree) []Violation {
	return room{
		dirs: []string{clientRoom}, words: map[string][]string{"net/http": clientWords}, exceptions: ownClients,
		list: "internal/arch/http.go", detail: "%s repeats keyed requests by itself; use " + clientRoom,
	}.check(tree)
}

// serverRoom holds the one HTTP server.
const serverRoom = "internal/platform/httpserver"

// ownServers are the files that serve by other means, and why.
var ownServers = map[string]string{
	"bench/provider.go":                      "a provider that answers at once, to nothing but one api on loopback",
	"bench/byhand/main.go":                   "is what the house is measured against, and has nothing of it",
	"bench/bench_test.go":                    "plays an api that refuses, and answers nothing but 429",
	"once/examples/minimal/main.go":          "a program of its own, which shows the patterns and no more",
	"once/examples/foreign/main.go":          "a program of its own, which shows the patterns and no more",
	"once/examples/subjects/pgx/main.go":     "a stranger's program, which is killed",
	"once/examples/subjects/river/main.go":   "a stranger's program, which is killed",
	"once/oncetest/killtest/subject_test.go": "a stranger's program, which is killed",
	"cmd/demo/demo_linux_test.go":            "plays a program that a demo starts, and answers nothing but 200",
	"internal/lab/program/program_test.go":   "plays a program, and answers nothing but 200",
}

// checkHTTPServers keeps net/http's servers out of every other file: they have no
// deadlines of their own, and a client that never ends its body holds them.
func checkHTTPServers(tree Tree) []Violation {
	return room{
		dirs: []string{serverRoom}, words: map[string][]string{"net/http": {"Server", "Serve", "ListenAndServe", "ListenAndServeTLS"}}, exceptions: ownServers,
		list: "internal/arch/http.go", detail: "%s has no deadlines; use " + serverRoom,
	}.check(tree)
}
