package outbox

import (
	"strconv"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// model is an outbox table, a broker and a relay's memory, moved at random.
type model struct {
	t       *rapid.T
	lanes   *lanes
	table   []row          // committed rows by seq
	pending []row          // drawn a seq, not committed yet
	done    map[int64]bool // marked
	version map[string]int64
	sent    map[string][]int64 // versions in the order they were confirmed
	flying  []row
	toMark  []row
	seq     int64
}

// share deals the model's five aggregates into two partitions.
func share(id string) int { return int(id[len(id)-1]) % 2 }

// ownAll makes a memory that owns every partition.
func ownAll() *lanes {
	l := newLanes()
	for p := range partitions {
		l.take(p)
	}
	l.beginFetch()
	return l
}

func aggregate(n int) string { return strconv.Itoa(n + 1) }

// fetch reads what the SQL would: unpublished rows after a position, without
// the ones left out, by seq.
func (m *model) fetch(fromStart bool, limit int) {
	seqs, held := m.lanes.beginFetch()
	skip, heldBack := map[int64]bool{}, map[string]bool{}
	after := m.lanes.hints
	asked := m.lanes.owned
	if fromStart {
		clear(after[:])
		for _, s := range seqs {
			skip[s] = true
		}
	}
	for _, id := range held {
		heldBack[id] = true
	}
	var rows []row
	for _, r := range m.table {
		if asked[r.Partition] && r.Seq > after[r.Partition] && !m.done[r.Seq] && !skip[r.Seq] && !heldBack[r.AggregateID] && len(rows) < limit {
			rows = append(rows, r)
		}
	}
	// The world moves on between the query's snapshot and its answer.
	if rapid.Bool().Draw(m.t, "meanwhile") {
		m.settleOne()
		m.mark()
		if rapid.Bool().Draw(m.t, "handed to and fro") {
			p := rapid.IntRange(0, 1).Draw(m.t, "partition")
			m.give(p)
			m.rival(p)
			m.takeBack(p)
		}
	}
	m.lanes.accept(rows, fromStart)
}

func (m *model) give(p int) {
	if m.lanes.owned[p] {
		m.lanes.give(p)
	}
}

// rival is another relay that owns p while we do not, and nothing of ours is
// under way: it publishes and marks one event of each aggregate.
func (m *model) rival(p int) {
	if m.lanes.owned[p] || !m.lanes.left(p) {
		return
	}
	served := map[string]bool{}
	for _, r := range m.table {
		if r.Partition == p && !m.done[r.Seq] && !served[r.AggregateID] {
			served[r.AggregateID] = true
			m.confirm(r)
			m.done[r.Seq] = true
		}
	}
}

func (m *model) takeBack(p int) {
	if !m.lanes.owned[p] && m.lanes.left(p) {
		m.lanes.take(p)
	}
}

func (m *model) settleOne() {
	if len(m.flying) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.flying)-1).Draw(m.t, "which")
	r := m.flying[i]
	m.flying = append(m.flying[:i:i], m.flying[i+1:]...)
	switch rapid.SampledFrom([]string{"ack", "ack", "ack", "return", "unknown"}).Draw(m.t, "outcome") {
	case "ack":
		m.lanes.confirmed(r)
		m.confirm(r)
		m.toMark = append(m.toMark, r)
	case "return":
		m.lanes.failed(r, true)
	case "unknown":
		m.lanes.failed(r, false)
	}
}

func (m *model) confirm(r row) {
	done := m.sent[r.AggregateID]
	if n := int64(len(done)); r.AggregateVersion != n+1 {
		m.t.Fatalf("version %d of %s was confirmed after %v", r.AggregateVersion, r.AggregateID, done)
	}
	m.sent[r.AggregateID] = append(done, r.AggregateVersion)
}

func (m *model) mark() {
	for _, r := range m.toMark {
		m.done[r.Seq] = true
	}
	m.lanes.marked(m.toMark)
	m.toMark = nil
}

// draw begins a transaction that appends an event: the seq is drawn now and
// seen by others only after commit. One aggregate's row lock lets only one
// transaction at a time do so.
func (m *model) draw() {
	id := aggregate(rapid.IntRange(0, 4).Draw(m.t, "aggregate"))
	for _, p := range m.pending {
		if p.AggregateID == id {
			return
		}
	}
	m.seq++
	m.version[id]++
	m.pending = append(m.pending, row{RowID: uuid.NewString(), AggregateID: id, AggregateVersion: m.version[id], Seq: m.seq, Partition: share(id)})
}

func (m *model) commit() {
	if len(m.pending) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.pending)-1).Draw(m.t, "commits")
	r := m.pending[i]
	m.pending = append(m.pending[:i:i], m.pending[i+1:]...)
	at := len(m.table)
	for at > 0 && m.table[at-1].Seq > r.Seq {
		at--
	}
	m.table = append(m.table[:at:at], append([]row{r}, m.table[at:]...)...)
}

func (m *model) send() {
	r, ok := m.lanes.next()
	if !ok {
		return
	}
	for _, f := range m.flying {
		if f.AggregateID == r.AggregateID {
			m.t.Fatalf("two events of %s are unconfirmed at once", r.AggregateID)
		}
	}
	m.flying = append(m.flying, r)
}

