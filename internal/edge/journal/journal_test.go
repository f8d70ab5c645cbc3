package journal_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/edge/journal"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
)

func count(t *testing.T, db *postgres.DB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := db.Get(t.Context(), &n, query, args...); err != nil {
		t.Fatal(err)
	}
	return n
}

func exec(t *testing.T, db *postgres.DB, query string, args ...any) {
	t.Helper()
	err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls a condition; it is the only way these tests wait.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if holds() {
			return
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

func attempt(merchant, payment uuid.UUID, fate string) journal.Attempt {
	return journal.Attempt{Merchant: merchant, Payment: payment, Operation: "capture", Key: "k-1", Fate: fate,
		Status: 200, Latency: 41 * time.Millisecond, TraceID: "t", At: time.Now()}
}

func TestFiveAttemptsFromFiveCallersAreFiveRows(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	j := journal.New(journal.Options{DB: db})
	merchant, payment := uuid.New(), uuid.New()
	var callers sync.WaitGroup
	for range 5 {
		callers.Go(func() { j.Attempt(attempt(merchant, payment, "replayed")) })
	}
	callers.Wait()
	if n := count(t, db, `SELECT count(*) FROM attempts`); n != 0 {
		t.Fatalf("%d rows were written inside of the callers", n)
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, `SELECT count(*) FROM attempts WHERE payment_id = $1 AND latency_us = 41000`, payment); n != 5 {
		t.Fatalf("got %d rows", n)
	}
	if j.Dropped() != 0 {
		t.Fatalf("dropped %d", j.Dropped())
	}
}

// Of a thousand stories in a second two hundred are drawn, each as a whole, and the rest is
// counted as missing; of their attempts none is left out.
func TestAboveTwoHundredStoriesASecondAPartIsDrawnWholeAndTheRestIsCounted(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	j := journal.New(journal.Options{DB: db})
	second := time.Now().Truncate(time.Second)
	merchant := uuid.New()
	tell := func(at time.Time, stories []uuid.UUID) {
		for _, story := range stories {
			for range 3 {
				j.Observe(t.Context(), observe.Event{Kind: observe.Claimed, Node: "api", Scope: merchant, Correlation: story, At: at})
			}
			j.Attempt(attempt(merchant, story, "executed"))
		}
	}
	stories := make([]uuid.UUID, 1000)
	for i := range stories {
		stories[i] = uuid.New()
	}
	tell(second, stories)
	if j.Dropped() != 0 {
		t.Fatalf("%d records of the first second are missing: it was not known yet how many there would be", j.Dropped())
	}
	tell(second.Add(time.Second), stories)
	j.Observe(t.Context(), observe.Event{Kind: observe.ProcessUp, Node: "api", At: second.Add(time.Second)})
	missing := j.Dropped()
	if missing < 2100 || missing > 2700 || missing%3 != 0 {
		t.Errorf("%d records are missing, expected those of some 800 stories", missing)
	}
	tell(second.Add(2*time.Second), stories[:10])
	tell(second.Add(3*time.Second), stories[10:20])
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, `SELECT count(*) FROM attempts`); n != 2020 {
		t.Errorf("%d of 2,020 attempts were written", n)
	}
	if n := count(t, db, `SELECT count(*) FROM (SELECT payment_id FROM activity WHERE at = $1 GROUP BY payment_id HAVING count(*) <> 3) AS torn`, second.Add(time.Second)); n != 1 {
		t.Errorf("%d stories are drawn in part; only what belongs to none may be one row", n)
	}
	if n := count(t, db, `SELECT count(*) FROM activity WHERE at = $1`, second.Add(3*time.Second)); n != 30 {
		t.Errorf("%d of 30 events of a quiet second are drawn", n)
	}
}

func TestAJournalWritesWhatItsLevelSays(t *testing.T) {
	t.Parallel()
	for level, want := range map[journal.Level][2]int{journal.All: {1, 1}, journal.Attempts: {0, 1}, journal.Off: {0, 0}} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			db := devtest.Postgres(t)
			j := journal.New(journal.Options{DB: db, Level: level})
			j.Observe(t.Context(), observe.Event{Kind: observe.Claimed, Node: "api"})
			j.Attempt(attempt(uuid.New(), uuid.New(), "executed"))
			if err := j.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := [2]int{count(t, db, `SELECT count(*) FROM activity`), count(t, db, `SELECT count(*) FROM attempts`)}
			if got != want || j.Dropped() != 0 {
				t.Errorf("%v rows, expected %v; %d missing", got, want, j.Dropped())
			}
		})
	}
}

func TestAFullBufferDropsAndCountsThree(t *testing.T) {
	t.Parallel()
	j := journal.New(journal.Options{DB: devtest.Postgres(t), Capacity: 10})
	for range 12 {
		j.Attempt(attempt(uuid.New(), uuid.New(), "executed"))
	}
	for range 11 {
		j.Observe(t.Context(), observe.Event{Kind: observe.Claimed})
	}
	if j.Dropped() != 3 {
		t.Fatalf("dropped %d, expected 2 attempts and 1 event", j.Dropped())
	}
}

