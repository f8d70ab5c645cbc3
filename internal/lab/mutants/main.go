// Command mutants proves the tests: it takes one protection away at a time and
// expects a named test, or a named invariant of a short chaos campaign, to
// catch it. The tree is never touched: each planted bug is a `go build
// -overlay`.
//
// The simulator's mutants are of another kind: each is a provider that behaves
// otherwise than the kind one, and the named test must pass with it, and fail
// once the shop's protection is gone as well.
//
// A mutant that no longer fits its source is an error, not a success, so that
// a rename cannot quietly disarm the proof.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"
)

var flags struct {
	Only      []string      `help:"Names of the mutants to run; all when empty." placeholder:"NAME"`
	Canonical bool          `help:"The bugs of the design's list, under their names there, and those that a campaign catches."`
	Timeout   time.Duration `help:"How long one mutant's test may run." default:"3m"`
	List      bool          `help:"Only list them."`
}

func main() {
	kong.Parse(&flags, kong.Name("mutants"), kong.Description("Plants one bug at a time and expects a named test or invariant to catch it. Services come from PAYONCE_TEST_*, or are started."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := hunt(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// quarry is a mutant under the name that is shown.
type quarry struct {
	title string
	mutant
}

// planted are the mutants that a test catches.
func planted() []mutant {
	return slices.Concat(mutants, ofCalls, ofSagas, ofPersons, ofDoors, providers)
}

// chosen is what the flags ask for. Bugs that take a campaign each run when they
// are named, and with the design's list.
func chosen() (list []quarry) {
	rest := planted()
	all := slices.Concat(rest, campaigned)
	switch {
	case flags.Canonical:
		for _, c := range canonical {
			m := mutant{name: c.mutant}
			if i := slices.IndexFunc(all, func(m mutant) bool { return m.name == c.mutant }); i >= 0 {
				m = all[i]
			}
			list = append(list, quarry{c.bug, m})
		}
		rest = campaigned
	case len(flags.Only) > 0:
		rest = all
	}
	for _, m := range rest {
		list = append(list, quarry{m.name, m})
	}
	if len(flags.Only) == 0 {
		return list
	}
	return slices.DeleteFunc(list, func(q quarry) bool { return !slices.Contains(flags.Only, q.name) })
}

func hunt(ctx context.Context) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	defer func() { _ = out.Flush() }()
	got, list := 0, chosen()
	var free, late []string
	for _, q := range list {
		if flags.List {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", q.title, q.breaks, q.must(), q.catcher())
			continue
		}
		began := time.Now()
		verdict, runs, err := q.chase(ctx)
		if errors.Is(err, errNotPlanted) {
			fmt.Fprintf(out, "%s\tNOT PLANTED\t\t\t%s\n", q.title, q.name)
			free = append(free, q.title)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		switch verdict {
		case caught, hung, stood:
			got++
		case timedOut:
			late = append(late, q.title)
		default:
			free = append(free, q.title)
		}
		if runs > 1 {
			verdict = fmt.Sprintf("%s in run %d", verdict, runs)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%.0f s\t%s\n", q.title, verdict, q.catcher(), time.Since(began).Seconds(), q.breaks)
		_ = out.Flush()
	}
	if flags.List {
		return nil
	}
	_ = out.Flush()
	fmt.Printf("%d of %d mutants: the planted bug was caught, or the shop stood the provider\n", got, len(list))
	return unproven(got, free, late)
}

// unproven is the error of a run in which a bug was not caught.
func unproven(got int, free, late []string) error {
	var errs []error
	if len(free) > 0 {
		errs = append(errs, fmt.Errorf("a planted bug survived or is not planted, so the test that should catch it proves nothing, or the shop is mistaken about a provider: %s", strings.Join(free, ", ")))
	}
	if len(late) > 0 {
		errs = append(errs, fmt.Errorf("a test had no end in time, which proves nothing: run it alone or with more --timeout, or say that the bug hangs: %s", strings.Join(late, ", ")))
	}
	if got == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("nothing was caught: no mutant has been run"))
	}
	return errors.Join(errs...)
}

// chances is how often a bug may get away, or its test have no end, before that is the
// verdict. Some show in a race only, which a busy machine may lose once.
const chances = 3

func (q quarry) chase(ctx context.Context) (verdict string, runs int, err error) {
	for runs = 1; ; runs++ {
		verdict, err = q.plant(ctx)
		if err != nil || verdict != survived && verdict != timedOut || runs == chances {
			return verdict, runs, err
		}
	}
}
