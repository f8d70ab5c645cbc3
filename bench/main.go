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
	Bin     string   `type:"path" placeholder:"DIR" help:"A folder that holds api, relay and byhand already, for example with a profiler in them. Default: they are built."`
	Explain bool     `help:"Say after each slice of a capture what Postgres spent on each statement."`
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
		if !wanted(cfg.Only, l.Name) {
			continue
		}
		r, err := measure(ctx, l.between(cfg.Between), cfg)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
		table := r.table()
		fmt.Println("\n" + table)
		if r.far() {
			far = append(far, l.Name)
		}
		if cfg.Rounds >= measurement && len(cfg.Between) == 0 {
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
	return append(all, relayLine(h, oneQueue), relayLine(h, threeQueues), appendLine(h, 16), drainLine(h), framesLine(h))
}

func wanted(only []string, name string) bool {
	for _, prefix := range only {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return len(only) == 0
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
