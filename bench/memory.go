package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"payonce/internal/lab/program"
)

// memoryLine weighs the three programs while sixteen clients capture. Over ten minutes it
// is a line of its own, which must be named.
func memoryLine(h *house, name string, length time.Duration, half int) line {
	m := &memories{arrivals: arrivals{captures: captures{house: h, clients: 16}}, length: length}
	l := line{
		Name: name, Title: fmt.Sprintf("Memory after %s of captures, 16 clients", length), Unit: "MiB of the largest program", Half: half,
		Shown: func(s slice) float64 {
			return max(s.Figures["api MiB"], s.Figures["relay MiB"], s.Figures["worker MiB"])
		},
		Notes:      []string{"What is resident, of pages that belong to one program alone and of those that are shared. growth is the api's at the end against its own at two thirds of the time."},
		Contenders: []contender{{Name: "loaded", Title: "api, relay and worker at work", Slice: m.loaded}},
		Open:       m.open,
	}
	for _, name := range []string{"api", "relay", "worker"} {
		l.Limits = append(l.Limits, limit{Of: "loaded", What: "MiB of the " + name, Most: 64, Value: figure(name + " MiB")})
	}
	l.Limits = append(l.Limits, limit{Of: "loaded", What: "growth in the last third", Most: 1.1, Value: figure("growth")})
	return l
}

type memories struct {
	arrivals
	length time.Duration
}

func (m *memories) loaded(ctx context.Context, t *clock) error {
	payments, n := m.supply(&clock{length: m.length})
	sandboxes, err := newSandboxes(ctx, m.folded.URL, n)
	if err != nil {
		return err
	}
	jobs, err := m.seed(ctx, merchantsOf(sandboxes), payments)
	if err != nil {
		return err
	}
	l := newLoad(m.folded.URL, "", sandboxes, jobs)
	t.start(ctx)
	l.run(m.clients, m.length*2/3)
	then, err := m.weigh()
	if err != nil {
		return errors.Join(err, l.problem())
	}
	before := l.captured()
	l.run(m.clients, m.length/3)
	t.stop(before + l.captured())
	now, err := m.weigh()
	if err != nil {
		return errors.Join(err, l.problem())
	}
	for name, mib := range now {
		t.note(name+" MiB", mib)
	}
	t.note("growth", now["api"]/then["api"])
	return l.problem()
}

// weigh is what each program has resident, in MiB.
func (m *memories) weigh() (map[string]float64, error) {
	all := map[string]float64{}
	for name, p := range map[string]*program.Program{"api": m.folded, "relay": m.relay, "worker": m.worker} {
		kib, _, found := strings.Cut(valueOf(fmt.Sprintf("/proc/%d/status", p.Pid()), "VmRSS"), " ")
		n, err := strconv.ParseFloat(kib, 64)
		if err != nil || !found {
			return nil, fmt.Errorf("the memory of the %s is not known: %w", name, err)
		}
		all[name] = n / 1024
	}
	return all, nil
}
