package idempotency

import (
	"context"
	"sync"
	"time"
)

// Flights lets duplicates wait for a run in progress without holding a
// connection. Within one process they wait on a channel that the run closes; a
// run in another process is noticed by one poll for all of them. The poll is
// the guarantee, the channel only the hurry. The zero value works.
type Flights struct {
	// Poll is how often a run elsewhere is looked at; 0 means 50 ms.
	Poll time.Duration

	mu      sync.Mutex
	waiting map[string]*flight
}

type flight struct {
	landed  chan struct{}
	waiters int
	cancel  context.CancelFunc
}

// Landed wakes everybody who waits for id.
func (fs *Flights) Landed(id string) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.waiting[id]; f != nil {
		fs.end(id, f)
	}
}

func (fs *Flights) end(id string, f *flight) {
	if fs.waiting[id] == f {
		delete(fs.waiting, id)
		f.cancel()
		close(f.landed)
	}
}

// Waiting says how many wait for id in this process.
func (fs *Flights) Waiting(id string) int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.waiting[id]; f != nil {
		return f.waiters
	}
	return 0
}

// Wait returns when the run of id has landed, or ctx ends. over asks whether it
// has; it is called by one waiter's goroutine on behalf of all, so that an id stands for
// one question: the subject of the attempt, with its number where the next may begin.
func (fs *Flights) Wait(ctx context.Context, id string, over func(ctx context.Context) (bool, error)) error {
	f := fs.join(ctx, id, over)
	defer fs.leave(id, f)
	select {
	case <-f.landed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (fs *Flights) join(ctx context.Context, id string, over func(ctx context.Context) (bool, error)) *flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.waiting[id]; f != nil {
		f.waiters++
		return f
	}
	// The poll outlives the waiter that started it, but not the last one.
	polling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{landed: make(chan struct{}), waiters: 1, cancel: cancel}
	if fs.waiting == nil {
		fs.waiting = map[string]*flight{}
	}
	fs.waiting[id] = f
	go fs.poll(polling, id, f, over)
	return f
}

func (fs *Flights) leave(id string, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		fs.end(id, f)
	}
}

func (fs *Flights) poll(ctx context.Context, id string, f *flight, over func(ctx context.Context) (bool, error)) {
	every := fs.Poll
	if every == 0 {
		every = 50 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		// An error says nothing about the run: ask again.
		if done, err := over(ctx); err == nil && done {
			fs.mu.Lock()
			fs.end(id, f)
			fs.mu.Unlock()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
