package main

import (
	"fmt"
	"maps"
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

	shown func(slice) float64 // nil: how many were done a second
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
	What   string  `json:"what,omitempty"`
	Target float64 `json:"target"`
	AtMost bool    `json:"at_most,omitempty"`
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
	case c.short() >= 1:
		return "reached"
	case c.short() >= farBelow:
		return "short"
	}
	return "FAR BELOW"
}

// short is which part of its target was reached: 1 and more is all of it.
func (c comparison) short() float64 {
	if c.AtMost {
		return c.Target / c.Seen.Median
	}
	return c.Seen.Median / c.Target
}

// promise is the target in words.
func (c comparison) promise() string {
	if c.AtMost {
		return fmt.Sprintf("target ≤ %.2f", c.Target)
	}
	return fmt.Sprintf("target ≥ %.2f", c.Target)
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
	return !r.busy() && slices.ContainsFunc(r.Ratios, func(c comparison) bool { return c.short() < farBelow })
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
	value := want.Value
	if value == nil {
		value = r.value
	}
	of, to := r.side(want.Of).values(value), r.side(want.To).values(value)
	ratios := make([]float64, len(of))
	for round := range of {
		ratios[round] = of[round] / to[round]
	}
	return comparison{Of: want.Of, To: want.To, What: want.What, Target: want.Target, AtMost: want.AtMost, Seen: spreadOf(ratios)}
}

// weigh takes what an operation of a contender cost in each round.
func (r result) weigh(l limit) weight {
	return weight{Of: l.Of, What: l.What, Most: l.Most, Seen: spreadOf(r.side(l.Of).values(l.Value))}
}

// value is what is shown of a slice.
func (r result) value(s slice) float64 {
	if r.shown == nil {
		return s.PerSecond
	}
	return r.shown(s)
}

func (s sides) values(of func(slice) float64) []float64 {
	values := make([]float64, len(s.Slices))
	for i, one := range s.Slices {
		values[i] = of(one)
	}
	return values
}

// log is what one operation wrote into Postgres's log, where that was counted.
func (s sides) log() string {
	records := spreadOf(s.values(func(s slice) float64 { return s.WALRecords })).Median
	bytes := spreadOf(s.values(func(s slice) float64 { return s.WALBytes })).Median
	if bytes == 0 {
		return ""
	}
	return fmt.Sprintf(", %.1f WAL records, %s bytes", records, thousands(bytes))
}

// figures are the medians of what a line notes besides.
func (s sides) figures() string {
	if len(s.Slices) == 0 {
		return ""
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.Slices[0].Figures)) {
		all = append(all, name+" "+number(spreadOf(s.values(figure(name))).Median))
	}
	return strings.Join(all, ", ")
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
	fmt.Fprintf(&b, "%s: %s, median (min–max) of %d rounds\n", r.Title, r.Unit, len(r.Contenders[0].Slices))
	for _, s := range r.Contenders {
		seen := spreadOf(s.values(r.value))
		fmt.Fprintf(&b, "  %-14s %-62s %8s (%s–%s)", s.Name, s.Title, number(seen.Median), number(seen.Min), number(seen.Max))
		if r.shown == nil {
			cost := func(s slice) float64 { return s.CPUMicros }
			fmt.Fprintf(&b, "   %s µs of CPU each%s", thousands(spreadOf(s.values(cost)).Median), s.log())
		}
		b.WriteString("\n")
		if more := s.figures(); more != "" {
			fmt.Fprintf(&b, "  %-14s   %s\n", "", more)
		}
	}
	for _, c := range r.Ratios {
		what := c.Of + " / " + c.To
		if c.What != "" {
			what += ": " + c.What
		}
		fmt.Fprintf(&b, "  %-77s %8.2f (%.2f–%.2f)   %s   %s\n", what, c.Seen.Median, c.Seen.Min, c.Seen.Max, c.promise(), c.verdict())
	}
	for _, w := range r.Limits {
		fmt.Fprintf(&b, "  %-77s %8s (%s–%s)   at most %s (here)   %s\n",
			w.Of+": "+w.What, number(w.Seen.Median), number(w.Seen.Min), number(w.Seen.Max), number(w.Most), w.verdict())
	}
	if r.busy() {
		b.WriteString("  ! Somebody else used the machine: these ratios are no measurement, and none of them fails the run.\n")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "  · %s\n", note)
	}
	return strings.TrimRight(b.String(), "\n")
}

// number writes a figure with as many places as are worth reading.
func number(f float64) string {
	switch {
	case f != 0 && f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100 && f != float64(int(f)):
		return fmt.Sprintf("%.1f", f)
	}
	return thousands(f)
}

// thousands writes 12345.6 as 12,346.
func thousands(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
