package devstack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// marker stands in the environment of every child, so that a later launcher
// recognises what an earlier one left behind.
const marker = "PAYONCE_DEVSTACK_DIR"

// endLeftovers kills every process that belongs to the data folder and waits
// until it is gone. Two signs say that one belongs: the marker in its
// environment, or, for Postgres' backends, which write their title over it, a
// working folder inside ours.
func endLeftovers(ctx context.Context, dir string) error {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		pids, err := belongingTo(dir)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			// It may have ended by itself in the meantime: nothing to do then.
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v of an earlier run in %s do not end: %w", pids, dir, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// still stops every process that belongs to the folder, or lets them go on;
// those that start meanwhile may be missed.
func still(dir string, yes bool) error {
	which := syscall.SIGCONT
	if yes {
		which = syscall.SIGSTOP
	}
	pids, err := belongingTo(dir)
	for _, pid := range pids {
		_ = syscall.Kill(pid, which) // it may just have ended
	}
	return err
}

func belongingTo(dir string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for leftovers: %w", err)
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if hasMarker(pid, dir) || isPostgresIn(pid, dir) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func hasMarker(pid int, dir string) bool {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false // ended, or somebody else's
	}
	for _, variable := range bytes.Split(environment, []byte{0}) {
		owner, ours := bytes.CutPrefix(variable, []byte(marker+"="))
		if ours && within(string(owner), dir) {
			return true
		}
	}
	return false
}

func isPostgresIn(pid int, dir string) bool {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || filepath.Base(strings.TrimSuffix(program, " (deleted)")) != "postgres" {
		return false
	}
	folder, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return err == nil && within(folder, dir)
}

func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}
