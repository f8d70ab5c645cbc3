//go:build unix

package devstack

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Lock takes the file for this process and writes its pid into it. The kernel
// lets go of it when the process ends, however it ends, so a lock is never
// stale. While another process holds it the error is ErrInUse.
func Lock(path string) (release func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		holder, readErr := os.ReadFile(path)
		if readErr != nil {
			holder = []byte("unknown")
		}
		return nil, fmt.Errorf("%w (pid %s)", ErrInUse, strings.TrimSpace(string(holder)))
	}
	if err := file.Truncate(0); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	held.Store(file, struct{}{})
	return func() {
		held.Delete(file)
		file.Close()
	}, nil
}

// held keeps every locked file reachable. A caller may forget its release, and
// a file that nobody can reach is closed by the collector, and with it the
// lock: the next process would take the folder and end the services in it.
var held sync.Map
