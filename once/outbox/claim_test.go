package outbox

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
)

// plan is what EXPLAIN tells of a query that was run.
type plan struct {
	Node     string  `json:"Node Type"`
	Index    string  `json:"Index Name"`
	Relation string  `json:"Relation Name"`
	Hit      int     `json:"Shared Hit Blocks"`
	Read     int     `json:"Shared Read Blocks"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Parts    []plan  `json:"Plans"`
	Thrown   float64 `json:"Rows Removed by Filter"`
}

func (p plan) walk(see func(plan)) {
	see(p)
	for _, part := range p.Parts {
		part.walk(see)
	}
}

// explain runs the relay's own query and returns its plan.
func (s *stage) explain(q request) plan {
	s.t.Helper()
	var text []byte
	rows, err := table.in(`EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) `+fetchRows).Read(s.t.Context(), s.db, q.args(time.Now()))
	if _, err := once.One(rows, err, &text); err != nil {
		s.t.Fatal(err)
	}
	var top []struct{ Plan plan }
	if err := json.Unmarshal(text, &top); err != nil {
		s.t.Fatal(err)
	}
	return top[0].Plan
}

// hints are the positions behind everything that is in the table.
func (s *stage) hints() (list []int64) {
	for range partitions {
		list = append(list, int64(s.count(`SELECT coalesce(max(seq), 0) FROM outbox_events`)))
	}
	return list
}

func every() (list []int) {
	for p := range partitions {
		list = append(list, p)
	}
	return list
}

func TestTheClaimTouchesNoRowThatIsPublishedOrAnothersHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	mine, others := inPartition(3), inPartition(4)
	var events []Event
	for v := range 3000 {
		events = append(events, thing("thing.happened", others, int64(v+1)))
	}
	events = append(events, thing("thing.happened", mine, 1))
	s.append(events...)
	s.exec(`ANALYZE outbox_events`)
	seen := s.explain(request{partitions: []int{3}, after: []int64{0}, limit: 500, seqs: []int64{}, aggregates: []string{}})
	thrown := 0.0
	seen.walk(func(p plan) {
		if strings.Contains(p.Node, "Seq Scan") && p.Loops > 0 && p.Rows > 0 {
			t.Errorf("the claim reads the table from end to end: %+v", p)
		}
		thrown += p.Thrown * p.Loops
	})
	if seen.Rows != 1 || thrown != 0 {
		t.Errorf("for one row of its own the relay found %v and threw %v of others away", seen.Rows, thrown)
	}
}

// An old open transaction keeps the index entries of everything published since
// it began: the scan from the start walks over all of them, the hint does not.
func TestBehindAnOldOpenTransactionTheHintSparesWhatTheScanFromTheStartMustWalkOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	began, finish, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.pool().InTx(context.Background(), func(tx once.Tx) error {
			// As old as the test lasts: the session's limit would end it on a slow machine.
			if _, err := tx.Exec(context.Background(), `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
				close(began)
				return err
			}
			var id string // Having one is enough to be old.
			rows, err := tx.Query(context.Background(), `SELECT pg_current_xact_id()::text`)
			_, err = once.One(rows, err, &id)
			close(began)
			<-finish
			return err
		})
	}()
	<-began
	defer func() {
		close(finish)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	s.append(story("thing.happened", 300, 10)...)
	if c := s.relays(s.relay(nil), all(3000)); c.Marked != 3000 {
		t.Fatalf("%+v", c)
	}
	s.append(thing("thing.happened", uuid.NewString(), 1))
	after := s.hints()
	for p := range after {
		after[p]-- // The new row lies behind no hint.
	}
	scan := s.explain(request{partitions: every(), after: make([]int64, partitions), limit: 500, seqs: []int64{}, aggregates: []string{}})
	hint := s.explain(request{partitions: every(), after: after, limit: 500, seqs: []int64{}, aggregates: []string{}})
	if scan.Rows != 1 || hint.Rows != 1 {
		t.Fatalf("found %v and %v of one row", scan.Rows, hint.Rows)
	}
	s.t.Logf("pages touched: %d from the start, %d from the hint", scan.Hit+scan.Read, hint.Hit+hint.Read)
	if scan.Hit+scan.Read < hint.Hit+hint.Read+300 {
		t.Error("the hint spares nothing of 3,000 published rows")
	}
}

// Sixteen walks through each day of a month cost more than all else that a relay does
// with a single event.
func TestBehindAHintNoDayIsLookedIntoButThoseOfNow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.append(thing("thing.happened", uuid.NewString(), 1))
	days := func(recent bool) int {
		seen := map[string]bool{}
		s.explain(request{partitions: every(), after: make([]int64, partitions), recent: recent, limit: 500, seqs: []int64{}, aggregates: []string{}}).walk(func(p plan) {
			if p.Loops > 0 && p.Relation != "" {
				seen[p.Relation] = true
			}
		})
		return len(seen)
	}
	if recent, whole := days(true), days(false); recent > 2 || whole < 10 {
		t.Errorf("%d days are looked into behind a hint, %d from the start", recent, whole)
	}
	if scan := s.explain(request{partitions: every(), after: make([]int64, partitions), recent: true, limit: 500, seqs: []int64{}, aggregates: []string{}}); scan.Rows != 1 {
		t.Errorf("found %v of one row that was written now", scan.Rows)
	}
}

func TestOneSlowOrFailedAggregateHoldsBackItselfOnlyEvenWithinItsPartition(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bad, good := inPartition(7), inPartition(7)
	events := []Event{thing("thing.unbound", bad, 1)}
	for v := range 40 {
		events = append(events, thing("thing.happened", bad, int64(v+2)), thing("thing.happened", good, int64(v+1)))
	}
	s.append(events...)
	s.start(s.relay(nil))
	s.eventually("the other forty", func() bool { return len(s.distinct()) == 40 && s.unpublished() == 41 })
	if slices.ContainsFunc(s.distinct(), func(e envelope.Envelope) bool { return e.AggregateID == bad }) {
		t.Error("an event overtook the failed one of its aggregate")
	}
	s.inOrder()
}

func TestAListenerWhoseConnectionBreaksLooksForWhatItMissedWhileNobodyPolls(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	woken := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.pool().Listen(ctx, names.Channel, func() { woken <- struct{}{} }, nil)
	}()
	<-woken // It listens, and looks at what came before.
	s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'`)
	// Whatever was committed and notified while it was away is gone with the
	// connection, and is not said again. The look after the reconnect finds it.
	s.eventually("a wake-up that was not sent", func() bool { return len(woken) > 0 })
	cancel()
	<-ended
}

func TestAHundredWakeUpsWhileOneIsOnItsWayBecomeOne(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	waker := NewWaker(s.pool(), names.Channel, nil)
	for range 100 { // Nothing sends yet: they can only wait.
		waker.Wake()
	}
	if n := len(waker.asked); n != 1 {
		t.Errorf("%d wake-ups are waiting", n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := waker.Run(ctx); err != nil {
		t.Error(err)
	}
}
