package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"payonce/internal/lab/client"
	"payonce/internal/lab/devstack"
)

// director carries out a plan and counts what it did.
type director struct {
	*house
	tap   *tap
	doors *doors

	effects sync.WaitGroup // faults that end by themselves
	mu      sync.Mutex
	done    map[string]int // by kind and target
	crashes map[string]int
	broken  int // interruptions of Postgres or RabbitMQ
	aged    int // how often something was made for retention to drop
	failed  []string
	held    map[string]bool // links that are broken now
	// cluster is held while a fault of its nodes is under way; rejoined counts those
	// that did not come back by themselves.
	cluster  sync.Mutex
	rejoined int
}

func newDirector(h *house, faultsOnly bool) *director {
	return &director{house: h, doors: newDoors(h, faultsOnly), done: map[string]int{}, crashes: map[string]int{}, failed: []string{}, held: map[string]bool{}}
}

// perform carries out the plan from its start until its end or ctx's.
func (d *director) perform(ctx context.Context, plan []Step) {
	began := time.Now()
	for _, step := range plan {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(began.Add(step.At))):
		}
		if step.door() {
			d.doors.begin(func() { d.carryOut(ctx, step) })
			continue
		}
		d.effects.Go(func() { d.carryOut(ctx, step) })
	}
	d.effects.Wait()
}

func (d *director) carryOut(ctx context.Context, s Step) {
	err := d.inflict(ctx, s)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, errBusy) {
			d.failed = append(d.failed, fmt.Sprintf("%s: %v", s, err))
		}
		return
	}
	if s.door() {
		return // which is counted where it ends
	}
	d.done[string(s.Kind)+" "+s.Target]++
	if s.Kind == Crash {
		d.crashes[s.Target]++
	}
	if s.Interrupts() {
		d.broken++
	}
}

// inflict brings one fault about and, when it is one that lasts, ends it.
func (d *director) inflict(ctx context.Context, s Step) error {
	switch s.Kind {
	case Kill:
		return d.programs[s.Target].Signal(syscall.SIGKILL)
	case Pause:
		return d.pause(ctx, s)
	case Arm:
		_ = d.provoke(ctx, s.Point) // while the database is away: the nudge at the end makes up for it
		return d.programs[s.Target].arm(arming{Point: s.Point, Action: s.Action, Nth: s.Nth})
	case Crash:
		return d.crash(ctx, s)
	case Hang:
		return d.hang(ctx, s)
	case Part:
		return d.part(ctx, s)
	case Cut:
		return d.breakLink(ctx, s, func() error { return d.net.cut(s.Target) })
	case Freeze:
		return d.breakLink(ctx, s, func() error { return d.net.freeze(s.Target) })
	case Slow:
		var millis int
		if _, err := fmt.Sscanf(s.Detail, "%d ms", &millis); err != nil {
			return err
		}
		return d.breakLink(ctx, s, func() error { return d.net.slow(s.Target, millis) })
	case Mood:
		return d.mood(ctx, s)
	case Poison:
		return d.poison(ctx)
	case Stubborn, Pair, Age, CheckIn, ByHand, Letter, Vanish, Decide:
		return d.doors.pass(s)
	}
	return fmt.Errorf("there is no fault %q", s.Kind)
}

func (d *director) pause(ctx context.Context, s Step) error {
	p := d.programs[s.Target]
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	wait(ctx, s.For)
	return p.Signal(syscall.SIGCONT)
}

// poison waits for a broker that is away, or whose queue has no leader: what counts is
// that it was taken.
func (d *director) poison(ctx context.Context) error {
	_, err := d.doors.publish(ctx, d.tap.poisonous)
	return err
}

// crash kills a service; whoever keeps it starts it again.
func (d *director) crash(ctx context.Context, s Step) error {
	if d.stack.Pair != nil {
		return d.crashInCluster(ctx, s.Target, int(s.At/time.Millisecond))
	}
	service := map[string]*devstack.Service{"postgres": d.stack.Postgres, "rabbitmq": d.stack.RabbitMQ}[s.Target]
	return service.Kill(ctx)
}

