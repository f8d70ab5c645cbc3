package main

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What a slice costs in processor time says more than its rate when somebody
// else uses the machine too: a rate is what was left over, a cost is a cost.

// tick is the unit of /proc/<pid>/stat; Linux tells programs 100 Hz on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// usage is processor time by the names of programs.
type usage map[string]time.Duration

// spent is what this process and all its descendants, which are the services,
// the programs and whatever those have started, have used since the beginning;
// empty where there is no /proc.
func spent() usage {
	u := usage{}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return u
	}
	all := make(map[int]process, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended, and its parent has its time
		}
		if p, ok := parseProcess(string(text)); ok {
			all[p.pid] = p
		}
	}
	for _, p := range all {
		if descends(all, p, os.Getpid()) {
			u[p.name] += time.Duration(p.ticks) * tick
		}
	}
	return u
}

// perOperation is what was used since before, in microseconds for each of done
// operations, by program and together.
func (u usage) perOperation(before usage, done int) (by map[string]float64, total float64) {
	by = map[string]float64{}
	for name, used := range u {
		if cost := float64((used - before[name]).Microseconds()) / float64(done); cost >= 1 {
			by[name] = math.Round(cost)
			total += by[name]
		}
	}
	return by, total
}

// process is a line of /proc/<pid>/stat.
type process struct {
	pid, parent int
	name        string
	ticks       int64 // of it and of its children that have ended
}

// parseProcess reads "pid (name) state ppid …"; a name may hold anything, so
// the fields are counted from its last bracket.
func parseProcess(line string) (p process, ok bool) {
	pid, name, found := strings.Cut(line, " (")
	end := strings.LastIndexByte(line, ')')
	if !found || end < 0 {
		return p, false
	}
	p.name = name[:strings.LastIndexByte(name, ')')]
	fields := strings.Fields(line[end+1:])
	const parentAt, firstTime, lastTime = 1, 11, 14 // utime, stime, cutime, cstime
	if len(fields) <= lastTime {
		return p, false
	}
	var err error
	if p.pid, err = strconv.Atoi(pid); err != nil {
		return p, false
	}
	if p.parent, err = strconv.Atoi(fields[parentAt]); err != nil {
		return p, false
	}
	for _, field := range fields[firstTime : lastTime+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return p, false
		}
		p.ticks += n
	}
	return p, true
}

func descends(all map[int]process, p process, from int) bool {
	for range len(all) { // the map was read over time: a circle is possible
		if p.pid == from {
			return true
		}
		parent, known := all[p.parent]
		if !known {
			return false
		}
		p = parent
	}
	return false
}
