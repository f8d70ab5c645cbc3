package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"payonce/internal/lab/devstack/proc"
	"payonce/internal/lab/program"
)

// part is something that runs and is started again when it ends.
type part struct {
	name string
	// start returns when it can be used; after an error it does not run.
	start func(context.Context) (*proc.Process, error)
}

// supervisor watches parts until its context ends.
type supervisor struct {
	say      func(string)
	mourn    func(name string, pid int) // told of each end; nil tells nobody
	watchers sync.WaitGroup

	mu      sync.Mutex
	current map[string]*proc.Process
	pids    map[string]int
	changed func(pids map[string]int) // nil until follow
}

func newSupervisor(say func(string)) *supervisor {
	return &supervisor{say: say, current: map[string]*proc.Process{}, pids: map[string]int{}}
}

// follow tells changed the latest ids, now and at every start of a part. It is
// not called twice at the same time.
func (s *supervisor) follow(changed func(pids map[string]int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = changed
	s.changed(s.pids)
}

// watch takes a part that was started and starts it again, until ctx ends,
// whenever it ends. The first pause is long enough for a visitor to see that
// something is gone.
func (s *supervisor) watch(ctx context.Context, p part, process *proc.Process) {
	s.set(p.name, process)
	keeper := program.Keeper{
		Pause: 600 * time.Millisecond, Longest: 5 * time.Second,
		Ended: func(process *proc.Process) {
			s.say(fmt.Sprintf("%s (pid %d) %s, restarting", p.name, process.Pid(), process.Ending()))
			s.set(p.name, nil)
			if s.mourn != nil {
				s.mourn(p.name, process.Pid())
			}
		},
		Back: func(process *proc.Process, took time.Duration) {
			s.set(p.name, process)
			s.say(fmt.Sprintf("%s (pid %d) is back after %.1f s", p.name, process.Pid(), took.Seconds()))
		},
		Failed: func(err error) { s.say(fmt.Sprintf("%s does not start, trying again: %v", p.name, err)) },
	}
	s.watchers.Go(func() { keeper.Keep(ctx, process, p.start) })
}

func (s *supervisor) set(name string, process *proc.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current[name] = process; process == nil {
		// The dead one's id stays until its successor is ready: to kill it again
		// is an error, where kill(0) would end whoever reads run.json.
		return
	}
	s.pids[name] = process.Pid()
	if s.changed != nil {
		s.changed(s.pids)
	}
}

// promoted says that the process of one part is another's from now on. The dead
// one's id stands for the first until it is started anew.
func (s *supervisor) promoted(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current[to], s.current[from] = s.current[from], nil
	s.pids[to], s.pids[from] = s.pids[from], s.pids[to]
	if s.changed != nil {
		s.changed(s.pids)
	}
}

// process is the part's present process, nil while it is down.
func (s *supervisor) process(name string) *proc.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[name]
}
