// Command mutants proves the tests: it takes one protection away at a time and
// expects a named test to fail. The tree is never touched: each planted bug is
// a `go build -overlay` of one file.
//
// A mutant that no longer fits its source is an error, not a success, so that
// a rename cannot quietly disarm the proof.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"
)

// mutant is one planted bug.
type mutant struct {
	name string
	// breaks says which promise is gone.
	breaks   string
	file     string
	old, new string
	pkg      string
	test     string
}

var flags struct {
	Only    []string      `help:"Names of the mutants to run; all when empty." placeholder:"NAME"`
	Timeout time.Duration `help:"How long one mutant's test may run." default:"3m"`
	List    bool          `help:"Only list them."`
}

func main() {
	kong.Parse(&flags, kong.Name("mutants"), kong.Description("Plants one bug at a time and expects a named test to catch it. Services come from PAYONCE_TEST_*, or are started."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	defer func() { _ = out.Flush() }()
	caught, tried := 0, 0
	for _, m := range mutants {
		if !wanted(m.name) {
			continue
		}
		tried++
		if flags.List {
			fmt.Fprintf(out, "%s\t%s\t%s\n", m.name, m.breaks, m.test)
			continue
		}
		began := time.Now()
		verdict, err := m.plant(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if verdict == "caught" {
			caught++
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%.0f s\t%s\n", m.name, verdict, m.test, time.Since(began).Seconds(), m.breaks)
		_ = out.Flush()
	}
	if flags.List {
		return nil
	}
	_ = out.Flush()
	fmt.Printf("%d of %d planted bugs caught\n", caught, tried)
	if caught != tried {
		return errors.New("a planted bug survived: the test that should catch it proves nothing")
	}
	return nil
}

func wanted(name string) bool {
	for _, only := range flags.Only {
		if only == name {
			return true
		}
	}
	return len(flags.Only) == 0
}

// plant runs the mutant's test on the mutated source. Caught means that the
// named test ran and failed; a build that fails proves nothing.
func (m mutant) plant(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := m.overlay(dir)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, flags.Timeout+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-overlay", overlay, "-timeout", flags.Timeout.String(), "-run", "^"+m.test+"$", m.pkg)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	output, err := cmd.CombinedOutput()
	text := string(output)
	switch {
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		return "", fmt.Errorf("the mutated source does not build:\n%s", text)
	case strings.Contains(text, "no tests to run"):
		return "", fmt.Errorf("there is no test %s in %s", m.test, m.pkg)
	case err == nil:
		return "SURVIVED", nil
	case strings.Contains(text, "--- FAIL: "+m.test), strings.Contains(text, "panic: test timed out"):
		return "caught", nil
	}
	return "", fmt.Errorf("the test ended without a verdict: %w\n%s", err, text)
}

func (m mutant) overlay(dir string) (string, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("the text to replace stands %d times in %s; this mutant has to be written anew", n, m.file)
	}
	mutated := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}
