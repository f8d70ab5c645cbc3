// Command ordering measures what order costs: the shop's relay against one that
// keeps none, and a strict queue against one that several consumers share. It
// starts a private Postgres and RabbitMQ that really sync to disk. The
// contenders of a round run one after the other, round after round, because two
// numbers of a shared machine can only be compared when they were taken side by
// side.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"payonce/internal/lab/devstack"
	"payonce/internal/platform/postgres"
	"payonce/migrations"
	"payonce/once/rabbit"
)

type config struct {
	Rounds int    `default:"5" help:"Rounds that count; one before them does not (${default})."`
	Events int    `default:"4000" help:"Events of a slice; a multiple of 400 (${default})."`
	Out    string `default:"docs/bench/ordering.json" placeholder:"FILE" help:"Where the result goes (${default})."`
	Dir    string `default:".payonce/ordering" placeholder:"DIR" help:"Where the private services keep their data (${default})."`
}

func main() {
	var cfg config
	kong.Parse(&cfg, kong.Name("ordering"), kong.Description("Measures what order costs."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := measure(ctx, cfg)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ordering:", err)
		os.Exit(1)
	}
}

// slice is one contender's turn in one round.
type slice struct {
	PerSecond  float64 `json:"per_second"`
	Inversions int     `json:"inversions"`
	Copies     int     `json:"copies"`
}

type contender struct {
	Name   string  `json:"name"`
	Slices []slice `json:"slices"`
	run    func(ctx context.Context) (slice, error)
}

type result struct {
	At         time.Time    `json:"at"`
	Cores      int          `json:"cores"`
	Go         string       `json:"go"`
	Fsync      bool         `json:"postgres_fsync"`
	Rounds     int          `json:"rounds"`
	Events     int          `json:"events_per_slice"`
	Contenders []*contender `json:"contenders"`
}

func measure(ctx context.Context, cfg config) (err error) {
	stack, err := devstack.Start(ctx, devstack.Options{Dir: cfg.Dir, Fresh: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Close(), os.RemoveAll(stack.Dir())) }()
	f, err := furnish(ctx, cfg, stack)
	if err != nil {
		return err
	}
	defer f.close()
	r := result{At: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Go: runtime.Version(), Fsync: true, Rounds: cfg.Rounds, Events: cfg.Events, Contenders: f.contenders()}
	for round := range cfg.Rounds + 1 {
		for _, c := range r.Contenders {
			s, err := c.run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			fmt.Printf("round %d  %-36s %6.0f /s  %d inversions  %d copies\n", round, c.Name, s.PerSecond, s.Inversions, s.Copies)
			if round > 0 { // The first warms up.
				c.Slices = append(c.Slices, s)
			}
		}
	}
	for _, c := range r.Contenders {
		fmt.Println(c.line())
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(cfg.Out, append(b, '\n'), 0o644)
}

func (c *contender) line() string {
	spread := func(of func(slice) float64) (median, least, most float64) {
		var all []float64
		for _, s := range c.Slices {
			all = append(all, of(s))
		}
		slices.Sort(all)
		return all[len(all)/2], all[0], all[len(all)-1]
	}
	rate, slowest, fastest := spread(func(s slice) float64 { return s.PerSecond })
	inversions, fewest, most := spread(func(s slice) float64 { return float64(s.Inversions) })
	return fmt.Sprintf("| %s | %.0f (%.0f–%.0f) | %.0f (%.0f–%.0f) |", c.Name, rate, slowest, fastest, inversions, fewest, most)
}

// furniture is what all contenders use.
type furniture struct {
	cfg  config
	dsn  string
	url  string
	db   *postgres.DB
	conn *rabbit.Conn
}

func furnish(ctx context.Context, cfg config, stack *devstack.Stack) (*furniture, error) {
	f := &furniture{cfg: cfg, dsn: stack.PostgresDSN(devstack.MainDatabase), url: stack.AMQPURL("/")}
	if _, err := postgres.Migrate(ctx, postgres.Config{DSN: f.dsn}, migrations.Files); err != nil {
		return nil, err
	}
	var err error
	if f.db, err = postgres.Open(ctx, postgres.Config{DSN: f.dsn, PoolSize: 8}); err != nil {
		return nil, err
	}
	if f.conn, err = f.connect(ctx); err != nil {
		return nil, errors.Join(err, f.db.Close())
	}
	return f, nil
}

func (f *furniture) connect(ctx context.Context) (*rabbit.Conn, error) {
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{f.url}, Topology: topology})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return conn, conn.Ready(ctx)
}

func (f *furniture) close() {
	f.conn.Close()
	_ = f.db.Close()
}
