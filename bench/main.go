// Command bench measures payonce against the floors that it stands on.
//
// Absolute numbers of a shared machine say little: the same code was seen to
// give half of itself an hour later. So every figure here is a ratio of two
// things that were measured side by side, in turn (A B A B …), in at least five
// rounds, and is given as its median with the smallest and the largest round.
//
// A floor is what the same work costs with nothing around it: the same rows in
// the same tables written by bare prepared statements, or the same messages
// published by a bare client. What runs against it is the real thing: the
// default builds of cmd/api and cmd/relay as processes, asked
// over HTTP, on a private Postgres and RabbitMQ that really sync to disk.
//
// Nothing is believed unverified: after each slice its effects are counted, and
// a slice whose effects do not add up is an error, not a number.
//
// To add a line, write a function that returns a [line] and name it in [lines].
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"payonce/internal/lab/program"
)

// config is every setting.
type config struct {
	Rounds  int      `default:"5" help:"Rounds per line. Fewer than five are a look and not a measurement: nothing is written (${default})."`
	Seconds float64  `default:"2" help:"How long a slice is (${default})."`
	Clients []int    `default:"16,64" sep:"," help:"How many clients the capture lines have (${default})."`
	Only    []string `sep:"," placeholder:"LINE" help:"Only lines whose name begins like this, for example capture or relay."`
	Between []string `sep:"," placeholder:"CONTENDER" help:"Only these contenders of each line, for example byhand,payonce: a look, of which nothing is written."`
	Out     string   `default:"docs/bench" placeholder:"DIR" help:"Where a measurement is written, seen from the repository: a JSON, a table and a plot for each line (${default})."`
	Dir     string   `default:".payonce/bench" placeholder:"DIR" help:"Where the private services keep their data for as long as the run takes, seen from the repository (${default})."`
	Bin     string   `type:"path" placeholder:"DIR" help:"A folder that holds api, relay, worker and byhand already, for example with a profiler in them. Default: they are built."`
	Profile string   `placeholder:"DIR" help:"A look that is profiled: the programs are built with a profiler, and what they and Postgres spent is written here, seen from the repository."`
	Half    int      `enum:"0,1,2" default:"0" placeholder:"N" help:"Only the first or the second half of all lines."`
	Keep    bool     `help:"Keep data and logs of the services."`
}

const about = `Measures payonce side by side with the floors it stands on, in one run.

It starts a private Postgres and RabbitMQ and the default builds of api and relay, and stops all of them, whatever happens. Its status is 1 when a line is far below its target: under 0.6 of it. Anything nearer may be the machine.`

func main() {
	var cfg config
	kong.Parse(&cfg, kong.Name("bench"), kong.Description(about))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, cfg)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errFar says that something is wrong and not merely noisy.
var errFar = errors.New("far below target")

// measurement is how many rounds make one.
const measurement = 5

func bench(ctx context.Context, cfg config) (err error) {
	if cfg.Rounds < 1 || cfg.Seconds <= 0 {
		return errors.New("there must be at least one round, longer than nothing")
	}
	root, err := program.Root()
	if err != nil {
		return err
	}
	cfg.Out, cfg.Dir = within(root, cfg.Out), within(root, cfg.Dir)
	if cfg.Profile != "" {
		cfg.Profile = within(root, cfg.Profile)
	}
	h, err := open(ctx, cfg, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	about, err := describe(ctx, h)
	if err != nil {
		return err
	}
	fmt.Println(about.headline())

	var far []string
	for _, l := range lines(h, cfg) {
		if !cfg.wants(l) {
			continue
		}
		r, err := measure(ctx, h, l.between(cfg.Between))
		if err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
		table := r.table()
		fmt.Println("\n" + table)
		if r.far() {
			far = append(far, l.Name)
		}
		if cfg.Rounds >= measurement && len(cfg.Between) == 0 && cfg.Profile == "" {
			if err := write(cfg.Out, report{About: about, Result: r}, table); err != nil {
				return err
			}
		}
	}
	if len(far) > 0 {
		return fmt.Errorf("%w: %s", errFar, strings.Join(far, ", "))
	}
	return nil
}

// lines is everything that can be measured.
func lines(h *house, cfg config) (all []line) {
	for _, clients := range cfg.Clients {
		all = append(all, captureLine(h, clients))
	}
	return append(all,
		replayLine(h), stampedeLine(h), arrivalLine(h), memoryLine(h, "memory", 30*time.Second, 1), growthLine(h, "growth-1m", 1_000_000, 1),
		relayLine(h, oneQueue), relayLine(h, threeQueues), ledgerLine(h), mailLine(h), scaleLine(h), retainLine(h), startLine(h),
		appendLine(h, 16), drainLine(h), framesLine(h),
		// Each takes long and must be named.
		memoryLine(h, "memory-10m", 10*time.Minute, 0), growthLine(h, "growth-10m", 10_000_000, 0))
}

// wants says whether a line is to be measured: it is named, or nothing is named and it is
// of the half that is asked for. One that is of no half must be named.
func (c config) wants(l line) bool {
	for _, prefix := range c.Only {
		if strings.HasPrefix(l.Name, prefix) {
			return true
		}
	}
	return len(c.Only) == 0 && l.Half > 0 && (c.Half == 0 || c.Half == l.Half)
}

// within reads a path as seen from the repository, wherever this was started.
func within(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

// slice is the length of one.
func (c config) slice() time.Duration { return time.Duration(c.Seconds * float64(time.Second)) }

// bin is where the programs are.
func (c config) bin() string {
	if c.Bin != "" {
		return c.Bin
	}
	return filepath.Join(c.Dir, "bin")
}
