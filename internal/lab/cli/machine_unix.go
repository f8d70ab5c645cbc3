//go:build unix

package cli

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// alive says whether a process is there, whoever's it is.
func alive(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}

// enough for a day of demonstrations; RabbitMQ stops publishers below 50 MB.
const enough = 1 << 30

// space looks at the disk below the data folder.
func space(dir string) finding {
	if dir == "" {
		dir = "."
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return failed("disk", fmt.Errorf("%s: %w", dir, err), "Give another --data-dir.")
	}
	free := uint64(disk.Bavail) * uint64(disk.Bsize) //nolint:gosec,unconvert // their types differ from system to system
	detail := fmt.Sprintf("%.1f GB free", float64(free)/1e9)
	if free < enough {
		return failed("disk", errors.New(detail), "Postgres and RabbitMQ stop when the disk is full: make room, or start the demo with another --data-dir.")
	}
	return ok("disk", detail)
}
