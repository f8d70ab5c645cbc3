package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// line is one comparison: who takes part, and which ratios matter.
type line struct {
	Name  string // begins its files' names
	Title string
	Unit  string
	// Notes say what a reader must know to judge the numbers.
	Notes      []string
	Contenders []contender
	Ratios     []ratio
	Limits     []limit
	// Open starts what the whole line needs; what it returns ends it.
	Open func(ctx context.Context) (end func() error, err error)
}

// contender is one side of a comparison.
type contender struct {
	Name  string
	Title string
	// Slice makes ready what it needs, calls c.start, works for about as long
	// as c.length, calls c.stop, and verifies its effects: an error is no
	// number.
	Slice func(ctx context.Context, c *clock) error
}

// ratio is what a line promises: Of is at least Target times To.
type ratio struct {
	Of, To string
	Target float64
}

// limit is what an operation of a contender may cost at most, on the machine that
// the line was written on: a figure and no promise.
type limit struct {
	Of, What string
	Most     float64
	Value    func(slice) float64
}

// clock measures one slice. Everything before start and after stop is outside.
type clock struct {
	length time.Duration
	idle   float64 // of the machine, just before start
	began  time.Time
	took   time.Duration
	used   usage  // until the slice began
	log    string // where the log ended when the slice began
	logged wal    // by one operation
	cost   map[string]float64
	total  float64
	done   int
	// latency is of single operations, where somebody notes them.
	latency []time.Duration
}

// start waits for the machine to be idle and then starts the clock.
func (c *clock) start(ctx context.Context) {
	c.idle = waitIdle(ctx)
	c.used = spent()
	c.began = time.Now()
}

// stop ends the slice in which done operations were finished.
func (c *clock) stop(done int) {
	c.took = time.Since(c.began)
	c.cost, c.total = spent().perOperation(c.used, max(1, done))
	c.done = done
}

// slice is what one contender did in one round.
type slice struct {
	PerSecond float64 `json:"per_second"`
	Done      int     `json:"done"`
	Seconds   float64 `json:"seconds"`
	Idle      float64 `json:"machine_idle_before"`
	// CPUMicros is what one operation cost in processor time, of everybody who
	// had a part in it: load generator, programs and services.
	CPUMicros float64            `json:"cpu_us_per_operation"`
	CPUOf     map[string]float64 `json:"cpu_us_per_operation_of"`
	// WALRecords and WALBytes are what one operation wrote into Postgres's log.
	WALRecords float64 `json:"wal_records_per_operation,omitempty"`
	WALBytes   float64 `json:"wal_bytes_per_operation,omitempty"`

	P50Millis float64 `json:"p50_ms,omitempty"`
	P99Millis float64 `json:"p99_ms,omitempty"`
}

func (c *clock) slice() slice {
	s := slice{WALRecords: c.logged.records, WALBytes: c.logged.bytes, Done: c.done, Seconds: c.took.Seconds(), Idle: c.idle, CPUMicros: c.total, CPUOf: c.cost, PerSecond: float64(c.done) / c.took.Seconds()}
	if n := len(c.latency); n > 0 {
		slices.Sort(c.latency)
		s.P50Millis, s.P99Millis = millis(c.latency[n/2]), millis(c.latency[n*99/100])
	}
	return s
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// between leaves only those of the named contenders, and what is said of them; all
// of them when none is named.
func (l line) between(names []string) line {
	if len(names) == 0 {
		return l
	}
	is := func(name string) bool { return slices.Contains(names, name) }
	l.Contenders = slices.DeleteFunc(l.Contenders, func(c contender) bool { return !is(c.Name) })
	l.Ratios = slices.DeleteFunc(l.Ratios, func(r ratio) bool { return !is(r.Of) || !is(r.To) })
	l.Limits = slices.DeleteFunc(l.Limits, func(w limit) bool { return !is(w.Of) })
	return l
}

var errNothingDone = errors.New("nothing was done in the slice")

// measure runs a line: one round that does not count, then the rounds that do,
// every contender once in each.
func measure(ctx context.Context, l line, cfg config) (r result, err error) {
	end, err := l.Open(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, end()) }()
	r = result{Name: l.Name, Title: l.Title, Unit: l.Unit, Notes: l.Notes}
	for _, c := range l.Contenders {
		r.Contenders = append(r.Contenders, sides{Name: c.Name, Title: c.Title})
	}
	for round := range cfg.Rounds + 1 {
		for i, c := range l.Contenders {
			t := &clock{length: cfg.slice()}
			if round == 0 {
				t.length = min(t.length, time.Second)
			}
			if err := c.Slice(ctx, t); err != nil {
				return r, fmt.Errorf("%s: %w", c.Name, err)
			}
			if t.done == 0 {
				return r, fmt.Errorf("%s: %w", c.Name, errNothingDone)
			}
			s := t.slice()
			fmt.Fprintf(os.Stderr, "%s  round %d of %d  %-12s %8s /s, µs each: %v, WAL each: %.1f records, %s bytes (machine %.0f %% idle before)\n",
				l.Name, round, cfg.Rounds, c.Name, thousands(s.PerSecond), s.CPUOf, s.WALRecords, thousands(s.WALBytes), 100*s.Idle)
			if round > 0 {
				r.Contenders[i].Slices = append(r.Contenders[i].Slices, s)
			}
		}
	}
	for _, want := range l.Ratios {
		r.Ratios = append(r.Ratios, r.compare(want))
	}
	for _, l := range l.Limits {
		r.Limits = append(r.Limits, r.weigh(l))
	}
	return r, nil
}