// breakLink keeps a link broken for a while. Faults on one link take turns: one
// that finds it broken is left out, so that what is counted happened.
func (d *director) breakLink(ctx context.Context, s Step, how func() error) error {
	d.mu.Lock()
	busy := d.held[s.Target]
	d.held[s.Target] = true
	d.mu.Unlock()
	if busy {
		return errBusy
	}
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.held[s.Target] = false
	}()
	if err := how(); err != nil {
		return err
	}
	wait(ctx, s.For)
	return d.net.mend(context.WithoutCancel(ctx), s.Target)
}

var errBusy = errors.New("the link was broken already")

// mood makes the outside world misbehave for a while; it recovers by itself.
func (d *director) mood(ctx context.Context, s Step) error {
	millis := s.For.Milliseconds()
	body := fmt.Sprintf(`{"outage":%q,"for_ms":%d}`, s.Detail, millis)
	switch {
	case s.Target == "mail":
		body = fmt.Sprintf(`{"mail_outage":%q,"for_ms":%d}`, s.Detail, millis)
	case s.Detail == "storm":
		body = fmt.Sprintf(`{"webhook_copies":4,"webhook_delay_ms":1500,"for_ms":%d}`, millis)
	case s.Target == "webhooks":
		body = fmt.Sprintf(`{"webhooks":%q,"for_ms":%d}`, s.Detail, millis)
	case s.Detail == "slow":
		body = fmt.Sprintf(`{"latency_ms":400,"for_ms":%d}`, millis)
	}
	return d.behave(ctx, body)
}

func (d *director) behave(ctx context.Context, body string) error {
	world := client.New(d.simulatorURL, "", client.Options{Timeout: 3 * time.Second})
	answer, err := world.Send(ctx, client.Request{Method: http.MethodPost, Path: "/v1/behaviour", Raw: []byte(body)})
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("the simulator answers %d", answer.Status)
	}
	return err
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// pending counts the armed points that nobody has reached yet.
func (d *director) pending() (n int) {
	for _, name := range d.order {
		armed, _ := d.programs[name].count()
		n += len(armed)
	}
	return n
}

// lift ends every fault and returns when everything runs again. What is armed
// and was not reached is named.
func (d *director) lift(ctx context.Context) (unreached []string, err error) {
	if err := d.net.mendAll(ctx); err != nil {
		return nil, err
	}
	if d.stack.Pair != nil {
		if err := d.liftCluster(ctx); err != nil {
			return nil, err
		}
	}
	for _, name := range d.order {
		p := d.programs[name]
		left, err := p.disarm()
		if err != nil {
			return nil, err
		}
		for _, a := range left {
			unreached = append(unreached, a.pair()+" in "+name)
		}
		if err := p.Signal(syscall.SIGCONT); err != nil {
			return nil, err
		}
	}
	if err := d.untilReady(ctx); err != nil {
		return unreached, err
	}
	return unreached, d.behave(ctx, "{}")
}

// fired counts the crash points that fired, by point and action.
func (d *director) fired() map[string]map[string]int {
	counts := map[string]map[string]int{}
	for _, name := range d.order {
		_, fired := d.programs[name].count()
		for _, a := range fired {
			if counts[a.Point] == nil {
				counts[a.Point] = map[string]int{}
			}
			counts[a.Point][a.Action]++
		}
	}
	return counts
}

// deaths counts how programs ended, by program.
func (d *director) deaths() (killed map[string]int, sum, other int) {
	killed = map[string]int{}
	for _, name := range d.order {
		k, o := d.programs[name].endings()
		killed[name] = k
		sum += k
		other += o
	}
	return killed, sum, other
}

// line is one line of progress.
func (d *director) line() string {
	_, kills, _ := d.deaths()
	d.mu.Lock()
	defer d.mu.Unlock()
	var crashes []string
	for _, name := range []string{"postgres", "rabbitmq"} {
		crashes = append(crashes, fmt.Sprintf("%s %d", name, crashesOf(d.crashes, name)))
	}
	return fmt.Sprintf("%d process kills, %d interruptions (killed: %s)", kills, d.broken, strings.Join(crashes, ", "))
}
