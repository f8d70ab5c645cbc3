package journal_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/journal"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/observe"
)

// Seen under load before: the flush of the activity never ended, and meanwhile
// no attempt was written for a second.
func TestAFlushEndsAlthoughTwoCallersNeverStopReporting(t *testing.T) {
	t.Parallel()
	j := journal.New(journal.Options{DB: devtest.Postgres(t)})
	reporting, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	defer callers.Wait()
	defer stop()
	begun := make(chan struct{}, 2)
	for range 2 {
		callers.Go(func() {
			for first := true; reporting.Err() == nil; first = false {
				j.Observe(reporting, observe.Event{Kind: observe.Claimed, Node: "api", Scope: uuid.New()})
				if first {
					begun <- struct{}{}
				}
			}
		})
	}
	<-begun
	<-begun
	patience, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := j.Flush(patience); err != nil {
		t.Fatalf("the flush did not end: %v", err)
	}
}
