//go:build lab

package fault

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// Points are the crash points that exist, by name.
var Points = []string{
	"capture.before_claim", "capture.after_claim", "capture.before_charge", "capture.after_charge",
	"capture.before_finalise", "capture.after_finalise", "capture.before_response",
	"letters.after_fetch", "letters.after_commit",
	"retention.after_fetch", "retention.after_commit",
	"mailer.after_lease", "mailer.after_smtp_accept", "mailer.after_mark",
	"saga.before_step", "saga.after_step_commit", "saga.before_undo", "saga.after_undo_commit", "saga.after_pivot",
	"around.after_intent", "around.after_call",
	"webhook.before_verify", "webhook.before_receipt", "webhook.after_receipt", "webhook.before_2xx",
	"relay.after_fetch", "relay.after_publish", "relay.after_confirm", "relay.after_mark",
	"ledger.before_effect", "ledger.after_effect", "ledger.after_commit", "ledger.after_ack",
	"tickets.before_effect", "tickets.after_effect", "tickets.after_commit", "tickets.after_ack",
	"email.before_effect", "email.after_effect", "email.after_commit", "email.after_ack",
	"provider.before_effect", "provider.after_effect", "provider.after_commit", "provider.after_ack",
	"saga.before_effect", "saga.after_effect", "saga.after_commit", "saga.after_ack",
	"checkout.before_effect", "checkout.after_effect", "checkout.after_commit", "checkout.after_ack",
	"recovery.after_fetch", "recovery.after_commit",
}

// Enabled says that this build has crash points. It is a constant, so that what
// only they need is not even compiled elsewhere.
const Enabled = true

// Action is what happens at an armed point.
type Action string

const (
	// Kill ends the process at once, as kill -9 would: nothing is flushed, no
	// deferred function runs.
	Kill Action = "kill"
	// Stop stops the whole process and lets it go on after the arm's For: the
	// sleeper that wakes after its lease was taken.
	Stop Action = "stop"
	// Panic panics with [ErrInjected].
	Panic Action = "panic"
	// Error makes [Point] return [ErrInjected].
	Error Action = "error"
	// Delay holds the caller for the arm's For.
	Delay Action = "delay"
)

// Actions are the actions that exist.
var Actions = []Action{Kill, Stop, Panic, Error, Delay}

// How long an arm that does not say lets its process sleep (longer than the
// default lease) or its caller wait.
const (
	stopFor  = 16 * time.Second
	delayFor = time.Second
)

// ErrInjected is what an armed [Error] or [Panic] makes of its point.
var ErrInjected = errors.New("injected by an armed crash point")

// ErrUnknownPoint and ErrUnknownAction say what is wrong with an arm.
var (
	ErrUnknownPoint  = errors.New("no crash point is called so")
	ErrUnknownAction = errors.New("no action is called so")
)

// Arm says which hit of which point does what.
type Arm struct {
	Point  string
	Action Action
	// Scope limits the arm to hits that carry this id (a payment or a
	// merchant); the zero id means any hit.
	Scope uuid.UUID
	// Nth is the hit that fires, counted from 1 within the scope.
	Nth int
	// For is how long Stop and Delay last; 0 means 16 s and 1 s.
	For time.Duration

	hits int
}

var armed = struct {
	sync.Mutex
	arms []*Arm
	far  Source
}{}

// Source knows arms that other processes may meet too. It is asked at each hit
// that no arm of this process takes, and must be quick; the arm that it returns
// acts at once, so it has been claimed for this hit and for no other.
type Source func(point string, ids []uuid.UUID) (Arm, bool)

// Ask lets a source arm this process as well; nil ends that.
func Ask(s Source) {
	armed.Lock()
	defer armed.Unlock()
	armed.far = s
}

// Variables, so that a test can watch them happen.
var (
	// die is what Kill does.
	die = func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // SIGKILL is delivered asynchronously: nothing may run meanwhile.
	}
	// doze is what Stop does. Who is stopped cannot wake itself: a shell outlives
	// the stop, in a session of its own. The shell stops the process too, and this
	// goroutine waits for its end: SIGSTOP is delivered asynchronously, and on a busy
	// machine what called here would be done before the process stands still.
	doze = func(d time.Duration) {
		waker := exec.Command("/bin/sh", "-c", `kill -STOP "$2"; sleep "$1"; kill -CONT "$2"`, "sh",
			strconv.FormatFloat(d.Seconds(), 'f', 3, 64), strconv.Itoa(os.Getpid()))
		waker.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		_ = waker.Run() // Where no shell starts, the process is not stopped: nothing would wake it.
	}
)

// Add arms a point in this process. What is not [Arm.Valid] is refused.
func Add(a Arm) error {
	if err := a.Valid(); err != nil {
		return err
	}
	if a.Nth < 1 {
		a.Nth = 1
	}
	armed.Lock()
	defer armed.Unlock()
	armed.arms = append(armed.arms, &a)
	return nil
}

// Valid refuses unknown points and actions with an error that names the known
// ones.
func (a Arm) Valid() error {
	switch {
	case !slices.Contains(Points, a.Point):
		return fmt.Errorf("%w: %q; there are: %s", ErrUnknownPoint, a.Point, strings.Join(Points, ", "))
	case !slices.Contains(Actions, a.Action):
		return fmt.Errorf("%w: %q; there are: %s", ErrUnknownAction, a.Action, Actions)
	}
	return nil
}

// Reset disarms everything that was armed in this process.
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

// Point is where something may be made to happen. The ids say what the hit is
// about, so that an arm can be limited to one of them. It returns nil unless an
// armed [Error] fires, which the caller takes for a failure of its next step.
func Point(name string, ids ...uuid.UUID) error {
	a := fires(name, ids)
	if a == nil {
		return nil
	}
	announce(a)
	switch a.Action {
	case Kill:
		die()
	case Stop:
		doze(cmp.Or(a.For, stopFor))
	case Panic:
		panic(fmt.Errorf("%s: %w", name, ErrInjected))
	case Error:
		return fmt.Errorf("%s: %w", name, ErrInjected)
	case Delay:
		time.Sleep(cmp.Or(a.For, delayFor))
	}
	return nil
}

// announce writes one line before the arm acts: what a campaign counts, and what
// explains to a reader of the log why it ends here. The kernel has it when
// Fprintf returns, so it outlives a Kill.
func announce(a *Arm) {
	_, _ = fmt.Fprintf(os.Stderr, `{"level":"WARN","msg":"crash point fires","point":%q,"action":%q}`+"\n", a.Point, a.Action)
}

// fires returns the arm that fires at this hit, or nil, and disarms it. The
// source is asked without the lock: it may take a while.
func fires(name string, ids []uuid.UUID) *Arm {
	a, far := near(name, ids)
	if a != nil || far == nil {
		return a
	}
	if found, yes := far(name, ids); yes {
		return &found
	}
	return nil
}

func near(name string, ids []uuid.UUID) (*Arm, Source) {
	armed.Lock()
	defer armed.Unlock()
	for i, a := range armed.arms {
		if a.Point != name || (a.Scope != uuid.Nil && !slices.Contains(ids, a.Scope)) {
			continue
		}
		a.hits++
		if a.hits == a.Nth {
			armed.arms = slices.Delete(armed.arms, i, i+1)
			return a, nil
		}
	}
	return nil, armed.far
}
