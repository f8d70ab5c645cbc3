package devstack

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"payonce/internal/lab/devstack/proc"
)

// ErrExternal is the answer of a service that runs outside the stack to
// everything that would start or end it.
var ErrExternal = errors.New("this service runs outside the stack and is not touched")

// engine is what differs between the services.
type engine interface {
	// launch starts the service and returns when it can be used. After an error
	// nothing of it runs.
	launch(ctx context.Context) (*proc.Process, error)
	// halt ends a running service in its orderly way.
	halt(process *proc.Process) error
	// home is the folder that all its processes belong to.
	home() string
	// sweep ends what a service that died has left behind.
	sweep(ctx context.Context) error
}

// Service is one server of the stack. Its methods may be called from several
// goroutines; each waits for the one before. All addresses and data survive
// Stop, Kill and Restart.
type Service struct {
	Name   string
	engine engine // nil: external

	mu      sync.Mutex
	process *proc.Process
}

// External says whether the service runs outside the stack.
func (s *Service) External() bool { return s.engine == nil }

// Start starts the service unless it runs, and returns when it can be used.
func (s *Service) Start(ctx context.Context) error {
	if s.External() {
		return ErrExternal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.start(ctx)
}

// Again is Start for a keeper: it returns the process that runs then.
func (s *Service) Again(ctx context.Context) (*proc.Process, error) {
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s.Process(), nil
}

func (s *Service) start(ctx context.Context) error {
	if s.process != nil && s.process.Running() {
		return nil
	}
	if err := s.engine.sweep(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	process, err := s.engine.launch(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.process = process
	return nil
}

// Stop ends the service in its orderly way; after it nothing of it runs.
func (s *Service) Stop(ctx context.Context) error {
	return s.end(ctx, func(process *proc.Process) error { return s.engine.halt(process) })
}

// Kill ends the service as a power cut would, with SIGKILL.
func (s *Service) Kill(ctx context.Context) error {
	return s.end(ctx, (*proc.Process).Kill)
}

func (s *Service) end(ctx context.Context, how func(*proc.Process) error) error {
	if s.External() {
		return ErrExternal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil && s.process.Running() {
		if err := how(s.process); err != nil {
			return err
		}
	}
	if err := s.engine.sweep(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}

// Freeze stops every process of the service where it is, as a machine does that
// hangs: connections stay open and nobody answers. Thaw wakes them.
func (s *Service) Freeze() error { return s.still(true) }

// Thaw ends Freeze.
func (s *Service) Thaw() error { return s.still(false) }

func (s *Service) still(yes bool) error {
	if s.External() {
		return ErrExternal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return still(s.engine.home(), yes)
}

// Restart is Stop and Start.
func (s *Service) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Pid is the process id of the running service, 0 when it is external or down.
func (s *Service) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || !s.process.Running() {
		return 0
	}
	return s.process.Pid()
}

// Process is the service's present process, nil when it is external or was
// never started. Its Done channel tells a supervisor that the service died.
func (s *Service) Process() *proc.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}
