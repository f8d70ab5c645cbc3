package outbox

import "slices"

// lanes is the relay's memory: what it has read and not yet marked, one lane
// for each aggregate, and one for each replay, which has no place in the order of
// its aggregate's events and must not hold them back. It decides what may be
// published next and holds no lock, no clock and no connection, so that its rules
// can be tested by themselves:
//
//   - of one aggregate at most one event is unconfirmed, and they leave in the
//     order of their versions;
//   - a refused event holds back its aggregate and no other;
//   - nothing leaves of a partition that is not owned, and a partition is gone
//     when nothing of it is under way.
type lanes struct {
	byAggregate map[string]*lane   // or, for a replay, by its row; see [row.lane]
	ready       []string           // lanes whose next event may leave
	known       map[int64]struct{} // seq of every row from its fetch to its mark
	unconfirmed int

	owned   [partitions]bool
	under   [partitions]int   // how many of the known rows are in each
	hints   [partitions]int64 // the highest seq seen in each
	recent  recent
	held    map[string]*hold
	tainted map[string]struct{} // forgotten since the running fetch began
	fresh   [partitions]bool    // taken since then
}

type lane struct {
	partition int
	waiting   []row
	busy      bool // its first event is on its way
}

// hold counts down until a held aggregate may try again; strikes make it wait
// longer each time.
type hold struct {
	partition int
	ticks     int
	strikes   int
}

// laneLength bounds what one busy aggregate may take of the relay's memory.
const laneLength = 32

func newLanes() *lanes {
	return &lanes{
		byAggregate: map[string]*lane{}, known: map[int64]struct{}{},
		held: map[string]*hold{}, tainted: map[string]struct{}{},
	}
}

// take makes a partition ours. What was remembered of it from an earlier time is
// worth nothing: others have published since.
func (l *lanes) take(partition int) {
	l.owned[partition], l.fresh[partition] = true, true
	l.hints[partition] = 0
	l.recent = recent{}
}

// give forgets what has not left yet of a partition. What is under way stays
// until it is confirmed and marked; see [lanes.left].
func (l *lanes) give(partition int) {
	l.owned[partition] = false
	for id, ln := range l.byAggregate {
		if ln.partition != partition {
			continue
		}
		for _, r := range ln.waiting {
			l.forget(r)
		}
		ln.waiting = nil
		if !ln.busy {
			delete(l.byAggregate, id)
		}
	}
	l.ready = slices.DeleteFunc(l.ready, func(id string) bool { return l.byAggregate[id] == nil })
	for id, h := range l.held {
		if h.partition == partition {
			delete(l.held, id)
		}
	}
}

// left says that nothing of a partition is under way.
func (l *lanes) left(partition int) bool { return l.under[partition] == 0 }

// mine lists the owned partitions, beginning at one that changes from call to
// call, so that none is always last.
func (l *lanes) mine(first int) (list []int) {
	for i := range partitions {
		if p := (first + i) % partitions; l.owned[p] {
			list = append(list, p)
		}
	}
	return list
}

// beginFetch must be called before rows are read, and what it returns be left
// out by the query.
func (l *lanes) beginFetch() (seqs []int64, aggregates []string) {
	clear(l.tainted)
	clear(l.fresh[:])
	// Never nil: an SQL array that is NULL compares as unknown to every row.
	seqs, aggregates = make([]int64, 0, len(l.known)), make([]string, 0, len(l.held))
	for seq := range l.known {
		seqs = append(seqs, seq)
	}
	for id, h := range l.held {
		if h.ticks > 0 {
			aggregates = append(aggregates, id)
		}
	}
	return seqs, aggregates
}

// accept takes the rows of a fetch, sorted by seq. A fetch from the hint on may
// have skipped an older event of the same aggregate that committed late behind
// the hint. So from such a fetch only a row is taken that is sure to be its
// aggregate's next: the first of all, or the successor of one that is here or
// was here lately. gaps are the partitions of which others were left for a scan
// from the start, which sees all that committed.
func (l *lanes) accept(rows []row, fromStart bool) (taken int, gaps []int) {
	for _, r := range rows {
		if !l.owned[r.Partition] || l.fresh[r.Partition] {
			continue // It was another's while this was being read.
		}
		l.hints[r.Partition] = max(l.hints[r.Partition], r.Seq)
		if _, twice := l.known[r.Seq]; twice || l.mustWait(r.lane()) {
			continue
		}
		if !fromStart && !l.isNext(r) {
			gaps = with(gaps, r.Partition)
			continue
		}
		if !l.enqueue(r) {
			continue
		}
		taken++
	}
	return taken, gaps
}

