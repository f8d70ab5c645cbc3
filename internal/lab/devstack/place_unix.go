//go:build unix

package devstack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"payonce/internal/lab/devstack/proc"
)

// servant is whom Postgres runs as: nobody else than us, or, as we may be root
// and it refuses that, the user that its package made.
func servant() (*proc.User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(account.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &proc.User{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
	}
	return nil, errors.New("we are root, as whom Postgres refuses to run, and there is no user postgres or nobody")
}

// place makes the data folder and returns its absolute path. As root it may be
// another one than asked for: see reachable.
func place(dir string, as *proc.User, say func(string)) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	if as != nil {
		if blocked := unreachable(filepath.Dir(dir), as); blocked != "" {
			sum := sha256.Sum256([]byte(dir))
			moved := filepath.Join("/var/lib/payonce", hex.EncodeToString(sum[:6]))
			say(fmt.Sprintf("the user %s cannot enter %s: the services' data goes to %s", as.Name, blocked, moved))
			dir = moved
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	// Paths are compared with what the kernel says of processes.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	if as != nil {
		if err := os.Chmod(dir, 0o755); err != nil {
			return "", fmt.Errorf("data folder: %w", err)
		}
	}
	return dir, nil
}

// unreachable returns the first folder on the way down to dir that the user may
// not enter, or nothing. Folders that do not exist yet will be made by us.
func unreachable(dir string, as *proc.User) string {
	if parent := filepath.Dir(dir); parent != dir {
		if blocked := unreachable(parent, as); blocked != "" {
			return blocked
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return ""
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	enter := os.FileMode(0o001)
	switch {
	case owner.Uid == as.UID:
		enter = 0o100
	case owner.Gid == as.GID:
		enter = 0o010
	}
	if info.Mode().Perm()&enter == 0 {
		return dir
	}
	return ""
}

// own gives a path to the user that Postgres runs as; nil is ourselves.
func own(path string, as *proc.User) error {
	if as == nil {
		return nil
	}
	if err := os.Chown(path, int(as.UID), int(as.GID)); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, as.Name, err)
	}
	return nil
}

func ownedByUs(info os.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Geteuid()
}
