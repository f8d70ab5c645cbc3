package program

import (
	"context"
	"time"

	"payonce/internal/lab/devstack/proc"
)

// Keeper starts a part again whenever it ends: the supervisor of a house.
type Keeper struct {
	// Pause is how long it waits before a start; it doubles up to Longest while
	// starts fail.
	Pause, Longest time.Duration
	// Settled is how long a life must be to count as a start that went well; 0
	// means that each does.
	Settled time.Duration

	// Ended hears of each end, Back of the start that came after it, Failed of
	// each start that went wrong. All may be nil.
	Ended  func(*proc.Process)
	Back   func(process *proc.Process, took time.Duration)
	Failed func(error)
}

// Keep watches the process of a part, and starts it again whenever it ends,
// until ctx ends. The last process is not stopped.
func (k Keeper) Keep(ctx context.Context, process *proc.Process, start func(context.Context) (*proc.Process, error)) {
	pause := k.Pause
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-process.Done():
		}
		if ctx.Err() != nil {
			return
		}
		if k.Ended != nil {
			k.Ended(process)
		}
		if lived := time.Since(began); lived > k.Settled {
			pause = k.Pause
		}
		ended := time.Now()
		if process = k.again(ctx, &pause, start); process == nil {
			return
		}
		began = time.Now()
		if k.Back != nil {
			k.Back(process, began.Sub(ended))
		}
	}
}

// again starts until it succeeds; nil means that ctx ended first.
func (k Keeper) again(ctx context.Context, pause *time.Duration, start func(context.Context) (*proc.Process, error)) *proc.Process {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(*pause):
		}
		*pause = min(2**pause, k.Longest)
		process, err := start(ctx)
		if err == nil {
			return process
		}
		if ctx.Err() == nil && k.Failed != nil {
			k.Failed(err)
		}
	}
}
