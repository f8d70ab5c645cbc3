package once

import (
	"context"
	"math/rand/v2"
	"time"
)

// Pause is how long to wait before what failed is tried again: First, and twice as long
// each time up to Most, each up to a third shorter, so that many who failed together do
// not come back together. One goroutine uses it.
type Pause struct {
	First, Most time.Duration
	last        time.Duration
}

// Next is the next wait.
func (p *Pause) Next() time.Duration {
	p.last = min(max(p.First, 2*p.last), p.Most)
	return p.last - time.Duration(rand.Int64N(int64(p.last)/3+1))
}

// Reset begins again with First.
func (p *Pause) Reset() { p.last = 0 }

// Wait waits, and says whether ctx has not ended before.
func (p *Pause) Wait(ctx context.Context) bool {
	timer := time.NewTimer(p.Next())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
