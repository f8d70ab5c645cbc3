//go:build lab

package fault

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/google/uuid"
)

// Points are the crash points that exist, by name.
var Points = []string{
	"capture.before_claim", "capture.after_claim", "capture.before_charge", "capture.after_charge",
	"capture.before_finalise", "capture.after_finalise", "capture.before_response",
	"mailer.after_lease", "mailer.after_smtp_accept", "mailer.after_mark",
}

// Action is what happens at an armed point.
type Action string

// Kill ends the process at once, as kill -9 would: nothing is flushed, no
// deferred function runs.
const Kill Action = "kill"

// Arm says which hit of which point does what.
type Arm struct {
	Point  string
	Action Action
	// Scope limits the arm to hits that carry this id (a payment or a
	// merchant); the zero id means any hit.
	Scope uuid.UUID
	// Nth is the hit that fires, counted from 1 within the scope.
	Nth int

	hits int
}

var armed = struct {
	sync.Mutex
	arms []*Arm
}{}

// die is what Kill does; a variable so that a test can watch it happen.
var die = func() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // SIGKILL is delivered asynchronously: nothing may run meanwhile.
}

// Add arms a point. It refuses unknown points and actions with an error that
// names the known ones.
func Add(a Arm) error {
	if !slices.Contains(Points, a.Point) {
		return fmt.Errorf("no crash point is called %q; there are: %s", a.Point, strings.Join(Points, ", "))
	}
	if a.Action != Kill {
		return fmt.Errorf("no action is called %q; there is: %s", a.Action, Kill)
	}
	if a.Nth < 1 {
		a.Nth = 1
	}
	armed.Lock()
	defer armed.Unlock()
	armed.arms = append(armed.arms, &a)
	return nil
}

// Reset disarms everything.
func Reset() {
	armed.Lock()
	defer armed.Unlock()
	armed.arms = nil
}

// FromEnv arms what PAYONCE_FAULTS says: point:action[:nth[:scope]], separated
// by commas. It returns the first mistake.
func FromEnv(value string) error {
	for one := range strings.SplitSeq(value, ",") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		parts := strings.Split(strings.TrimSpace(one), ":")
		a := Arm{Point: parts[0], Action: Kill, Nth: 1}
		if len(parts) > 1 {
			a.Action = Action(parts[1])
		}
		if len(parts) > 2 {
			n, err := strconv.Atoi(parts[2])
			if err != nil {
				return fmt.Errorf("PAYONCE_FAULTS: %q is no hit number", parts[2])
			}
			a.Nth = n
		}
		if len(parts) > 3 {
			id, err := uuid.Parse(parts[3])
			if err != nil {
				return fmt.Errorf("PAYONCE_FAULTS: %q is no id", parts[3])
			}
			a.Scope = id
		}
		if err := Add(a); err != nil {
			return fmt.Errorf("PAYONCE_FAULTS: %w", err)
		}
	}
	return nil
}

// Point is where a process may be made to die. The ids say what the hit is
// about, so that an arm can be limited to one of them.
func Point(name string, ids ...uuid.UUID) {
	if fires(name, ids) {
		die()
	}
}

func fires(name string, ids []uuid.UUID) bool {
	armed.Lock()
	defer armed.Unlock()
	for i, a := range armed.arms {
		if a.Point != name || (a.Scope != uuid.Nil && !slices.Contains(ids, a.Scope)) {
			continue
		}
		a.hits++
		if a.hits == a.Nth {
			armed.arms = slices.Delete(armed.arms, i, i+1)
			return true
		}
	}
	return false
}
