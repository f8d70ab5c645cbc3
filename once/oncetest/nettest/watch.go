package nettest

import (
	"encoding/binary"
	"regexp"
	"strings"
)

// Moment is where on the wire a program can die, or an answer can be lost, such that it
// matters.
type Moment string

// Moments.
const (
	// Writing: a transaction that has written gets one more message from its client, the
	// last of which is its COMMIT, whatever the driver calls that.
	Writing Moment = "writing"
	// Committed: the server has made it durable, and the client does not know.
	Committed Moment = "committed"
	// Publishing: a message is about to reach the broker.
	Publishing Moment = "publishing"
	// Confirmed: the broker has taken a message, and the publisher does not know.
	Confirmed Moment = "confirmed"
	// Acking: a delivery is about to be acknowledged.
	Acking Moment = "acking"
	// Deadlocked: the server has refused a statement to end a deadlock. Its own counter
	// comes seconds later.
	Deadlocked Moment = "deadlocked"
)

// Point is a moment that has come.
type Point struct {
	Moment
	Text string // the statements of a commit, the exchange and key of a message
}

// Looker looks into the server past the proxy, for what the wire does not tell.
type Looker interface {
	// Wrote says whether the open transaction of a backend has written.
	Wrote(pid int) bool
	// Writers counts the transactions that wrote, of all backends, since any time.
	Writers() int64
}

// Watch tells see of each moment, on the goroutine that carries the bytes: until it
// returns nothing passes. When it returns false nothing passes any more, and the
// connection ends. Before the first connection only.
func (p *Proxy) Watch(looker Looker, see func(Point) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looker, p.see = looker, see
}

func (p *Proxy) watched() (Looker, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looker, p.see != nil
}

func (p *Proxy) seen(at Point) (goesOn bool) {
	p.mu.Lock()
	see := p.see
	p.mu.Unlock()
	return see == nil || see(at)
}

// ended is how a connection ends on which nothing more passes.
func ended() *Loss { return &Loss{end: Reset, happened: make(chan struct{})} }

// watching is what a session remembers between two moments.
type watching struct {
	pid     int
	asked   []string // since the server was last ready
	texts   []string // of the open transaction
	wrote   bool     // the open transaction
	alone   bool     // a statement runs outside of one
	writers int64    // before it
	failed  bool
	reads   bool // it said that it has selected
}

// mayWrite says whether a statement that returns rows may also write: it has a part that
// does, or calls a function that is not known to read only. Transactions of other sessions
// are counted with it, and would make a commit of each plain read.
func mayWrite(query string) bool {
	if writes.MatchString(query) {
		return true
	}
	for _, called := range calls.FindAllStringSubmatch(query, -1) {
		if alias := called[1] != ""; !alias && !readers[strings.ToLower(called[2])] {
			return true
		}
	}
	return false
}

var (
	writes  = regexp.MustCompile(`(?i)\b(insert|update|delete|merge|call)\b`)
	calls   = regexp.MustCompile(`(?i)(\bas\s+)?(\w+)\s*\(`) // AS name (columns) is no call
	readers = words(`abs all and any array array_agg as avg between bool_and bool_or cardinality case cast char_length
		clock_timestamp coalesce concat count current_setting date_trunc decode encode exists extract filter floor format from generate_series
		greatest group hashtext in join json_agg jsonb_agg jsonb_build_object lateral least left length limit lower max min not now
		nullif numeric on or over pg_backend_pid position values varchar right round row_number select string_agg substring sum
		to_char to_regclass to_timestamp trim unnest upper using when where`)
)

func words(list string) map[string]bool {
	all := map[string]bool{}
	for _, word := range strings.Fields(list) {
		all[word] = true
	}
	return all
}

// goesOn looks when the client has ended a group of messages, before the server gets it.
func (s *session) goesOn(kind byte) bool {
	w := &s.watch
	if kind != 'Q' && kind != 'S' || len(w.asked) == 0 {
		return true
	}
	looker, watched := s.proxy.watched()
	if !watched {
		w.asked = nil
		return true
	}
	w.texts = append(w.texts, w.asked...)
	first := w.asked[0]
	w.asked = nil
	if s.status == idle {
		if w.alone = !beginsWith(first, "BEGIN") && !beginsWith(first, "START"); w.alone {
			w.writers = looker.Writers()
		}
		return true
	}
	if w.wrote = w.wrote || looker.Wrote(w.pid); !w.wrote {
		return true
	}
	return s.proxy.seen(Point{Writing, strings.Join(w.texts, "; ")})
}

// hears looks at what the server says, before the client hears it.
func (s *session) hears(kind byte, body []byte) bool {
	if !strings.ContainsRune("KECZ", rune(kind)) { // rows and the like say nothing of this
		return true
	}
	looker, watched := s.proxy.watched()
	if !watched {
		return true
	}
	w := &s.watch
	switch {
	case kind == 'K' && len(body) >= 4: // BackendKeyData
		w.pid = int(binary.BigEndian.Uint32(body))
	case kind == 'E':
		w.failed = true
		const deadlockDetected = "\x00C40P01\x00" // the field of the state, between others
		return !strings.Contains(string(body), deadlockDetected) || s.proxy.seen(Point{Deadlocked, strings.Join(w.texts, "; ")})
	case kind == 'C' && strings.HasPrefix(string(body), "ROLLBACK"):
		w.failed = true
	case kind == 'C' && strings.HasPrefix(string(body), "SELECT"):
		w.reads = true
	case kind == 'Z' && len(body) > 0 && body[0] == idle:
		at := Point{Committed, strings.Join(w.texts, "; ")}
		alone := w.alone && (!w.reads || mayWrite(at.Text)) && looker.Writers() > w.writers
		done := !w.failed && (w.wrote || alone)
		*w = watching{pid: w.pid}
		return !done || s.proxy.seen(at)
	}
	return true
}