func TestWhatCannotBeWrittenWaitsUntilTheDatabaseIsBack(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	j := journal.New(journal.Options{DB: db})
	j.Attempt(attempt(uuid.New(), uuid.New(), "executed"))
	j.Observe(t.Context(), observe.Event{Kind: observe.Claimed, Node: "api"})

	// Somebody holds both tables for longer than the session waits.
	blocked := make(chan struct{})
	release := make(chan struct{})
	var rival sync.WaitGroup
	rival.Go(func() {
		_ = postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
			_, err := tx.Exec(t.Context(), `LOCK TABLE attempts, activity IN ACCESS EXCLUSIVE MODE`)
			close(blocked)
			<-release
			return err
		})
	})
	<-blocked
	if err := j.Flush(t.Context()); err == nil {
		t.Error("a flush against locked tables succeeded")
	}
	close(release)
	rival.Wait()
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, b := count(t, db, `SELECT count(*) FROM attempts`), count(t, db, `SELECT count(*) FROM activity`); a != 1 || b != 1 || j.Dropped() != 0 {
		t.Fatalf("%d attempts, %d activities, %d dropped", a, b, j.Dropped())
	}
}

func TestARecordThatCannotBeStoredIsCountedAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	j := journal.New(journal.Options{DB: db})
	j.Attempt(attempt(uuid.New(), uuid.New(), "no such fate"))
	if err := j.Flush(t.Context()); err == nil {
		t.Fatal("the constraint did not fire")
	}
	j.Attempt(attempt(uuid.New(), uuid.New(), "executed"))
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, `SELECT count(*) FROM attempts`); n != 1 || j.Dropped() != 1 {
		t.Fatalf("%d rows, %d dropped", n, j.Dropped())
	}
}

func TestABatchKeepsItsOrderAndShowsOnlyTheKeysEnd(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	j := journal.New(journal.Options{DB: db})
	merchant, payment := uuid.New(), uuid.New()
	for i := range 2500 {
		j.Observe(t.Context(), observe.Event{Kind: observe.Delivered, Node: "ledger", Scope: merchant, Correlation: payment,
			Key: "secret-key-9f3c", Attempt: i + 1, Detail: "broken \xff and \x00"})
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, `
SELECT count(*) FROM (SELECT (facts->>'attempt')::int AS no, row_number() OVER (ORDER BY id) AS place FROM activity) r WHERE no = place`); n != 2500 {
		t.Fatalf("%d of 2500 rows are in order", n)
	}
	if n := count(t, db, `SELECT count(*) FROM activity WHERE facts->>'key_suffix' = '9f3c' AND facts::text NOT LIKE '%secret%'`); n != 2500 {
		t.Fatalf("%d rows show only the key's end", n)
	}
}

func TestRunWritesWithinItsPauseAndOnceMoreAtTheEnd(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	j := journal.New(journal.Options{DB: db, Every: time.Millisecond})
	ctx, stop := stoppable(t)
	var running sync.WaitGroup
	running.Go(func() { _ = j.Run(ctx) })
	j.Attempt(attempt(uuid.New(), uuid.New(), "executed"))
	eventually(t, "the attempt is a row", func() bool { return count(t, db, `SELECT count(*) FROM attempts`) == 1 })
	stop()
	j.Attempt(attempt(uuid.New(), uuid.New(), "executed"))
	running.Wait()
	_ = j.Flush(t.Context())
	if n := count(t, db, `SELECT count(*) FROM attempts`); n != 2 {
		t.Fatalf("%d rows after the end", n)
	}
}

func TestPruningLeavesTheNewestTenAndNothingOlderThanAnHour(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	exec(t, db, `INSERT INTO activity (id, at, kind, node, facts)
SELECT (substr(uuid_v7_floor(now() - interval '2 hours')::text, 1, 24) || lpad(n::text, 12, '0'))::uuid, now(), 'claimed', 'old', '{}' FROM generate_series(1, 1500) n`)
	j := journal.New(journal.Options{DB: db, KeepRows: 10})
	for i := range 25 {
		j.Observe(t.Context(), observe.Event{Kind: observe.Claimed, Node: fmt.Sprint(i)})
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := j.Prune(t.Context())
	if err != nil || n != 1500+14 {
		t.Fatalf("pruned %d, %v", n, err)
	}
	if left := count(t, db, `SELECT count(*) FROM activity WHERE node::text <> 'old'`); left != 11 {
		t.Fatalf("%d rows are left", left)
	}
	if again, _ := j.Prune(t.Context()); again != 0 {
		t.Fatalf("the second time it pruned %d", again)
	}
}
