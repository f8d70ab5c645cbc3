package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"payonce/internal/lab/program"
)

// share is how much of one processor each relay and worker gets: little, so that Postgres and
// the broker, which two of them share, are not what ends first.
const share = 0.1

// scaleLine compares two relays with one, and two workers with one, each with a fixed share
// of a processor.
func scaleLine(h *house) line {
	s := &scales{ledgers: ledgers{house: h}, events: relays{house: h, traffic: oneQueue}}
	return line{
		Name: "scale-out", Title: fmt.Sprintf("Two relays and two workers, each with %.0f %% of a processor", 100*share), Unit: "per second", Half: 2,
		Notes: []string{
			"The share is enforced by the kernel (the quota of a control group, 10 ms in each 100), which needs root and Linux. Postgres, the broker and the load generator have the rest of the machine.",
		},
		Contenders: []contender{
			{Name: "one-relay", Title: "events published, one relay", Slice: s.relayed(1)},
			{Name: "two-relays", Title: "events published, two relays", Slice: s.relayed(2)},
			{Name: "one-worker", Title: "captures booked, one worker", Slice: s.booked(1)},
			{Name: "two-workers", Title: "captures booked, two workers", Slice: s.booked(2)},
		},
		Ratios: []ratio{{Of: "two-relays", To: "one-relay", Target: 1.7}, {Of: "two-workers", To: "one-worker", Target: 1.7}},
		Open:   s.open,
	}
}

type scales struct {
	ledgers
	events relays
}

func (s *scales) open(ctx context.Context) (end func() error, err error) {
	g, err := newGroup(share)
	if err != nil {
		return nil, err
	}
	if err := g.end(); err != nil {
		return nil, err
	}
	endLedgers, err := s.ledgers.open(ctx)
	if err != nil {
		return endLedgers, err
	}
	s.events.conn = s.conn
	return endLedgers, stop(s.worker)
}

// throttled starts programs, each in a group of its own once it is ready.
func (s *scales) throttled(ctx context.Context, name string, n int) (all []*program.Program, end func() error, err error) {
	var groups []*group
	end = func() error {
		var problems []error
		for _, g := range groups {
			problems = append(problems, g.free())
		}
		for _, p := range all {
			problems = append(problems, stop(p))
		}
		for _, g := range groups {
			problems = append(problems, g.end())
		}
		return errors.Join(problems...)
	}
	for range n {
		p, err := s.startAt(ctx, name, adminListen, "PAYONCE_SMTP_ADDR=127.0.0.1:9", "PAYONCE_PUBLIC_URL=http://127.0.0.1")
		if p != nil {
			all = append(all, p)
		}
		if err != nil {
			return all, end, errors.Join(err, end())
		}
		g, err := newGroup(share)
		if err == nil {
			groups = append(groups, g)
			err = g.put(p.Pid())
		}
		if err != nil {
			return all, end, errors.Join(err, end())
		}
	}
	return all, end, nil
}

// dealt is how long relays take to deal the partitions among them, with little of a processor.
const dealt = 4 * time.Second

func (s *scales) relayed(n int) func(context.Context, *clock) error {
	var rate float64
	return func(ctx context.Context, t *clock) (err error) {
		_, end, err := s.throttled(ctx, "relay", n)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
		time.Sleep(dealt)
		if err := s.events.settle(ctx); err != nil {
			return err
		}
		s.events.rate = max(rate, 500)
		s.events.few = true
		err = s.events.relayed(ctx, t)
		rate = float64(t.done) / t.took.Seconds()
		return err
	}
}

func (s *scales) booked(n int) func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) (err error) {
		workers, end, err := s.throttled(ctx, "worker", n)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
		s.working = workers
		return s.worked(ctx, t)
	}
}

// group is a control group of the kernel with a quota of processor time.
type group struct{ dir string }

// Where control groups are, in the first version and in the second.
var groupRoots = []struct{ root, quota string }{
	{"/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"},
	{"/sys/fs/cgroup", "cpu.max"},
}

const period = 100_000 // microseconds, as the kernel has it

func newGroup(share float64) (*group, error) {
	var problems []error
	for _, at := range groupRoots {
		dir := filepath.Join(at.root, fmt.Sprintf("payonce-bench-%d-%d", os.Getpid(), time.Now().UnixNano()))
		if _, err := os.Stat(filepath.Join(at.root, "cgroup.procs")); err != nil {
			problems = append(problems, err)
			continue
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			problems = append(problems, err)
			continue
		}
		quota := strconv.Itoa(int(share * period))
		if at.quota == "cpu.max" {
			quota += " " + strconv.Itoa(period)
		}
		err := os.WriteFile(filepath.Join(dir, at.quota), []byte(quota), 0o600)
		if err == nil {
			return &group{dir}, nil
		}
		problems = append(problems, err, os.Remove(dir))
	}
	return nil, fmt.Errorf("a share of a processor cannot be enforced here (root and control groups are needed): %w", errors.Join(problems...))
}

// put moves a process with its threads into the group.
func (g *group) put(pid int) error {
	return os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600)
}

// free takes the quota away, so that what is in the group ends quickly.
func (g *group) free() error {
	err := os.WriteFile(filepath.Join(g.dir, "cpu.cfs_quota_us"), []byte("-1"), 0o600)
	if errors.Is(err, os.ErrNotExist) {
		err = os.WriteFile(filepath.Join(g.dir, "cpu.max"), []byte("max"), 0o600)
	}
	return err
}

// end removes the group, which must be empty: the kernel needs a moment to see that.
func (g *group) end() error {
	for range 100 {
		err := os.Remove(g.dir)
		if !errors.Is(err, syscall.EBUSY) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return os.Remove(g.dir)
}
