// Package arch holds the rules of the house and the test that keeps them.
//
// # The problem
//
// A drawing of layers says what was meant; only imports say what is. The first
// convenient import from a pattern up into the shop turns a package that could
// be copied out alone into one that cannot, and no compiler objects.
//
// # The promise
//
// The folder is the rule. A package stands on the floor that its path names,
// may import the floors below, and never one above:
//
//	cmd                wiring; no package imports it
//	internal/edge      2  where the world comes in; its packages know each other,
//	                      outside of it only cmd and the laboratory do
//	internal/shop      1  the business; siblings meet only in money, event, provider
//	internal/platform  0  the frame; imports none of the others
//	migrations api web    embedded files, beside floor 0
//
//	internal/lab       the teaching side: imports every floor, no floor imports it
//	docs deploy        tests about texts and manifests; nothing but _test.go
//	bench              measures the house against what is written by hand
//	once               the patterns, for any program: know no business word, stand on
//	                   nothing here, and their core on the standard library alone
//
// They stand in several modules, whose one list is scripts/modules: the rules see
// each, and refuse a go.mod that is not on it.
//
// A package on none of these is refused rather than ignored, so that a new
// folder is a decision and not an accident. The same goes for the libraries
// that must not spread (gin, amqp091), for HTTP clients (made by
// internal/lab/client, whose requests net/http cannot repeat, and in a short list
// of files with a reason each) and servers (internal/platform/httpserver, which
// bounds what a client can hold), for the starting of processes (internal/lab/program
// and internal/lab/devstack, with such a list too), for transactions (opened by the adapters
// of once only), for test helpers (never in a binary), and for the words of the business
// inside once.
//
// # How it looks
//
// Check reads source with go/parser and looks at every .go file whatever its
// build tags. A test that shelled out to `go list` would see one set of tags
// only, and would stay green from the test cache after the tree had changed;
// files opened by the test itself are part of its cache key.
//
// Test files obey the floors too. They get three freedoms: they may import the
// laboratory (a private Postgres and RabbitMQ), the provider's adapter, and
// may open a transaction to play the rival.
//
// # What is not promised
//
// Nothing here resolves types: an interface smuggled through a value is not
// seen, nor a proxy that takes net/http's transport by naming none, and a method
// of another type that happens to be called Begin is. The linter's depguard says
// the floors in the editor too (.golangci.yml); where the two differ, this package
// is right.
//
// The rules are themselves under test: planted_test.go adds one offending file
// at a time to the real tree and expects the named rule to fire.
package arch
