package killtest

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"
)

// crowd begins many activities at once, each twice.
func (j *judge) crowd() {
	if j.Crowd < 0 {
		return
	}
	j.arm(plan{})
	before := j.deadlocks()
	ctx, cancel := context.WithTimeout(j.t.Context(), 2*j.Within)
	defer cancel()
	ids, asked := make([]string, j.Crowd), make([]error, j.Crowd)
	var all sync.WaitGroup
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7()).String()
		all.Go(func() { asked[i] = j.insist(ctx, ids[i]) })
		all.Go(func() { _ = j.insist(ctx, ids[i]) }) // the same, at the same time; the other says what is wrong
	}
	all.Wait()
	for i, id := range ids {
		if counted, err := j.settled(ctx, id); asked[i] != nil || err != nil || !once(counted) {
			j.verdict(fmt.Sprintf("in a crowd of %d, each asked for twice", j.Crowd), counted, asked[i], err)
			break // one of them says it
		}
	}
	j.report.Met = append(j.report.Met, fmt.Sprintf("a crowd of %d, each asked for twice", j.Crowd))
	if n := j.deadlocks() - before; n > 0 {
		j.report.Failures = append(j.report.Failures, Failure{Where: "in a crowd", Trouble: fmt.Sprintf("%d deadlocks", n)})
	}
}

func (j *judge) deadlocks() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.deadly
}
