package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"payonce/internal/lab/devstack/proc"
	"payonce/internal/lab/program"
)

// part is one program that is started again whenever it ends, and the crash
// points that its lives carry.
type part struct {
	*program.Program
	logFile string

	mu sync.Mutex
	// armed is what the next life carries; what fired in this one is gone.
	armed []arming
	fired []arming
	// born is when the present life began.
	born time.Time
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

// keep runs the program until ctx ends.
func (p *part) keep(ctx context.Context, first *proc.Process) {
	program.Keeper{
		Pause: 100 * time.Millisecond, Longest: time.Second, Settled: 5 * time.Second, Ended: p.buried,
	}.Keep(ctx, first, func(context.Context) (*proc.Process, error) { return p.launch() })
}

func (p *part) launch() (*proc.Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired {
		return nil, errRetired
	}
	p.born = time.Now()
	if len(p.armed) == 0 {
		return p.Launch()
	}
	list := make([]string, 0, len(p.armed))
	for _, a := range p.armed {
		list = append(list, fmt.Sprintf("%s:%s:%d", a.Point, a.Action, a.Nth))
	}
	return p.Launch("PAYONCE_FAULTS=" + strings.Join(list, ","))
}

var errRetired = errors.New("the campaign is over")

// buried looks at how a life ended and at what fired in it.
func (p *part) buried(process *proc.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaths[process.Ending()]++
	p.search()
}

// search reads on in the log for points that fired. The caller holds the lock.
func (p *part) search() {
	file, err := os.Open(p.logFile)
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
func (p *part) arm(a arming) error {
	p.mu.Lock()
	p.search()
	p.armed = append(p.armed, a)
	p.mu.Unlock()
	return p.Signal(syscall.SIGKILL)
}

// easier makes each point that is left fire at its first hit, from the next life
// on, and returns them.
func (p *part) easier() []arming {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.search()
	for i := range p.armed {
		p.armed[i].Nth = 1
	}
	return slices.Clone(p.armed)
}

// age is how long the present life has lasted.
func (p *part) age() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.born)
}

// disarm ends a life that carries a crash point.
func (p *part) disarm() (left []arming, err error) {
	p.mu.Lock()
	p.search()
	left, p.armed = p.armed, nil
	p.mu.Unlock()
	if len(left) == 0 {
		return nil, nil
	}
	return left, p.Signal(syscall.SIGKILL)
}

// count returns what is armed and has not fired, and what has.
func (p *part) count() (pending, fired []arming) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.search()
	return slices.Clone(p.armed), slices.Clone(p.fired)
}

// endings counts the deaths by how they came.
func (p *part) endings() (killed, other int) {
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
func (p *part) retire(grace time.Duration) error {
	p.mu.Lock()
	p.retired = true
	p.mu.Unlock()
	return errors.Join(p.Signal(syscall.SIGCONT), p.Stop(grace))
}
