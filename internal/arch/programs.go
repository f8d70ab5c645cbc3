package arch

// programRooms start processes: the shop's programs, and the services below them.
var programRooms = []string{"internal/lab/program", "internal/lab/devstack"}

var programWords = map[string][]string{
	"os":                                   {"StartProcess"},
	"os/exec":                              {"Command", "CommandContext"},
	module + "/internal/lab/devstack/proc": {"Start", "Run", "RunGroup"},
}

// ownPrograms are the files that start processes of another kind, and why.
var ownPrograms = map[string]string{
	"once/take_test.go":                 "builds and runs a program that has taken the module, with the go command",
	"bench/frames.go":                   "runs the browser that counts frames",
	"bench/machine.go":                  "asks tools for their version",
	"internal/lab/mutants/mutant.go":    "runs go test, and a campaign, on a planted bug",
	"internal/lab/chaos/report.go":      "asks git which revision was broken",
	"internal/lab/cli/tools.go":         "asks tools for their version",
	"internal/platform/fault/on.go":     "leaves a waker behind that outlives a process which stops itself",
	"cmd/demo/build.go":                 "runs the script that builds the page",
	"cmd/demo/welcome.go":               "opens the visitor's browser",
	"once/oncetest/killtest/subject.go": "starts what is judged, of any kind; the module imports nothing of the house",

	"internal/platform/fault/stop_test.go":     "runs itself as a program that is stopped",
	"cmd/demo/demo_linux_test.go":              "runs itself as the demo, to kill it",
	"cmd/relay/main_test.go":                   "runs itself as the relay, to kill it",
	"cmd/simulator/main_test.go":               "runs itself as the simulator, to kill it",
	"cmd/worker/worker_linux_test.go":          "runs itself as the worker, to kill it",
	"internal/edge/retention/kill_lab_test.go": "runs itself as the keeper, to kill it",
	"internal/lab/cli/house_test.go":           "runs itself as the command line",
}

// checkPrograms keeps the starting of processes in its rooms: what is started
// elsewhere outlives a launcher that is killed, and builds what is built already.
func checkPrograms(tree Tree) []Violation {
	return room{
		dirs: programRooms, words: programWords, exceptions: ownPrograms,
		list: "internal/arch/programs.go", detail: "%s starts a process; internal/lab/program starts the shop's, internal/lab/devstack its services",
	}.check(tree)
}
