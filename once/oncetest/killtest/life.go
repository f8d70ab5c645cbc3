package killtest

import (
	"fmt"
	"strings"
	"time"

	"payonce/once/oncetest/nettest"
)

// begin starts the first life and, from then on, another one when one has ended.
func (j *judge) begin() error {
	life, err := j.Start(j.t, j.way)
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.life = life
	j.mu.Unlock()
	go j.supervise(life)
	return nil
}

// now is the life that runs, or ran last.
func (j *judge) now() Life {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.life
}

func (j *judge) supervise(life Life) {
	defer close(j.over)
	for {
		<-life.Ended
		j.mu.Lock()
		leaving := j.leaving
		j.mu.Unlock()
		if leaving {
			return
		}
		next, err := j.Start(j.t, j.way)
		j.mu.Lock()
		if err != nil {
			j.troubled = fmt.Errorf("the subject does not start again: %w", err)
			j.mu.Unlock()
			return
		}
		j.life, life, leaving = next, next, j.leaving
		j.mu.Unlock()
		if leaving {
			next.Kill()
			return
		}
	}
}

func (j *judge) trouble() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.troubled
}

// end leaves nothing running, a life that is just beginning among it.
func (j *judge) end() {
	j.mu.Lock()
	j.leaving = true
	j.mu.Unlock()
	j.now().Kill()
	<-j.over
}

func (j *judge) arm(p plan) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.armed, j.met, j.counts, j.points, j.last = p, false, make(map[nettest.Moment]int), nil, time.Now()
}

func (j *judge) disarm() (met bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.armed = plan{}
	return j.met
}

func (j *judge) quiet() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return time.Since(j.last) > j.Quiet
}

// meet gets each moment while nothing passes.
func (j *judge) meet(p nettest.Point) (goesOn bool) {
	early := p.Moment == nettest.Publishing && j.look.writing() > 0
	j.mu.Lock()
	j.last = time.Now()
	j.points = append(j.points, p)
	j.counts[p.Moment]++
	if p.Moment == nettest.Deadlocked {
		j.deadly++
	}
	if early && !strings.HasPrefix(p.Text, "/") {
		j.early = "publishes to " + p.Text + " while a transaction that has written is open: it may still be rolled back"
	}
	now := j.armed.nth > 0 && !j.met && j.armed.at == p.Moment && j.armed.nth == j.counts[p.Moment]
	if now {
		j.met = true
	}
	how, life := j.armed.how, j.life
	j.mu.Unlock()
	switch {
	case !now:
		return true
	case how == die:
		life.Kill()
	case how == late:
		time.Sleep(j.Late)
		return true
	}
	return false
}
