package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The other doors: what buyers, the merchant, the operator and people at the
// provider do besides checkouts, in the middle of the faults. Each is a step of the
// plan, which says in Detail what it is about. Each asks again until there
// is an answer, and the step is over when what it did has come to its end.
const (
	Stubborn Kind = "stubborn"      // more declined attempts of one payment than a page holds
	Pair     Kind = "pair"          // two partial refunds at once that take everything
	Age      Kind = "age"           // a key's lifetime is over, and the key is used again
	CheckIn  Kind = "check-in"      // a ticket is used, and the money is to go back
	ByHand   Kind = "by-hand"       // a charge or a refund that is made at the provider
	Letter   Kind = "dead-letter"   // a person decides about a dead letter
	Vanish   Kind = "queue-deleted" // a consumer's queue is deleted with what is in it
	Decide   Kind = "decision"      // a person decides how a stuck refund ended
)

// way goes through a door: what it is about comes in, how it ended comes out.
type way func(d *doors, ctx context.Context, b *buyer, about string) (how string, err error)

// doorRhythm is as rhythm. about are the Details, in turn: a campaign has each of
// them at least once.
var doorRhythm = []struct {
	kind  Kind
	way   way
	every time.Duration
	about []string
	// early steps take more than a minute to come to their end.
	early bool
}{
	{Stubborn, (*doors).stubborn, 2 * time.Minute, []string{""}, false},
	{Pair, (*doors).pair, 20 * time.Second, []string{"tok_ok", "tok_refund_declined", "tok_refund_timeout_after"}, false},
	{Age, (*doors).age, 20 * time.Second, agings, false},
	{CheckIn, (*doors).checkIn, 30 * time.Second, []string{before, during}, false},
	{ByHand, (*doors).byHand, 12 * time.Second, byHand, false},
	{Letter, (*doors).letter, 20 * time.Second, rulings, false},
	{Vanish, (*doors).vanish, 50 * time.Second, []string{""}, true},
	{Decide, (*doors).decided, 2 * time.Minute, []string{""}, true},
}

func wayOf(kind Kind) way {
	for _, r := range doorRhythm {
		if r.kind == kind {
			return r.way
		}
	}
	panic("chaos: there is no door " + string(kind))
}

// doorSteps is the part of the plan that goes through the other doors. It draws
// for itself, so that the faults of a seed do not depend on it.
func doorSteps(seed uint64, length time.Duration) (plan []Step) {
	rng := chance(seed, 0x6a09e667f3bcc908)
	for _, r := range doorRhythm {
		window := length * 9 / 10
		if r.early {
			window = max(length/10, length-90*time.Second)
		}
		n := max(len(r.about), int(length/r.every))
		for i := range n {
			at := time.Duration((float64(i) + rng.Float64()) / float64(n) * float64(window))
			s := Step{At: at, Kind: r.kind, Target: "house", Detail: r.about[i%len(r.about)]}
			if r.kind == Vanish {
				s.Detail = vanishing[(i+int(seed%busy))%len(vanishing)] //nolint:gosec // less than busy
			}
			plan = append(plan, s)
		}
	}
	return plan
}

// door says whether the step goes through one of the other doors.
func (s Step) door() bool { return DoorOf(s) != "" }

// DoorOf is the name of the door that a step goes through; empty for a fault.
func DoorOf(s Step) string {
	name := doorName(s.Kind, s.Detail)
	if slices.Contains(Doors(), name) {
		return name
	}
	return ""
}

func doorName(kind Kind, detail string) string {
	if detail == "" || kind == Vanish { // of which its ends tell
		return string(kind)
	}
	return string(kind) + ": " + detail
}

// Doors are the names of all the other doors.
func Doors() (names []string) {
	for _, r := range doorRhythm {
		for _, about := range r.about {
			names = append(names, doorName(r.kind, about))
		}
	}
	return names
}

// Door is what was done through one of the other doors.
type Door struct {
	Name  string         `json:"name"`
	Times int            `json:"times"`
	Ends  map[string]int `json:"ends"` // how it ended, and how often
}

