// Command chaos runs a chaos campaign: see package chaos.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"payonce/internal/lab/chaos"
	"payonce/internal/lab/devstack/proc"
)

var flags struct {
	Duration   time.Duration `help:"For how long faults are injected; convergence and checks come after it." default:"10m"`
	Seed       uint64        `help:"Decides what breaks when, and what the buyers do. 0 draws one." default:"0"`
	Actions    []string      `help:"What armed crash points do." enum:"kill,stop,panic,error,delay" default:"kill,stop,panic,error,delay"`
	Buyers     int           `help:"How many buy at once." default:"40"`
	Rate       float64       `help:"How many checkouts begin in a second, at most." default:"25"`
	Patience   time.Duration `help:"How long to wait for the house to come to rest." default:"2m"`
	Promise    time.Duration `help:"How long it may take to come to rest; longer is a failure." default:"30s"`
	Cluster    bool          `help:"Three nodes of RabbitMQ, of which one or two are killed, frozen and cut off, and a Postgres with a standby that takes over. Two cores bear it with --actions=kill --buyers=12 --rate=8."`
	Dir        string        `help:"Where data, logs and the report are kept." default:".payonce/chaos"`
	Report     string        `help:"Also write the report there." placeholder:"FILE.md"`
	FaultsOnly bool          `help:"Only checkouts, without the other doors to the money: for runs of a minute."`
	Quiet      bool          `help:"Do not print the plan; it is in plan.json."`
	PlanOnly   []string      `help:"Print the plan for these crash points and end." placeholder:"POINT"`

	StopWithParent bool `hidden:""`
}

const about = `A chaos campaign: a private house with two api, two relays and three workers, buyers who retry, faults from a seed; then all faults are lifted, the house comes to rest, and everything that was promised is checked.

Status 0: everything held. 1: something did not; the data folder is kept. 2: the campaign could not be carried out.`

func main() {
	kong.Parse(&flags, kong.Name("chaos"), kong.Description(about), kong.UsageOnError())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status := run(ctx)
	stop()
	os.Exit(status)
}

func run(ctx context.Context) int {
	if flags.StopWithParent {
		if err := proc.StopWithParent(); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			return 2
		}
	}
	if flags.Seed == 0 {
		flags.Seed = uint64(rand.Uint32())
	}
	if len(flags.PlanOnly) > 0 {
		plan := chaos.Plan(flags.Seed, flags.Duration, flags.PlanOnly, flags.Actions)
		if flags.Cluster {
			plan = chaos.InCluster(plan, flags.Seed, flags.Duration)
		}
		for _, step := range plan {
			fmt.Println(step)
		}
		return 0
	}
	report, err := chaos.Run(ctx, chaos.Options{
		Seed: flags.Seed, Length: flags.Duration, Actions: flags.Actions, Buyers: flags.Buyers, Rate: flags.Rate, FaultsOnly: flags.FaultsOnly, Cluster: flags.Cluster,
		Dir: flags.Dir, Patience: flags.Patience, Promise: flags.Promise, Say: speaker(),
	})
	if errors.Is(err, context.Canceled) {
		fmt.Println("stopped; nothing of it runs any more")
		return 2
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: seed %d: %v\n", flags.Seed, err)
		return 2
	}
	if err := report.Write(flags.Dir, flags.Report); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 2
	}
	return verdict(report)
}

// speaker prints a line at a time, and leaves the plan out when asked to.
func speaker() func(string) {
	var mu sync.Mutex
	return func(line string) {
		if flags.Quiet && len(line) > 7 && line[:7] == "  plan " {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(line)
	}
}

func verdict(r *chaos.Report) int {
	fmt.Printf("seed %d: %d captures, %d process kills, %d interruptions, at rest after %.1f s; report in %s/report.md\n",
		r.Seed, r.Captures, r.KillsInAll, r.Interruptions, r.Convergence.Seconds(), flags.Dir)
	if r.Passed() {
		fmt.Printf("all %d checks hold\n", len(r.Invariants))
		return 0
	}
	for _, failure := range r.Failures {
		fmt.Println("FAILED ", failure)
	}
	fmt.Printf("data and logs are kept in %s\n", flags.Dir)
	return 1
}
