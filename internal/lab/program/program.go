package program

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"payonce/internal/lab/devstack/proc"
)

// Program is one program at its place. Its methods may be called from several
// goroutines.
type Program struct {
	Name string
	// URL is where it answers, http://host:port.
	URL string

	ready string // the path that says 200 when it is ready
	mu    sync.Mutex
	spec  proc.Spec
	last  *proc.Process // nil before its first life
}

// New describes a program that does not run yet. ready is the path at which it
// answers 200 once it can be used.
func New(spec proc.Spec, url, ready string) *Program {
	return &Program{Name: spec.Name, URL: url, ready: ready, spec: spec}
}

// With adds variables to the environment of its next lives.
func (p *Program) With(env ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spec.Env = append(p.spec.Env[:len(p.spec.Env):len(p.spec.Env)], env...)
}

// Migrate brings the shop's schema up to date with an api, as the owner whose DSN it is.
func (s Settings) Migrate(ctx context.Context, owner string) error {
	return New(s.Spec("api", "", "PAYONCE_POSTGRES_DSN="+owner), "", "").Run(ctx, "--migrate")
}

// Run runs the program for one task and waits for its end.
func (p *Program) Run(ctx context.Context, args ...string) error {
	p.mu.Lock()
	spec := p.spec
	p.mu.Unlock()
	spec.Args = args
	return proc.Run(ctx, spec)
}

// Launch begins a life and does not wait until it can be used; own are variables
// of this life alone.
func (p *Program) Launch(own ...string) (*proc.Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spec := p.spec
	spec.Env = append(spec.Env[:len(spec.Env):len(spec.Env)], own...)
	process, err := proc.Start(spec)
	if err != nil {
		return nil, err
	}
	p.last = process
	return process, nil
}

// startLimit bounds a start on a busy machine; a quiet one needs 0.2 s.
const startLimit = 30 * time.Second

// Start begins a life and returns when it can be used; after an error it does
// not run.
func (p *Program) Start(ctx context.Context) (*proc.Process, error) {
	process, err := p.Launch()
	if err != nil {
		return nil, err
	}
	return process, process.UntilReady(ctx, startLimit, p.Ready)
}

// Ready asks the program once whether it can be used.
func (p *Program) Ready(ctx context.Context) error { return answers(ctx, p.URL+p.ready) }

// UntilReady waits until each program can be used, whichever life of it that is.
func UntilReady(ctx context.Context, limit time.Duration, programs ...*Program) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, p := range programs {
		for {
			problem := p.Ready(ctx)
			if problem == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not ready after %s: %w", p.Name, limit, problem)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

// Process is its latest life, nil before the first.
func (p *Program) Process() *proc.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// Pid is the process id of its latest life.
func (p *Program) Pid() int { return p.Process().Pid() }

// Running says whether it lives at the moment.
func (p *Program) Running() bool {
	process := p.Process()
	return process != nil && process.Running()
}

// Signal sends s; a program that has ended, or never began, is no error.
func (p *Program) Signal(s os.Signal) error {
	if process := p.Process(); process != nil {
		return process.Signal(s)
	}
	return nil
}

// Kill ends it with SIGKILL: nothing is flushed, nothing is closed.
func (p *Program) Kill() error {
	if process := p.Process(); process != nil {
		return process.Kill()
	}
	return nil
}

// Stop asks it to end, as a deployment does, waits up to grace and then kills.
func (p *Program) Stop(grace time.Duration) error {
	if process := p.Process(); process != nil {
		return process.Stop(syscall.SIGTERM, grace)
	}
	return nil
}
