package killtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once/oncetest"
	"payonce/once/oncetest/nettest"
)

// Run judges a subject on services of its own (those of [payonce/once/oncetest]) and fails the
// test where an effect is not there once. A moment that did not come again is no failure:
// the test's log names it, and [Judge] returns it in [Report.Missed].
func Run(t *testing.T, s Subject) {
	t.Helper()
	r := Judge(t, s)
	t.Log(r.String())
	for _, f := range r.Failures {
		t.Error(f)
	}
}

// Judge is [Run] for a program that is expected to fail.
func Judge(t testing.TB, s Subject) Report {
	t.Helper()
	j := &judge{Subject: s.withDefaults(), t: t, counts: make(map[nettest.Moment]int), over: make(chan struct{})}
	j.straight.Postgres = oncetest.Postgres(t)
	if s.Broker {
		j.straight.AMQP = oncetest.Broker(t)
	}
	if j.Prepare != nil {
		j.Prepare(t, j.straight)
	}
	j.look = look(t, j.straight.Postgres)
	j.way.Postgres = j.watched(j.straight.Postgres)
	if s.Broker {
		j.way.AMQP = j.watched(j.straight.AMQP)
	}
	if err := j.begin(); err != nil {
		t.Fatalf("the subject does not start: %v", err)
	}
	defer j.end()
	plans := j.plan()
	if len(j.report.Failures) > 0 {
		return j.report // undisturbed it fails: each moment would wait for as long, and say the same
	}
	for _, p := range plans {
		j.activity(p)
	}
	j.activity(plan{how: dieAfterTheAnswer})
	j.crowd()
	return j.report
}

// watched is the way to a service on which moments are met.
func (j *judge) watched(address string) string {
	p := nettest.NewProxy(j.t, address)
	p.Watch(j.look, j.meet)
	return p.URL()
}

// How a moment is met.
const (
	die               = "killed"
	dieAfterTheAnswer = "killed right after its answer"
	lose              = "its answer is lost"
	late              = "its answer is late"
)

// plan is one thing that is done to the subject: at the nth time of a moment.
type plan struct {
	at  nettest.Moment
	nth int
	of  int
	how string
}

func (p plan) String() string {
	if p.nth == 0 {
		return p.how
	}
	return fmt.Sprintf("%s %d of %d, %s", p.at, p.nth, p.of, p.how)
}

type judge struct {
	Subject
	t             testing.TB
	straight, way Services
	look          looker
	report        Report

	over     chan struct{} // closed when no life is started any more
	mu       sync.Mutex
	life     Life
	leaving  bool
	troubled error // the subject does not start any more
	armed    plan
	met      bool
	counts   map[nettest.Moment]int
	points   []nettest.Point
	last     time.Time // when anything was met
	early    string
	deadly   int // deadlocks
}

// plan does the activity and makes of its moments what is to be done. The first time is
// the program's first: it may have a beginning of its own to write down.
func (j *judge) plan() (all []plan) {
	j.activity(plan{})
	j.activity(plan{})
	j.mu.Lock()
	points, early := j.points, j.early
	j.mu.Unlock()
	j.findings(points, early)
	of, nth := make(map[nettest.Moment]int), make(map[nettest.Moment]int)
	for _, p := range points {
		of[p.Moment]++
	}
	for i, p := range points {
		nth[p.Moment]++
		for _, how := range ways(points, i) {
			all = append(all, plan{p.Moment, nth[p.Moment], of[p.Moment], how})
		}
	}
	if len(all) > j.Most { // evenly, so that the end is not left out
		fewer := make([]plan, j.Most)
		for i := range fewer {
			fewer[i] = all[i*len(all)/j.Most]
		}
		all = fewer
	}
	return all
}

// ways are what can be done at a point. Of the messages of a transaction only the last
// one, its COMMIT, is met.
func ways(points []nettest.Point, i int) []string {
	switch points[i].Moment {
	case nettest.Writing:
		for _, next := range points[i+1:] {
			switch next.Moment {
			case nettest.Writing:
				return nil
			case nettest.Committed:
				return []string{die}
			case nettest.Publishing, nettest.Confirmed, nettest.Acking, nettest.Deadlocked:
			}
		}
		return nil
	case nettest.Committed, nettest.Confirmed:
		return []string{die, lose, late}
	case nettest.Publishing, nettest.Acking:
		return []string{die, lose}
	case nettest.Deadlocked:
	}
	return nil
}

func (j *judge) findings(points []nettest.Point, early string) {
	for _, p := range points {
		if p.Moment == nettest.Committed {
			j.report.Commits = append(j.report.Commits, fmt.Sprintf("%.200s", strings.Join(strings.Fields(p.Text), " ")))
		}
	}
	if early != "" {
		j.report.Findings = append(j.report.Findings, early)
	}
}

// activity asks for a fresh id, does to the subject what is planned, and counts.
func (j *judge) activity(p plan) {
	id := uuid.Must(uuid.NewV7()).String()
	j.arm(p)
	ctx, cancel := context.WithTimeout(j.t.Context(), j.Within)
	defer cancel()
	asked := j.insist(ctx, id)
	if p.how == dieAfterTheAnswer && asked == nil {
		j.now().Kill()
	}
	counted, err := j.settled(ctx, id)
	met := j.disarm()
	switch {
	case p.nth > 0 && !met:
		j.report.Missed = append(j.report.Missed, p.String())
	case p.how != "":
		j.report.Met = append(j.report.Met, p.String())
	}
	j.verdict(p.String(), counted, asked, err)
}

func (j *judge) verdict(where string, counted map[string]int, problems ...error) {
	if where == "" {
		where = "undisturbed"
	}
	f := Failure{Where: where, Effects: counted}
	for _, err := range append(problems, j.trouble()) {
		if err != nil {
			f.Trouble = err.Error()
		}
	}
	if f.Trouble != "" || !once(counted) {
		j.report.Failures = append(j.report.Failures, f)
	}
}

func once(counted map[string]int) bool {
	for _, n := range counted {
		if n != 1 {
			return false
		}
	}
	return len(counted) > 0
}

// insist asks until there is an answer.
func (j *judge) insist(ctx context.Context, id string) error {
	for {
		asking, cancel := context.WithTimeout(ctx, j.Within/4)
		err := j.Act(asking, j.now(), j.straight, id)
		cancel()
		if err == nil {
			return nil
		}
		if trouble := j.trouble(); trouble != nil {
			return trouble
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s: %w", j.Within, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// settled waits until the effects are there and nothing happens any more, or time is over,
// and counts.
func (j *judge) settled(ctx context.Context, id string) (counted map[string]int, err error) {
	for {
		counted, err = j.Effects(context.WithoutCancel(ctx), j.straight, id)
		if err == nil && there(counted) && j.quiet() {
			return j.Effects(context.WithoutCancel(ctx), j.straight, id)
		}
		select {
		case <-ctx.Done():
			return counted, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func there(counted map[string]int) bool {
	for _, n := range counted {
		if n < 1 {
			return false
		}
	}
	return len(counted) > 0
}
