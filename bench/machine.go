package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A slice waits until this much of the machine is idle, but not for ever: on a
// machine that is never idle the interleaving has to do.
const (
	idleEnough   = 0.80
	idlePatience = 4 * time.Second
	idleWindow   = 250 * time.Millisecond
)

// waitIdle returns how idle the machine was in the last look.
func waitIdle(ctx context.Context) float64 {
	deadline := time.Now().Add(idlePatience)
	for {
		before := readCPU()
		select {
		case <-ctx.Done():
			return 0
		case <-time.After(idleWindow):
		}
		idle := readCPU().idleSince(before)
		if idle >= idleEnough || time.Now().After(deadline) {
			return idle
		}
	}
}

// cpu is the first line of /proc/stat, in ticks since the machine started.
type cpu struct{ idle, total float64 }

func readCPU() cpu {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpu{} // not Linux: nothing is known, nothing is waited for
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return parseCPU(first)
}

// parseCPU reads "cpu user nice system idle iowait …". Waiting for the disk is
// not being idle here: the next slice would wait for it too.
func parseCPU(line string) (c cpu) {
	const idleColumn = 4
	const guestColumn = 9 // guest time is counted in user time already
	for i, field := range strings.Fields(line) {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil || i >= guestColumn {
			continue
		}
		c.total += ticks
		if i == idleColumn {
			c.idle = ticks
		}
	}
	return c
}

func (c cpu) idleSince(before cpu) float64 {
	if c.total == before.total {
		return 1
	}
	return (c.idle - before.idle) / (c.total - before.total)
}

// description is what a number is worth nothing without.
type description struct {
	At       time.Time `json:"at"`
	Revision string    `json:"revision"`
	// Changed says that the tree held changes that the revision does not.
	Changed   bool    `json:"uncommitted_changes"`
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memory_gib"`
	Kernel    string  `json:"kernel"`
	Go        string  `json:"go"`
	Postgres  string  `json:"postgres"`
	RabbitMQ  string  `json:"rabbitmq"`
	Fsync     string  `json:"postgres_fsync"`
	Rounds    int     `json:"rounds"`
	Seconds   float64 `json:"seconds_per_slice"`
}

func describe(ctx context.Context, h *house) (description, error) {
	d := description{
		At: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Go: runtime.Version(),
		CPU: valueOf("/proc/cpuinfo", "model name"), Kernel: said(ctx, h.root, "uname", "-sr"),
		Revision: said(ctx, h.root, "git", "rev-parse", "--short=12", "HEAD"),
		Changed:  said(ctx, h.root, "git", "status", "--porcelain", "--", "*.go", "*.sql", "go.mod") != "",
		RabbitMQ: h.brokerVersion, Rounds: h.cfg.Rounds, Seconds: h.cfg.Seconds,
	}
	if kib, _, found := strings.Cut(valueOf("/proc/meminfo", "MemTotal"), " "); found {
		if n, err := strconv.ParseFloat(kib, 64); err == nil {
			d.MemoryGiB = float64(int(n/(1<<20)*10)) / 10
		}
	}
	for name, into := range map[string]*string{"server_version": &d.Postgres, "fsync": &d.Fsync} {
		if err := h.db.QueryRowContext(ctx, `SELECT current_setting($1)`, name).Scan(into); err != nil {
			return d, fmt.Errorf("ask Postgres for %s: %w", name, err)
		}
	}
	return d, nil
}

// valueOf finds "name : value" in one of the kernel's files.
func valueOf(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// said is what a program prints; empty when it cannot.
func said(ctx context.Context, dir, name string, args ...string) string {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func (d description) headline() string {
	revision := d.Revision
	if d.Changed {
		revision += " with uncommitted changes"
	}
	return fmt.Sprintf("payonce bench, %s, revision %s\n%d cores of %s, %.1f GiB, %s, %s, Postgres %s (fsync %s), RabbitMQ %s; %d rounds of %.1f s",
		d.At.Format(time.DateTime), revision, d.Cores, d.CPU, d.MemoryGiB, d.Kernel, d.Go, d.Postgres, d.Fsync, d.RabbitMQ, d.Rounds, d.Seconds)
}
