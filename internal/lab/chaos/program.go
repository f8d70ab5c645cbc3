package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"payonce/internal/lab/devstack/proc"
)

// program is one program that is started again whenever it ends.
type program struct {
	name string
	at   string // http://host:port of its health
	spec proc.Spec

	mu      sync.Mutex
	process *proc.Process
	// armed is what the next life carries; what fired in this one is gone.
	armed []arming
	fired []arming
	// read is how much of the log has been searched for what fired.
	read    int64
	deaths  map[string]int // by how it ended
	retired bool
}

// arming is a crash point with its action, and which hit fires.
type arming struct {
	Point, Action string
	Nth           int
}

func (a arming) pair() string { return a.Point + ":" + a.Action }

// Pauses between a death and the next start, while starts fail.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = time.Second
)

// keep runs the program until ctx ends.
func (p *program) keep(ctx context.Context) {
	pause := shortestPause
	for ctx.Err() == nil {
		began := time.Now()
		process, err := p.launch()
		if err == nil {
			select {
			case <-ctx.Done():
				return
			case <-process.Done():
			}
			p.buried(process)
		}
		if pause = min(2*pause, longestPause); time.Since(began) > 5*time.Second {
			pause = shortestPause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (p *program) launch() (*proc.Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired {
		return nil, errRetired
	}
	spec := p.spec
	if len(p.armed) > 0 {
		list := make([]string, 0, len(p.armed))
		for _, a := range p.armed {
			list = append(list, fmt.Sprintf("%s:%s:%d", a.Point, a.Action, a.Nth))
		}
		spec.Env = append(slices.Clone(spec.Env), "PAYONCE_FAULTS="+strings.Join(list, ","))
	}
	process, err := proc.Start(spec)
	if err == nil {
		p.process = process
	}
	return process, err
}

var errRetired = errors.New("the campaign is over")

// buried looks at how a life ended and at what fired in it.
func (p *program) buried(process *proc.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaths[process.Ending()]++
	p.search()
}

// search reads on in the log for points that fired. The caller holds the lock.
func (p *program) search() {
	file, err := os.Open(p.spec.LogFile)
	if err != nil {
		return // nothing was written yet
	}
	defer file.Close()
	if _, err := file.Seek(p.read, io.SeekStart); err != nil {
		return
	}
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return // the rest of the line comes later
		}
		p.read += int64(len(line))
		if a, ok := firing(line); ok {
			p.fired = append(p.fired, a)
			if i := slices.IndexFunc(p.armed, func(b arming) bool { return a.pair() == b.pair() }); i >= 0 {
				p.armed = slices.Delete(p.armed, i, i+1)
			}
		}
	}
}

// firing recognises the line that a crash point writes before it acts.
func firing(line string) (arming, bool) {
	if !strings.Contains(line, "crash point fires") {
		return arming{}, false
	}
	var said struct{ Msg, Point, Action string }
	if err := json.Unmarshal([]byte(line), &said); err != nil || said.Msg != "crash point fires" {
		return arming{}, false
	}
	return arming{Point: said.Point, Action: said.Action}, true
}

// arm gives the program's next life a crash point, and ends the present one.
func (p *program) arm(a arming) error {
	p.mu.Lock()
	p.search()
	p.armed = append(p.armed, a)
	p.mu.Unlock()
	return p.signal(syscall.SIGKILL)
}

// disarm ends a life that carries a crash point.
func (p *program) disarm() (left []arming, err error) {
	p.mu.Lock()
	p.search()
	left, p.armed = p.armed, nil
	p.mu.Unlock()
	if len(left) == 0 {
		return nil, nil
	}
	return left, p.signal(syscall.SIGKILL)
}

// count returns what is armed and has not fired, and what has.
func (p *program) count() (pending, fired []arming) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.search()
	return slices.Clone(p.armed), slices.Clone(p.fired)
}

// signal sends s to the present life; a dead one is no error.
func (p *program) signal(s os.Signal) error {
	p.mu.Lock()
	process := p.process
	p.mu.Unlock()
	if process == nil {
		return nil
	}
	return process.Signal(s)
}

// endings counts the deaths by how they came.
func (p *program) endings() (killed, other int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for how, n := range p.deaths {
		if how == "was killed by SIGKILL" {
			killed += n
		} else {
			other += n
		}
	}
	return killed, other
}

// retire ends the program for good, in its orderly way.
func (p *program) retire(grace time.Duration) error {
	p.mu.Lock()
	p.retired = true
	process := p.process
	p.mu.Unlock()
	if process == nil {
		return nil
	}
	return errors.Join(process.Signal(syscall.SIGCONT), process.Stop(syscall.SIGTERM, grace))
}

// ready asks the program's health once.
func (p *program) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.at, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", p.name, response.Status)
	}
	return nil
}

// untilReady waits for all programs.
func untilReady(ctx context.Context, limit time.Duration, programs ...*program) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, p := range programs {
		for {
			problem := p.ready(ctx)
			if problem == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("not ready after %s: %w", limit, problem)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}
