package journal_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/journal"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
)

func stoppable(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

// listening starts a tail and returns it; it ends with the test.
func listening(t *testing.T, db *postgres.DB, neighbours ...journal.Neighbour) *journal.Tail {
	t.Helper()
	tail := journal.NewTail(journal.TailOptions{DB: db, Poll: 5 * time.Millisecond, Neighbours: neighbours})
	ctx, stop := stoppable(t)
	var running sync.WaitGroup
	running.Go(func() { _ = tail.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return tail
}

// next returns the next message, or fails after ten seconds.
func next(t *testing.T, s *journal.Subscription) journal.Message {
	t.Helper()
	select {
	case m, open := <-s.Messages:
		if !open {
			t.Fatal("the stream ended")
		}
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("no message within 10 s")
	}
	return journal.Message{}
}

func TestTwoListenersOfOneMerchantEachHearOnceAndAStrangerNever(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	tail := listening(t, db)
	j := journal.New(journal.Options{DB: db})
	mine, other, payment := uuid.New(), uuid.New(), uuid.New()
	first, second, stranger := tail.Subscribe(mine), tail.Subscribe(mine), tail.Subscribe(other)
	for i := range 3 {
		j.Observe(t.Context(), observe.Event{Kind: observe.Delivered, Node: "ledger", Scope: mine, Correlation: payment, Attempt: i + 1})
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	j.Observe(t.Context(), observe.Event{Kind: observe.Applied, Node: "tickets", Scope: other})
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*journal.Subscription{first, second} {
		for i := range 3 {
			m := next(t, s)
			if m.Signal != journal.SignalActivity || !m.Resumable || *m.Activity.Attempt != i+1 || m.Activity.Node != "ledger" || *m.Activity.PaymentID == "" {
				t.Fatalf("message %d: %+v", i, m)
			}
		}
	}
	if m := next(t, stranger); m.Activity.Node != "tickets" {
		t.Fatalf("the stranger heard %+v", m)
	}
	for _, s := range []*journal.Subscription{first, second, stranger} {
		if len(s.Messages) != 0 {
			t.Errorf("%d messages too many", len(s.Messages))
		}
	}
}

func TestAResumeSendsTheTenSecondsBeforeAgainAndAnUnknownIDIsAReset(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	tail := journal.NewTail(journal.TailOptions{DB: db})
	merchant := uuid.New()
	exec(t, db, `INSERT INTO activity (id, merchant_id, at, kind, node, facts)
SELECT (substr(uuid_v7_floor(now() - n * interval '4 seconds')::text, 1, 24) || '0000000000ff')::uuid, $1::uuid, now(), 'claimed', n::text, '{}'
  FROM generate_series(0, 5) n`, merchant)
	var last uuid.UUID
	if err := db.Get(t.Context(), &last, `SELECT id FROM activity WHERE node = '1'`); err != nil {
		t.Fatal(err)
	}
	again, err := tail.Resume(t.Context(), merchant, last.String())
	if err != nil {
		t.Fatal(err)
	}
	// From 10 s before the row of 4 s ago: those of 12, 8, 4 and 0 s ago.
	nodes := ""
	for _, m := range again {
		nodes += m.Activity.Node
	}
	if nodes != "3210" {
		t.Fatalf("resumed with %q", nodes)
	}
	for name, id := range map[string]string{
		"never seen": uuid.Must(uuid.NewV7()).String(), "no id": "42", "another version": uuid.NewString(), "empty": "",
	} {
		if again, err := tail.Resume(t.Context(), merchant, id); err != nil || len(again) != 1 || again[0].Signal != journal.SignalReset {
			t.Errorf("%s: %v %v", name, again, err)
		}
	}
	if again, _ := tail.Resume(t.Context(), uuid.New(), last.String()); len(again) != 1 || again[0].Signal != journal.SignalReset {
		t.Errorf("another merchant's id resumed %d rows", len(again))
	}
}

func TestAProcessThatStopsBeatingIsDownAndComesUpAgain(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	const beat = `INSERT INTO heartbeats (process, instance, pid, started_at, beat_at) VALUES ('relay', 'r1', 1, now(), clock_timestamp())
ON CONFLICT (process, instance) DO UPDATE SET beat_at = clock_timestamp() + $1::float8 * interval '1 second'`
	exec(t, db, `INSERT INTO heartbeats (process, instance, pid, started_at, beat_at) VALUES ('relay', 'r1', 1, now(), clock_timestamp() + interval '1 hour')`)
	tail := listening(t, db)
	merchant := uuid.New()
	s := tail.Subscribe(merchant)
	// A look reads rows first and heartbeats second: when the second row is
	// heard, the heartbeats were seen once, with the relay up.
	j := journal.New(journal.Options{DB: db})
	for range 2 {
		j.Observe(t.Context(), observe.Event{Kind: observe.Claimed, Scope: merchant})
		if err := j.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		next(t, s)
	}
	exec(t, db, beat, -4.0)
	if m := next(t, s); m.Activity.Kind != "process.down" || m.Activity.Node != "relay" || m.Resumable {
		t.Fatalf("got %+v", m)
	}
	exec(t, db, beat, 3600.0)
	if m := next(t, s); m.Activity.Kind != "process.up" || m.Activity.Node != "relay" {
		t.Fatalf("got %+v", m)
	}
}

// Its predecessor's last beat counts for three seconds; without a comparison of
// the two, one that is started again within them was never seen as down.
func TestAProcessThatDiedAndIsBackWithinThreeSecondsWasDown(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	// Hours for milliseconds, so that a slow look changes nothing.
	const follows = `WITH gone AS (DELETE FROM heartbeats WHERE process = $1)
INSERT INTO heartbeats (process, instance, pid, started_at, beat_at)
SELECT $1, $2, 1, now() + $3::int * interval '1 hour', now() + $4::int * interval '1 hour'`
	exec(t, db, follows, "relay", "dies", -1, 1)
	exec(t, db, follows, "worker", "is relieved", -1, 1)
	var asked atomic.Int32
	s := listening(t, db, journal.Neighbour{Name: "simulator", Up: func(context.Context) bool { return asked.Add(1) > 0 }}).Subscribe(uuid.New())
	eventually(t, "two looks", func() bool { return asked.Load() >= 2 })
	exec(t, db, follows, "worker", "was there before", 0, 3)
	exec(t, db, follows, "relay", "comes after", 2, 3)
	for _, kind := range []string{"process.down", "process.up"} {
		if m := next(t, s); string(m.Activity.Kind) != kind || m.Activity.Node != "relay" {
			t.Fatalf("got %+v", m.Activity)
		}
	}
}

func TestAProcessThatDiedBeforeTheFirstLookIsDownForWhoAskedBefore(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	exec(t, db, `INSERT INTO heartbeats (process, instance, pid, started_at, beat_at) VALUES ('relay', 'r1', 1, now() - interval '1 minute', now() - interval '4 seconds')`)
	if m := next(t, listening(t, db).Subscribe(uuid.New())); m.Activity.Kind != "process.down" || m.Activity.Node != "relay" {
		t.Fatalf("got %+v", m.Activity)
	}
}

func TestAListenerThatFallsBehindIsLetGo(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	tail := journal.NewTail(journal.TailOptions{DB: db, Poll: 5 * time.Millisecond, Buffer: 10})
	ctx, stop := stoppable(t)
	var running sync.WaitGroup
	running.Go(func() { _ = tail.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	merchant := uuid.New()
	s := tail.Subscribe(merchant)
	j := journal.New(journal.Options{DB: db})
	for range 50 {
		j.Observe(t.Context(), observe.Event{Kind: observe.Claimed, Scope: merchant})
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard := 0
	eventually(t, "the stream ends", func() bool {
		for {
			select {
			case _, open := <-s.Messages:
				if !open {
					return true
				}
				heard++
			default:
				return false
			}
		}
	})
	if heard >= 50 {
		t.Fatalf("heard all %d", heard)
	}
	s.Close() // once more does no harm
}

func TestListenersHearThatTheDatabaseIsAwayAndThatItIsBack(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	tail := listening(t, db)
	s := tail.Subscribe(uuid.New())
	exec(t, db, `ALTER TABLE activity RENAME TO activity_away`)
	if m := next(t, s); m.Signal != journal.SignalOffline {
		t.Fatalf("got %+v", m)
	}
	if m := next(t, tail.Subscribe(uuid.New())); m.Signal != journal.SignalOffline {
		t.Fatalf("a newcomer heard %+v", m)
	}
	exec(t, db, `ALTER TABLE activity_away RENAME TO activity`)
	if m := next(t, s); m.Signal != journal.SignalOnline {
		t.Fatalf("got %+v", m)
	}
}

func TestListenersHearOfTheBrokerAndOfANeighbourWhatThoseSayWhoKnow(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	var away atomic.Bool
	var asked atomic.Int32
	tail := listening(t, db, journal.Neighbour{Name: "simulator", Up: func(context.Context) bool {
		asked.Add(1)
		return !away.Load()
	}})
	known := func() string {
		all, err := tail.Processes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, p := range all {
			said += fmt.Sprintf("%s %v, ", p.Name, p.Up())
		}
		return said
	}
	if got := known(); got != "api false, relay false, worker false, simulator true, " {
		t.Errorf("nobody beats, and yet: %s", got)
	}
	exec(t, db, `INSERT INTO heartbeats (process, instance, pid, broker_ok, started_at, beat_at) VALUES
		('api', 'a', 1, NULL, now(), now() + interval '1 minute'), ('relay', 'r', 2, true, now(), now() + interval '1 minute'), ('worker', 'w', 3, false, now(), now() + interval '1 minute')`)
	if got := known(); got != "api true, relay true, worker true, rabbitmq true, simulator true, " {
		t.Errorf("the relay reaches the broker, and yet: %s", got)
	}
	s := tail.Subscribe(uuid.New())
	before := asked.Load()
	eventually(t, "a first look, from which later ones differ", func() bool { return asked.Load() >= before+2 })
	exec(t, db, `UPDATE heartbeats SET broker_ok = false WHERE process = 'relay'`)
	if a := next(t, s).Activity; a == nil || a.Node != "rabbitmq" || a.Kind != "process.down" {
		t.Errorf("got %+v", a)
	}
	away.Store(true)
	if a := next(t, s).Activity; a == nil || a.Node != "simulator" || a.Kind != "process.down" {
		t.Errorf("got %+v", a)
	}
	exec(t, db, `UPDATE heartbeats SET broker_ok = true WHERE process = 'worker'`)
	if a := next(t, s).Activity; a == nil || a.Node != "rabbitmq" || a.Kind != "process.up" {
		t.Errorf("got %+v", a)
	}
}

func TestTheEndOfTheProcessEndsEveryStream(t *testing.T) {
	t.Parallel()
	tail := journal.NewTail(journal.TailOptions{DB: devtest.Postgres(t), Poll: 5 * time.Millisecond})
	ctx, stop := stoppable(t)
	var running sync.WaitGroup
	running.Go(func() { _ = tail.Run(ctx) })
	s := tail.Subscribe(uuid.New())
	stop()
	running.Wait()
	eventually(t, "the stream ends", func() bool {
		select {
		case _, open := <-s.Messages:
			return !open
		default:
			return false
		}
	})
	if _, open := <-tail.Subscribe(uuid.New()).Messages; open {
		t.Error("a stream began after the end")
	}
}