// with adds to a list what is not in it yet.
func with(list []int, more ...int) []int {
	for _, p := range more {
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}

func (l *lanes) mustWait(aggregate string) bool {
	if h := l.held[aggregate]; h != nil && h.ticks > 0 {
		return true
	}
	_, tainted := l.tainted[aggregate]
	return tainted
}

func (l *lanes) isNext(r row) bool {
	if r.isReplay() {
		return true // A replay has no place in the order.
	}
	if last, seen := l.recent.version(r.AggregateID); seen {
		return r.AggregateVersion == last+1
	}
	return r.AggregateVersion <= 1
}

func (l *lanes) enqueue(r row) bool {
	ln := l.byAggregate[r.lane()]
	if ln == nil {
		ln = &lane{partition: r.Partition}
		l.byAggregate[r.lane()] = ln
	}
	if len(ln.waiting) >= laneLength {
		return false
	}
	ln.waiting = append(ln.waiting, r)
	if !ln.busy && len(ln.waiting) == 1 {
		l.ready = append(l.ready, r.lane())
	}
	l.known[r.Seq] = struct{}{}
	l.under[r.Partition]++
	if !r.isReplay() {
		l.recent.remember(r.AggregateID, r.AggregateVersion)
	}
	return true
}

// next returns an event that may leave now; the caller reports its outcome with
// confirmed or failed.
func (l *lanes) next() (row, bool) {
	if len(l.ready) == 0 {
		return row{}, false
	}
	id := l.ready[0]
	l.ready = l.ready[1:]
	ln := l.byAggregate[id]
	r := ln.waiting[0]
	ln.waiting = ln.waiting[1:]
	ln.busy = true
	l.unconfirmed++
	return r, true
}

// confirmed lets the next event of the aggregate leave. The row stays known
// until it is marked.
func (l *lanes) confirmed(r row) {
	l.unconfirmed--
	delete(l.held, r.lane())
	ln := l.byAggregate[r.lane()]
	ln.busy = false
	if len(ln.waiting) > 0 {
		l.ready = append(l.ready, r.lane())
		return
	}
	delete(l.byAggregate, r.lane())
}

// failed forgets the aggregate's events: they are unpublished rows that a later
// scan reads again, in order. With wait the aggregate is held back for a while.
func (l *lanes) failed(r row, wait bool) {
	l.unconfirmed--
	l.forget(r)
	for _, w := range l.byAggregate[r.lane()].waiting {
		l.forget(w)
	}
	delete(l.byAggregate, r.lane())
	if !r.isReplay() {
		l.recent.forget(r.AggregateID)
	}
	l.tainted[r.lane()] = struct{}{}
	if !wait || !l.owned[r.Partition] {
		return
	}
	h := l.held[r.lane()]
	if h == nil {
		h = &hold{partition: r.Partition}
		l.held[r.lane()] = h
	}
	h.ticks = holdTicks << h.strikes
	h.strikes = min(h.strikes+1, mostStrikes)
}

// With a tick every 200 ms the first hold is a second, the longest 32 s.
const (
	holdTicks   = 5
	mostStrikes = 5
)

// tick counts holds down.
func (l *lanes) tick() {
	for _, h := range l.held {
		h.ticks = max(0, h.ticks-1)
	}
}

// marked forgets rows that are published in the table as well.
func (l *lanes) marked(rows []row) {
	for _, r := range rows {
		l.forget(r)
	}
}

func (l *lanes) forget(r row) {
	delete(l.known, r.Seq)
	l.under[r.Partition]--
}

func (l *lanes) heldBack() (n int) {
	for _, h := range l.held {
		if h.ticks > 0 {
			n++
		}
	}
	return n
}

// recent remembers the last version taken of the aggregates seen lately. It is
// bounded: an aggregate that falls out is merely found by the next scan from the start.
type recent struct {
	young, old map[string]int64
}

const recentSize = 20_000

func (m *recent) version(id string) (int64, bool) {
	if v, seen := m.young[id]; seen {
		return v, true
	}
	v, seen := m.old[id]
	return v, seen
}

func (m *recent) remember(id string, version int64) {
	if m.young == nil || len(m.young) >= recentSize {
		m.old, m.young = m.young, make(map[string]int64, recentSize/8)
	}
	m.young[id] = version
}

func (m *recent) forget(id string) {
	delete(m.young, id)
	delete(m.old, id)
}