// doors carries these steps out and counts how they ended.
type doors struct {
	*house
	tap    *tap
	market *market
	// faultsOnly leaves all of them out.
	faultsOnly bool

	operators, steps sync.WaitGroup
	under            atomic.Int64 // steps that are not at their end

	mu       sync.Mutex
	visitors int
	ends     map[string]map[string]int
	acts     map[string]map[string]int // of the operator
	letters  map[string]ruling
	vanished map[string]bool      // consumers whose queues were deleted
	resent   map[string]time.Time // consumers, sagas and letters that were seen to
	wrong    []string             // what must not be
}

func newDoors(h *house, faultsOnly bool) *doors {
	return &doors{house: h, faultsOnly: faultsOnly, ends: map[string]map[string]int{}, acts: map[string]map[string]int{},
		letters: map[string]ruling{}, vanished: map[string]bool{}, resent: map[string]time.Time{}}
}

// open has the operator begin to work, until ctx ends. Where the other doors are left
// out, faults alone raise no alert that a person must end: then only letters are
// looked after.
func (d *doors) open(ctx context.Context) {
	look := d.attend
	if d.faultsOnly {
		look = d.replayInnocent
	}
	d.operators.Go(func() {
		for ctx.Err() == nil {
			if err := look(ctx); err != nil && ctx.Err() == nil {
				d.amiss("the operator: %v", err)
			}
			wait(ctx, attendEvery)
		}
	})
}

// begin has a step carried out beside the others.
func (d *doors) begin(step func()) {
	d.under.Add(1)
	d.steps.Go(func() {
		defer d.under.Add(-1)
		step()
	})
}

// pass carries one step out until its end. It has as long as the buyers have: what
// a step waits for is promised when the faults are lifted, and not before.
func (d *doors) pass(s Step) error {
	ctx := d.market.hurry
	b, err := d.visitor()
	if err != nil {
		return err
	}
	defer b.client.CloseIdle()
	how, err := wayOf(s.Kind)(d, ctx, b, s.Detail)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name := doorName(s.Kind, s.Detail)
	if d.ends[name] == nil {
		d.ends[name] = map[string]int{}
	}
	d.ends[name][how]++
	return nil
}

// firstVisitor is a number that no buyer of the market has.
const firstVisitor = 1001

var errGaveUp = errors.New("no answer came before the campaign's end")

// visitor is a buyer with a sandbox of its own, whose attempts are in the log too.
func (d *doors) visitor() (*buyer, error) {
	d.mu.Lock()
	no := firstVisitor + d.visitors
	d.visitors++
	d.mu.Unlock()
	b := newBuyer(d.market, no, uint64(no)) //nolint:gosec // a small number
	if !b.register() {
		return nil, errGaveUp
	}
	b.bought = 1
	return b, nil
}

// amiss notes what must never be; it breaks the check other_doors.
func (d *doors) amiss(format string, a ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wrong = append(d.wrong, fmt.Sprintf(format, a...))
}

// until asks a question about the database until its answer is yes. A database
// that is away is asked again.
func (d *doors) until(ctx context.Context, what, query string, args ...any) error {
	for {
		var yes bool
		err := d.db.Get(ctx, &yes, query, args...)
		if err == nil && yes {
			return nil
		}
		wait(ctx, 150*time.Millisecond)
		if ctx.Err() != nil {
			return errors.Join(fmt.Errorf("%s did not come: %w", what, context.Cause(ctx)), err)
		}
	}
}

// read asks the database for something, as often as it takes.
func (d *doors) read(ctx context.Context, into any, query string, args ...any) error {
	for {
		err := d.db.Get(ctx, into, query, args...)
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait(ctx, 150*time.Millisecond)
	}
}

// report lists every door, also one that was never gone through, and what the
// operator did.
func (d *doors) report() (all []Door) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.faultsOnly {
		for _, name := range Doors() {
			all = append(all, doorOf(name, d.ends[name]))
		}
	}
	for _, what := range sorted(d.acts) {
		all = append(all, doorOf("the operator "+what, d.acts[what]))
	}
	return all
}

func doorOf(name string, ends map[string]int) Door {
	door := Door{Name: name, Ends: map[string]int{}}
	for how, n := range ends {
		door.Ends[how] = n
		door.Times += n
	}
	return door
}
