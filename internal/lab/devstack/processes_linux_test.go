package devstack_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"payonce/internal/lab/devstack"
)

// belonging finds the processes of a stack by every trace that they could show:
// command line, environment, working folder. It shares no code with devstack.
func belonging(t *testing.T, dir string) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		in := filepath.Join("/proc", entry.Name())
		environment, _ := os.ReadFile(filepath.Join(in, "environ"))
		if strings.Contains(string(environment), launcherDir+"=") {
			continue // the launcher itself
		}
		command, _ := os.ReadFile(filepath.Join(in, "cmdline"))
		folder, _ := os.Readlink(filepath.Join(in, "cwd"))
		if strings.Contains(string(environment)+string(command)+folder, dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// listeners are the addresses on which the processes accept connections.
func listeners(t *testing.T, pids []int) (addresses []net.IP) {
	t.Helper()
	var sockets []string
	for _, pid := range pids {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, file := range files {
			if target, err := os.Readlink(file); err == nil && strings.HasPrefix(target, "socket:[") {
				sockets = append(sockets, strings.Trim(strings.TrimPrefix(target, "socket:"), "[]"))
			}
		}
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6 here
		}
		for _, line := range strings.Split(string(text), "\n")[1:] {
			const listen = "0A"
			if fields := strings.Fields(line); len(fields) > 9 && fields[3] == listen && slices.Contains(sockets, fields[9]) {
				addresses = append(addresses, address(t, fields[1]))
			}
		}
	}
	return addresses
}

// address decodes the kernel's "0100007F:1538", little-endian words.
func address(t *testing.T, field string) net.IP {
	t.Helper()
	host, _, _ := strings.Cut(field, ":")
	ip, err := hex.DecodeString(host)
	if err != nil {
		t.Fatal(err)
	}
	for word := range slices.Chunk(ip, 4) {
		slices.Reverse(word)
	}
	return ip
}

// nothingOf fails when anything of the stack in dir runs or listens.
func nothingOf(t *testing.T, dir string) {
	t.Helper()
	if left := belonging(t, dir); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
	text, err := os.ReadFile(filepath.Join(dir, "ports.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range regexp.MustCompile(`\d+`).FindAllString(string(text), -1) {
		port, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		if !devstack.PortFree(context.Background(), "127.0.0.1", port) {
			t.Errorf("somebody listens on port %d", port)
		}
	}
}
