package main

import (
	"fmt"
	"slices"
	"strings"
)

// result is what a line gave.
type result struct {
	Name       string       `json:"name"`
	Title      string       `json:"title"`
	Unit       string       `json:"unit"`
	Notes      []string     `json:"notes"`
	Contenders []sides      `json:"contenders"`
	Ratios     []comparison `json:"ratios"`
	Limits     []weight     `json:"limits,omitempty"`
}

// sides are the slices of one contender.
type sides struct {
	Name   string  `json:"name"`
	Title  string  `json:"title"`
	Slices []slice `json:"slices"`
}

// spread is a median with the smallest and the largest round.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// comparison is a ratio as it was seen.
type comparison struct {
	Of     string  `json:"of"`
	To     string  `json:"to"`
	Target float64 `json:"target"`
	Seen   spread  `json:"seen"`
}

// weight is a cost as it was seen, beside its limit.
type weight struct {
	Of   string  `json:"of"`
	What string  `json:"what"`
	Most float64 `json:"most"`
	Seen spread  `json:"seen"`
}

func (w weight) verdict() string {
	if w.Seen.Median <= w.Most {
		return "reached"
	}
	return "over"
}

// farBelow is the part of a target under which something is broken. Between it
// and the target a line is short, which a busy machine can make of any line.
const farBelow = 0.6

func (c comparison) verdict() string {
	switch {
	case c.Seen.Median >= c.Target:
		return "reached"
	case c.Seen.Median >= farBelow*c.Target:
		return "short"
	}
	return "FAR BELOW"
}

// busy says that somebody else used the machine: less than half of it was idle
// before the median slice. Then the scheduler deals the cores by the number of
// processes, of which a floor has more than the product, and no ratio is fair.
func (r result) busy() bool {
	var idle []float64
	for _, s := range r.Contenders {
		for _, one := range s.Slices {
			idle = append(idle, one.Idle)
		}
	}
	return spreadOf(idle).Median < 0.5
}

// far says whether the line should fail the run.
func (r result) far() bool {
	return !r.busy() && slices.ContainsFunc(r.Ratios, func(c comparison) bool { return c.Seen.Median < farBelow*c.Target })
}

func (r result) side(name string) sides {
	i := slices.IndexFunc(r.Contenders, func(s sides) bool { return s.Name == name })
	if i < 0 {
		panic("bench: no contender is called " + name)
	}
	return r.Contenders[i]
}

// compare takes the ratio within each round, where both met the same machine,
// and only then the median.
func (r result) compare(want ratio) comparison {
	of, to := r.side(want.Of).rates(), r.side(want.To).rates()
	ratios := make([]float64, len(of))
	for round := range of {
		ratios[round] = of[round] / to[round]
	}
	return comparison{Of: want.Of, To: want.To, Target: want.Target, Seen: spreadOf(ratios)}
}

// weigh takes what an operation of a contender cost in each round.
func (r result) weigh(l limit) weight {
	var values []float64
	for _, s := range r.side(l.Of).Slices {
		values = append(values, l.Value(s))
	}
	return weight{Of: l.Of, What: l.What, Most: l.Most, Seen: spreadOf(values)}
}

func (s sides) rates() []float64 {
	rates := make([]float64, len(s.Slices))
	for i, one := range s.Slices {
		rates[i] = one.PerSecond
	}
	return rates
}

func (s sides) costs() []float64 {
	costs := make([]float64, len(s.Slices))
	for i, one := range s.Slices {
		costs[i] = one.CPUMicros
	}
	return costs
}

// log is what one operation wrote into Postgres's log, where that was counted.
func (s sides) log() string {
	var records, bytes []float64
	for _, one := range s.Slices {
		records, bytes = append(records, one.WALRecords), append(bytes, one.WALBytes)
	}
	if spreadOf(bytes).Median == 0 {
		return ""
	}
	return fmt.Sprintf(", %.1f WAL records, %s bytes", spreadOf(records).Median, thousands(spreadOf(bytes).Median))
}

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return spread{}
	}
	median := sorted[n/2]
	if n%2 == 0 {
		median = (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return spread{Median: median, Min: sorted[0], Max: sorted[n-1]}
}

// table is the result for people.
func (r result) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s per second, median (min–max) of %d rounds\n", r.Title, r.Unit, len(r.Contenders[0].Slices))
	for _, s := range r.Contenders {
		seen := spreadOf(s.rates())
		fmt.Fprintf(&b, "  %-14s %-62s %8s (%s–%s)   %s µs of CPU each%s\n",
			s.Name, s.Title, thousands(seen.Median), thousands(seen.Min), thousands(seen.Max), thousands(spreadOf(s.costs()).Median), s.log())
	}
	for _, c := range r.Ratios {
		fmt.Fprintf(&b, "  %-77s %8.2f (%.2f–%.2f)   target ≥ %.2f   %s\n",
			c.Of+" / "+c.To, c.Seen.Median, c.Seen.Min, c.Seen.Max, c.Target, c.verdict())
	}
	for _, w := range r.Limits {
		fmt.Fprintf(&b, "  %-77s %8s (%s–%s)   at most %s (here)   %s\n",
			w.Of+": "+w.What, thousands(w.Seen.Median), thousands(w.Seen.Min), thousands(w.Seen.Max), thousands(w.Most), w.verdict())
	}
	if r.busy() {
		b.WriteString("  ! Somebody else used the machine: these ratios are no measurement, and none of them fails the run.\n")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "  · %s\n", note)
	}
	return strings.TrimRight(b.String(), "\n")
}

// thousands writes 12345.6 as 12,346.
func thousands(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
