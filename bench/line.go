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
	// Unit names what is shown of each slice.
	Unit string
	// Shown is what is shown and compared; nil means how many were done a second.
	Shown func(slice) float64
	// Half is the part of a whole run that the line belongs to, 1 or 2; 0 means none: it is
	// measured only when it is named.
	Half int
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

// ratio is what a line promises: Of is at least Target times To, or, where small is good,
// AtMost that.
type ratio struct {
	Of, To string
	Target float64
	AtMost bool
	// What is compared; "" and nil mean what the line shows.
	What  string
	Value func(slice) float64
}

// figure is a value of a slice by its name.
func figure(name string) func(slice) float64 {
	return func(s slice) float64 { return s.Figures[name] }
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
	figures map[string]float64
	// begun and ended are called around the slice, outside the clock, when it is profiled.
	begun   func(ctx context.Context) error
	ended   func(done int) error
	problem error
}

// note keeps a figure of the slice under its name, which has its unit.
func (c *clock) note(name string, value float64) {
	if c.figures == nil {
		c.figures = map[string]float64{}
	}
	c.figures[name] = value
}

// start waits for the machine to be idle and then starts the clock.
func (c *clock) start(ctx context.Context) {
	if c.begun != nil {
		c.problem = c.begun(ctx)
	}
	c.idle = waitIdle(ctx)
	c.used = spent()
	c.began = time.Now()
}

// stop ends the slice in which done operations were finished.
func (c *clock) stop(done int) {
	c.took = time.Since(c.began)
	c.cost, c.total = spent().perOperation(c.used, max(1, done))
	c.done = done
	if c.ended != nil {
		c.problem = errors.Join(c.problem, c.ended(done))
	}
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

	// P50Millis and P99Millis are of single operations.
	P50Millis float64 `json:"p50_ms,omitempty"`
	P99Millis float64 `json:"p99_ms,omitempty"`
	// Figures are what else a line notes.
	Figures map[string]float64 `json:"figures,omitempty"`
}

func (c *clock) slice() slice {
	s := slice{WALRecords: c.logged.records, WALBytes: c.logged.bytes, Done: c.done, Seconds: c.took.Seconds(), Idle: c.idle,
		CPUMicros: c.total, CPUOf: c.cost, PerSecond: float64(c.done) / c.took.Seconds(), Figures: c.figures}
	s.P50Millis, s.P99Millis = percentiles(c.latency)
	return s
}

// percentiles are the median and the 99th of a hundred, in milliseconds.
func percentiles(latency []time.Duration) (p50, p99 float64) {
	n := len(latency)
	if n == 0 {
		return 0, 0
	}
	slices.Sort(latency)
	return millis(latency[n/2]), millis(latency[n*99/100])
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
func measure(ctx context.Context, h *house, l line) (r result, err error) {
	end, err := l.Open(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, end()) }()
	r = result{Name: l.Name, Title: l.Title, Unit: l.Unit, Notes: l.Notes, shown: l.Shown}
	for _, c := range l.Contenders {
		r.Contenders = append(r.Contenders, sides{Name: c.Name, Title: c.Title})
	}
	for round := range h.cfg.Rounds + 1 {
		for i, c := range l.Contenders {
			t := &clock{length: h.cfg.slice()}
			if round == 0 {
				t.length = min(t.length, time.Second)
			}
			if h.profiler != nil {
				t.begun = func(ctx context.Context) error { return h.profiler.begin(ctx, h.db) }
				t.ended = func(done int) error { return h.profiler.end(ctx, h.db, l.Name, c.Name, done) }
			}
			if err := errors.Join(c.Slice(ctx, t), t.problem); err != nil {
				return r, fmt.Errorf("%s: %w", c.Name, err)
			}
			if t.done == 0 {
				return r, fmt.Errorf("%s: %w", c.Name, errNothingDone)
			}
			s := t.slice()
			fmt.Fprintf(os.Stderr, "%s  round %d of %d  %-12s %8s /s, µs each: %v, WAL each: %.1f records, %s bytes (machine %.0f %% idle before)\n",
				l.Name, round, h.cfg.Rounds, c.Name, thousands(s.PerSecond), s.CPUOf, s.WALRecords, thousands(s.WALBytes), 100*s.Idle)
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
