package devstack

import (
	"os"

	"golang.org/x/sys/unix"
)

// enoughMemory is what a scratch stack needs at most, with room to spare.
const enoughMemory = 4 << 30

// scratchPlace is where scratch data lie: in memory where there is enough of it,
// because a database of its own for each test is 900 files, and to make those on
// a disk costs ten times the processor time (0.5 s each on a small machine). A
// TMPDIR that a person chose wins.
func scratchPlace() string {
	const shared = "/dev/shm"
	var is unix.Statfs_t
	if os.Getenv("TMPDIR") != "" || unix.Statfs(shared, &is) != nil || is.Type != unix.TMPFS_MAGIC ||
		is.Bavail*uint64(is.Bsize) < enoughMemory || unix.Access(shared, unix.W_OK) != nil {
		return os.TempDir()
	}
	return shared
}
