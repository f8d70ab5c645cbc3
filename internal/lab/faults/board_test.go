package faults_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/lab/faults"
	"payonce/internal/platform/postgres"
)

// process is a board as one process holds it.
func process(t *testing.T, dsn string) (b *faults.Board, end func()) {
	t.Helper()
	b, err := faults.Open(t.Context(), postgres.Config{DSN: dsn}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	looked, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		b.Run(ctx, looked)
	}()
	end = func() { cancel(); <-ended }
	t.Cleanup(end)
	select {
	case <-looked:
	case <-time.After(30 * time.Second):
		t.Fatal("the board cannot be read")
	}
	return b, end
}

func TestFiveProcessesThatStartAtOnceAndFortyHitsOneFaultFiresOnceAtItsSeventh(t *testing.T) {
	t.Parallel()
	dsn := devtest.EmptyDSN(t) // five make the tables at the same time
	boards := make([]*faults.Board, 5)
	var starting sync.WaitGroup
	for i := range boards {
		starting.Go(func() { boards[i], _ = process(t, dsn) })
	}
	starting.Wait()
	merchant, payment := uuid.New(), uuid.New()
	armed, err := boards[0].Arm(t.Context(), faults.Fault{Merchant: merchant, Point: "p", Action: "kill", Scope: payment, Nth: 7, ForMS: 5})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range boards {
		if _, yes := b.Claim("p", []uuid.UUID{uuid.New(), merchant}); yes {
			t.Errorf("process %d fired for somebody else", i)
		}
		if _, yes := b.Claim("q", []uuid.UUID{payment}); yes {
			t.Errorf("process %d fired at another point", i)
		}
	}
	var fired atomic.Int64
	var hits sync.WaitGroup
	hit := func(n int) {
		for i := range n {
			hits.Go(func() {
				if f, yes := boards[i%len(boards)].Claim("p", []uuid.UUID{merchant, payment}); yes {
					fired.Add(1)
					if f.Action != "kill" || f.For() != 5*time.Millisecond || f.Seq != armed.Seq {
						t.Errorf("claimed %+v", f)
					}
				}
			})
		}
		hits.Wait()
	}
	// Nobody waits between arming and these: Arm has told everybody.
	hit(6)
	if fired.Load() != 0 {
		t.Error("fired before its seventh hit")
	}
	if list, err := boards[3].Of(t.Context(), merchant); err != nil || len(list) != 1 || list[0].Hits != 6 {
		t.Errorf("%v %+v", err, list)
	}
	hit(34)
	if fired.Load() != 1 {
		t.Errorf("fired %d times", fired.Load())
	}
	if list, err := boards[3].Of(t.Context(), merchant); err != nil || len(list) != 0 {
		t.Errorf("%v %+v", err, list)
	}
}

func TestWhatIsDisarmedDoesNotFireAndAnEndedProcessIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	dsn := devtest.EmptyDSN(t)
	here, _ := process(t, dsn)
	gone, end := process(t, dsn)
	merchant := uuid.New()
	arm := func() {
		if _, err := here.Arm(t.Context(), faults.Fault{Merchant: merchant, Point: "p", Action: "kill", Scope: merchant}); err != nil {
			t.Fatal(err)
		}
	}
	arm()
	if n, err := here.Disarm(t.Context(), uuid.New()); err != nil || n != 0 {
		t.Errorf("a stranger disarmed %d, %v", n, err)
	}
	if n, err := here.Disarm(t.Context(), merchant); err != nil || n != 1 {
		t.Errorf("disarmed %d, %v", n, err)
	}
	if _, yes := gone.Claim("p", []uuid.UUID{merchant}); yes {
		t.Error("fired although it was disarmed")
	}
	end()
	arm()
	if _, yes := here.Claim("p", []uuid.UUID{merchant}); !yes {
		t.Error("an arm without a number fires at the first hit")
	}
}
