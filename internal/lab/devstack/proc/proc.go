// Package proc starts child processes that cannot outlive the program that
// started them.
//
// A launcher that is killed with SIGKILL runs no deferred function, so tidy
// shutdown code is not enough: a forgotten database keeps its port, its memory
// and its lock files. Here the kernel does the tidying. Every child is started
// with a parent-death signal (Linux), in a process group of its own so that a
// Ctrl-C typed at the terminal reaches the launcher alone, which then stops its
// children in the right order.
//
// The parent-death signal fires when the *thread* that forked dies, not the
// process, and Go moves goroutines between threads and may end a thread. All
// children are therefore forked by one goroutine that stays locked to its
// thread for as long as the program lives.
//
// On systems without a parent-death signal children are started all the same,
// but a launcher killed with SIGKILL leaves them behind.
package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Spec describes one child process.
type Spec struct {
	Name string
	Path string
	Args []string
	// Env is the child's whole environment: nothing is inherited, so that a
	// PGDATA or RABBITMQ_* in the caller's shell cannot redirect a service.
	Env []string
	Dir string
	// LogFile receives stdout and stderr. The child writes to the file itself,
	// so that its output survives the launcher.
	LogFile string
	// User makes the child run as somebody else (needs root); nil keeps ours.
	User *User
	// OnParentDeath is what the kernel sends when the launcher dies; 0 is SIGKILL.
	OnParentDeath syscall.Signal
}

// User is whom a child runs as.
type User struct {
	Name     string
	UID, GID uint32
}

// Process is a started child. It is waited for from the moment it starts, so a
// child that ends never stays behind as a zombie.
type Process struct {
	spec     Spec
	cmd      *exec.Cmd
	logStart int64
	done     chan struct{}
	err      error // set before done is closed
}

// Start forks the child and returns once it runs. Its end is seen on Done.
func Start(spec Spec) (*Process, error) {
	log, err := os.OpenFile(spec.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", spec.Name, err)
	}
	defer log.Close()
	logStart, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", spec.Name, err)
	}
	// A child ends by Stop or by the launcher's death, never because the
	// context of whoever happened to start it was cancelled.
	cmd := exec.CommandContext(context.Background(), spec.Path, spec.Args...)
	cmd.Env, cmd.Dir = spec.Env, spec.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes(spec)

	p := &Process{spec: spec, cmd: cmd, logStart: logStart, done: make(chan struct{})}
	if err := fork(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Run starts the child and waits for it. A status other than 0 is an error that
// shows what the child wrote last; when the context ends the child is killed.
func Run(ctx context.Context, spec Spec) error {
	p, err := Start(spec)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if err := p.Kill(); err != nil {
			return err
		}
		return fmt.Errorf("%s: %w", spec.Name, ctx.Err())
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", spec.Name, p.err, p.LogTail(20))
	}
	return nil
}

// spawner is the queue of the one thread that forks.
var spawner = sync.OnceValue(func() chan<- func() {
	queue := make(chan func())
	go func() {
		runtime.LockOSThread() // never unlocked: this thread's death would kill the children
		for start := range queue {
			start()
		}
	}()
	return queue
})

func fork(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	spawner() <- func() { result <- cmd.Start() }
	return <-result
}

// Pid is the child's process id, also after its end.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running says whether the child has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Used is the processor time of the child and of what it waited for, once it has
// ended; before that it is 0.
func (p *Process) Used() (user, system time.Duration) {
	if p.Running() || p.cmd.ProcessState == nil {
		return 0, 0
	}
	return p.cmd.ProcessState.UserTime(), p.cmd.ProcessState.SystemTime()
}

// Ending says in words how the child ended, "exited with status 2" or "was
// killed by SIGKILL". It waits for the end.
func (p *Process) Ending() string {
	<-p.done
	var exit *exec.ExitError
	switch {
	case p.err == nil:
		return "exited with status 0"
	case errors.As(p.err, &exit):
		return describe(exit)
	}
	return p.err.Error()
}

// Signal sends s to the child; a child that has ended already is no error.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.spec.Name, err)
	}
	return nil
}

// Stop asks with s and waits up to grace, then kills. When it returns the child
// has ended.
func (p *Process) Stop(s os.Signal, grace time.Duration) error {
	if err := p.Signal(s); err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return p.Kill()
	}
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() error {
	if err := p.Signal(os.Kill); err != nil {
		return err
	}
	<-p.done
	return nil
}

// LogTail returns the last lines that this child wrote, for an error message.
func (p *Process) LogTail(lines int) string {
	const window = 64 << 10
	file, err := os.Open(p.spec.LogFile)
	if err != nil {
		return ""
	}
	defer file.Close()
	from := p.logStart
	if end, err := file.Seek(0, io.SeekEnd); err == nil && end-from > window {
		from = end - window
	}
	text, err := io.ReadAll(io.NewSectionReader(file, from, window))
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

// UntilReady calls probe until it succeeds. It gives up when the child ends or
// the time is over; then the child has ended and the error shows what it wrote.
func (p *Process) UntilReady(ctx context.Context, limit time.Duration, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		problem := probe(ctx)
		if problem == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s %s before it was ready:\n%s", p.spec.Name, p.Ending(), p.LogTail(20))
		case <-ctx.Done():
			tail := p.LogTail(20)
			if err := p.Kill(); err != nil {
				return err
			}
			return fmt.Errorf("%s was not ready in time: %w\n%s", p.spec.Name, problem, tail)
		}
	}
}