func TestWhateverCommitsLateFailsOrChangesHandsEachAggregateIsConfirmedInOrderAndNothingIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{t: t, lanes: ownAll(), done: map[int64]bool{}, version: map[string]int64{}, sent: map[string][]int64{}}
		t.Repeat(map[string]func(*rapid.T){
			"draw":   func(*rapid.T) { m.draw() },
			"commit": func(*rapid.T) { m.commit() },
			"hint":   func(*rapid.T) { m.fetch(false, 3) },
			"scan":   func(*rapid.T) { m.fetch(true, 3) },
			"send":   func(*rapid.T) { m.send() },
			"settle": func(*rapid.T) { m.settleOne() },
			"mark":   func(*rapid.T) { m.mark() },
			"tick":   func(*rapid.T) { m.lanes.tick() },
			"give":   func(t *rapid.T) { m.give(rapid.IntRange(0, 1).Draw(t, "partition")) },
			"rival":  func(t *rapid.T) { m.rival(rapid.IntRange(0, 1).Draw(t, "partition")) },
			"take":   func(t *rapid.T) { m.takeBack(rapid.IntRange(0, 1).Draw(t, "partition")) },
		})
		m.finish()
	})
}

// finish lifts every fault and lets the relay come to rest.
func (m *model) finish() {
	for len(m.pending) > 0 {
		m.commit()
	}
	for range 500 {
		m.lanes.tick()
		m.takeBack(0)
		m.takeBack(1)
		seqs, _ := m.lanes.beginFetch()
		known := map[int64]bool{}
		for _, s := range seqs {
			known[s] = true
		}
		var rows []row
		for _, r := range m.table {
			if !m.done[r.Seq] && !known[r.Seq] {
				rows = append(rows, r)
			}
		}
		m.lanes.accept(rows, true)
		for r, ok := m.lanes.next(); ok; r, ok = m.lanes.next() {
			m.flying = append(m.flying, r)
		}
		for _, r := range m.flying {
			m.lanes.confirmed(r)
			m.confirm(r)
			m.toMark = append(m.toMark, r)
		}
		m.flying = nil
		m.mark()
	}
	for _, r := range m.table {
		if !m.done[r.Seq] {
			m.t.Fatalf("event %d of %s was never published", r.AggregateVersion, r.AggregateID)
		}
	}
	if len(m.lanes.known)+len(m.lanes.byAggregate)+m.lanes.unconfirmed != 0 {
		m.t.Fatalf("at rest the relay remembers %d rows and %d lanes", len(m.lanes.known), len(m.lanes.byAggregate))
	}
}

func TestAHeldAggregateStopsNobodyElse(t *testing.T) {
	t.Parallel()
	l := ownAll()
	bad, good := aggregate(1), aggregate(2)
	l.accept([]row{
		{AggregateID: bad, AggregateVersion: 1, Seq: 1}, {AggregateID: bad, AggregateVersion: 2, Seq: 2},
		{AggregateID: good, AggregateVersion: 1, Seq: 3}, {AggregateID: good, AggregateVersion: 2, Seq: 4},
	}, true)
	first, _ := l.next()
	l.failed(first, true)
	for range 2 {
		r, ok := l.next()
		if !ok || r.AggregateID != good {
			t.Fatalf("the other aggregate does not flow: %v %v", r, ok)
		}
		l.confirmed(r)
	}
	if _, ok := l.next(); ok {
		t.Error("an event of the held aggregate left")
	}
	_, held := l.beginFetch()
	if len(held) != 1 || held[0] != bad {
		t.Errorf("held: %v", held)
	}
}

func TestAfterTheHintAnAggregateOfUnknownPastWaitsForAScanFromTheStart(t *testing.T) {
	t.Parallel()
	l := ownAll()
	late := aggregate(1)
	// Version 1 (seq 1) commits behind the hint; version 2 is seen first.
	taken, gaps := l.accept([]row{{AggregateID: aggregate(2), AggregateVersion: 1, Seq: 5}, {AggregateID: late, AggregateVersion: 2, Seq: 9}}, false)
	if taken != 1 || len(gaps) != 1 {
		t.Fatalf("taken %d, gaps %v: version 2 would overtake version 1", taken, gaps)
	}
	taken, _ = l.accept([]row{{AggregateID: late, AggregateVersion: 1, Seq: 1}, {AggregateID: late, AggregateVersion: 2, Seq: 9}}, true)
	if taken != 2 {
		t.Errorf("a scan from the start took %d of 2", taken)
	}
}

// A replay goes to one queue, which may be gone; the payment's own events go on.
func TestAReplayThatIsRefusedWaitsAloneAndHoldsBackNoEventOfItsAggregate(t *testing.T) {
	t.Parallel()
	l := ownAll()
	replay := row{RowID: uuid.NewString(), AggregateID: aggregate(1), AggregateVersion: 1, Seq: 1}
	replay.Destination = "gone"
	own := row{RowID: uuid.NewString(), AggregateID: aggregate(1), AggregateVersion: 1, Seq: 2}
	other := replay
	other.RowID, other.Seq, other.Destination = uuid.NewString(), 3, "there"
	if taken, _ := l.accept([]row{replay, own, other}, true); taken != 3 {
		t.Fatalf("%d rows taken", taken)
	}
	for range 3 {
		r, ok := l.next()
		switch {
		case !ok:
			t.Fatal("one holds back another before anything was refused")
		case r.Seq == replay.Seq:
			l.failed(r, true)
		default:
			l.confirmed(r)
		}
	}
	_, held := l.beginFetch()
	if len(held) != 1 || held[0] != replay.RowID {
		t.Errorf("held back: %v, want the replay alone", held)
	}
	next := row{RowID: uuid.NewString(), AggregateID: aggregate(1), AggregateVersion: 2, Seq: 4}
	if taken, _ := l.accept([]row{next}, false); taken != 1 {
		t.Error("the aggregate's next event is held back by the replay")
	}
}
