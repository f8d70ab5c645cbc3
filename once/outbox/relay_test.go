package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	"payonce/once/oncetest/nettest"
	"payonce/once/rabbit"
)

// The names of these tests. The tables are found on the session's search_path.
var (
	names  = NamesOf("post")
	format = envelope.Of("post")
	table  = Table{}
)

// queues: reader gets everything of type thing.happened, full has room for one.
var topology = rabbit.Topology{
	Exchanges: []rabbit.Exchange{{Name: names.Exchange, Kind: "topic"}, {Name: "dead", Kind: "fanout"}},
	Queues: []rabbit.Queue{
		rabbit.WorkQueue("reader", "dead"),
		{Name: "full", Args: map[string]any{"x-max-length": 1, "x-overflow": "reject-publish"}},
	},
	Bindings: []rabbit.Binding{
		{Queue: "reader", Exchange: names.Exchange, Key: "thing.happened"},
		{Queue: "full", Exchange: names.Exchange, Key: "thing.overflowed"},
	},
}

// stage is a database, a broker behind a proxy, and a reader of what arrives.
type stage struct {
	t     *testing.T
	dsn   string
	db    once.DB
	url   string
	proxy *nettest.Proxy

	mu      sync.Mutex
	arrived []envelope.Envelope
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dsn: dbtest.Database(t, "post") + "&search_path=post", url: oncetest.Broker(t)}
	s.proxy = nettest.NewProxy(t, s.url)
	s.db = s.pool()
	reader := s.connect(s.url, topology)
	ctx, stop := context.WithCancel(context.Background())
	read := make(chan error, 1)
	go func() { read <- reader.Consume(ctx, rabbit.ConsumerConfig{Queue: "reader"}, s.read) }()
	t.Cleanup(func() {
		stop()
		if err := <-read; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stage) pool() once.DB {
	s.t.Helper()
	return dbtest.OpenPq(s.t, s.dsn)
}

func (s *stage) connect(url string, t rabbit.Topology) *rabbit.Conn {
	s.t.Helper()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{url}, Topology: t, BackoffMin: 10 * time.Millisecond, BackoffMax: 100 * time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	if err := conn.Ready(ctx); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func (s *stage) read(_ context.Context, batch []rabbit.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range batch {
		e, err := format.Parse(d.Message)
		if err != nil {
			s.t.Errorf("an envelope that cannot be read: %v", err)
		}
		s.arrived = append(s.arrived, e)
	}
	if err := rabbit.Ack(batch...); err != nil {
		s.t.Logf("ack: %v", err)
	}
}

// distinct returns what arrived, each event once, in the order of its first
// arrival.
func (s *stage) distinct() []envelope.Envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first []envelope.Envelope
	seen := map[string]bool{}
	for _, e := range s.arrived {
		if !seen[e.EventID] {
			seen[e.EventID] = true
			first = append(first, e)
		}
	}
	return first
}

func (s *stage) copies() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arrived)
}

// relay makes one whose broker connection goes through the proxy.
func (s *stage) relay(change func(*Config)) *Relay {
	s.t.Helper()
	cfg := Config{
		DB: s.pool(), Names: names, Format: format, Source: "/post",
		Poll: 20 * time.Millisecond, Heartbeat: 500 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	if cfg.Publisher == nil {
		cfg.Publisher = s.publisher(time.Second)
	}
	r, err := NewRelay(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stage) publisher(patience time.Duration) *rabbit.Publisher {
	return s.connect(s.proxy.URL(), topology).Publisher(rabbit.PublisherConfig{ConfirmTimeout: patience})
}

// well makes a relay that is well also on a machine that is slow: a confirm or a sign of
// life that comes late is, rightly, a copy.
func (s *stage) well() *Relay {
	return s.relay(func(c *Config) { c.Publisher, c.Heartbeat = s.publisher(20*time.Second), 2*time.Second })
}

// start runs a relay until the test ends or stop is called.
func (s *stage) start(r *Relay) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.Run(ctx); err != nil {
			s.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	s.t.Cleanup(stop)
	return stop
}

// relays runs a relay until what it has done is enough.
func (s *stage) relays(r *Relay, enough func(done Counts) bool) Counts {
	s.t.Helper()
	stop := s.start(r)
	s.eventually("the relay has done its work", func() bool { return enough(r.Counts()) })
	stop()
	return r.Counts()
}

// all says that so many events are marked.
func all(n int64) func(Counts) bool { return func(done Counts) bool { return done.Marked >= n } }

func (s *stage) append(events ...Event) {
	s.t.Helper()
	if err := s.db.InTx(s.t.Context(), func(tx once.Tx) error { return table.Append(s.t.Context(), tx, events...) }); err != nil {
		s.t.Fatal(err)
	}
}

// story makes the events of several aggregates, versions from 1, interleaved.
func story(kind string, aggregates, versions int) []Event {
	ids := make([]string, aggregates)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	var events []Event
	for v := range versions {
		for _, id := range ids {
			events = append(events, thing(kind, id, int64(v+1)))
		}
	}
	return events
}

func thing(kind, aggregate string, version int64) Event {
	id := uuid.Must(uuid.NewV7()).String()
	return Event{ID: id, AggregateType: "thing", AggregateID: aggregate, AggregateVersion: version, Type: kind, Payload: fmt.Appendf(nil, `{"n":%d}`, version)}
}

func (s *stage) count(query string, args ...any) int {
	s.t.Helper()
	return dbtest.Int(s.t, s.db, query, args...)
}

func (s *stage) unpublished() int {
	return s.count(`SELECT count(*) FROM outbox_events WHERE published_at IS NULL`)
}

func (s *stage) eventually(what string, condition func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			s.t.Fatalf("gave up waiting: %s (%d unpublished, %d distinct of %d copies arrived)", what, s.unpublished(), len(s.distinct()), s.copies())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// inOrder fails unless each aggregate's events arrived first in the order of
// their versions.
func (s *stage) inOrder() {
	s.t.Helper()
	last := map[string]int64{}
	for _, e := range s.distinct() {
		if e.AggregateVersion != last[e.AggregateID]+1 {
			s.t.Errorf("version %d of %s arrived after %d", e.AggregateVersion, e.AggregateID, last[e.AggregateID])
			return
		}
		last[e.AggregateID] = e.AggregateVersion
	}
}

func (s *stage) exec(query string, args ...any) {
	s.t.Helper()
	dbtest.Exec(s.t, s.db, query, args...)
}

func TestFiveThousandEventsArriveInOrderOnceEachAndAreMarked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	events := story("thing.happened", 500, 10)
	for batch := range slices.Chunk(events, 500) {
		s.append(batch...)
	}
	r := s.relay(nil)
	began := time.Now()
	counts := s.relays(r, all(5000))
	took := time.Since(began)
	t.Logf("5,000 events published and marked in %s: %.0f a second", took, 5000/took.Seconds())
	if counts.Published != 5000 || counts.Marked != 5000 || counts.Lost != 0 {
		t.Errorf("counts: %+v", counts)
	}
	if n := s.unpublished(); n != 0 {
		t.Errorf("%d rows are still unpublished", n)
	}
	s.eventually("5,000 events", func() bool { return len(s.distinct()) == 5000 })
	if s.copies() != 5000 {
		t.Errorf("%d copies without any fault", s.copies())
	}
	s.inOrder()
}

func TestTheEnvelopeCarriesEverythingAnEventSays(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	e := thing("thing.happened", uuid.NewString(), 1)
	e.Scope, e.Correlation = uuid.NewString(), uuid.NewString()
	e.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	s.append(e)
	s.relays(s.relay(nil), all(1))
	s.eventually("the event", func() bool { return s.copies() == 1 })
	got := s.distinct()[0]
	got.Time = time.Time{}
	want := envelope.Envelope{
		EventID: e.ID, Type: e.Type, Source: "/post", AggregateID: e.AggregateID, AggregateVersion: 1,
		Scope: e.Scope, Correlation: e.Correlation, Traceparent: e.Traceparent, Attempt: 1, Payload: e.Payload,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("arrived %+v\n wanted %+v", got, want)
	}
}

func TestAnUnroutableEventStaysHoldsItsAggregateOnlyAndAlarmsOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	lost, other := uuid.NewString(), uuid.NewString()
	s.append(thing("thing.unbound", lost, 1), thing("thing.happened", lost, 2), thing("thing.happened", other, 1), thing("thing.unbound", uuid.NewString(), 1))
	r := s.relay(nil)
	s.relays(r, func(done Counts) bool { return done.Published == 1 && done.Returned >= 2 && done.Held == 2 })
	if n := s.unpublished(); n != 3 {
		t.Errorf("%d of 3 events are unpublished", n)
	}
	const alerts = `SELECT count(*) FROM troubles WHERE kind = 'unroutable' AND subject = 'post.events/thing.unbound' AND ended_at IS NULL`
	if n := s.count(alerts); n != 1 {
		t.Errorf("%d open troubles for one route", n)
	}
	if n := s.count(`SELECT count(*) FROM troubles WHERE substr(id, 15, 1) <> '7'`); n != 0 {
		t.Errorf("%d troubles have an id that does not sort by time", n)
	}

	// A queue is bound: the events leave by themselves, the trouble ends.
	bound := topology.With(rabbit.Topology{Bindings: []rabbit.Binding{{Queue: "reader", Exchange: names.Exchange, Key: "thing.unbound"}}})
	s.connect(s.url, bound)
	s.start(r)
	s.eventually("all four", func() bool { return s.unpublished() == 0 && len(s.distinct()) == 4 })
	s.eventually("the trouble has ended", func() bool { return s.count(alerts) == 0 })
	s.inOrder()
}

func TestARefusedEventStaysUnpublishedAndAlarms(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.relay(nil)
	// The broker tells its publishers a moment late that a queue is full, so it
	// may take one or two too many.
	var counts Counts
	for range 20 {
		s.append(thing("thing.overflowed", uuid.NewString(), 1), thing("thing.happened", uuid.NewString(), 1))
		counts = s.relays(r, func(done Counts) bool { left := s.unpublished(); return left == 0 || left == 1 && done.Nacked > 0 })
		if counts.Nacked > 0 {
			break
		}
	}
	if counts.Nacked == 0 || s.unpublished() != 1 {
		t.Errorf("counts %+v, %d unpublished", counts, s.unpublished())
	}
	if n := s.count(`SELECT count(*) FROM troubles WHERE kind = 'refused' AND ended_at IS NULL`); n != 1 {
		t.Errorf("%d troubles", n)
	}
}

func TestWhatCommitsLateBehindTheHintIsPublishedAndInOrder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.relay(nil)
	s.start(r)
	late := uuid.NewString()
	began, finish, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.db.InTx(context.Background(), func(tx once.Tx) error {
			if err := table.Append(context.Background(), tx, thing("thing.happened", late, 1)); err != nil {
				return err
			}
			close(began)
			<-finish
			return nil
		})
	}()
	<-began
	for range 50 { // Later in seq, earlier in commit.
		s.append(thing("thing.happened", uuid.NewString(), 1))
	}
	s.eventually("the fifty", func() bool { return len(s.distinct()) == 50 })
	close(finish)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.append(thing("thing.happened", late, 2))
	r.Wake()
	s.eventually("all 52", func() bool { return len(s.distinct()) == 52 && s.unpublished() == 0 })
	s.inOrder()
}

func TestAWakeUpHurriesWhatThePollWouldFindLater(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.relay(func(c *Config) { c.Poll = time.Hour })
	s.start(r)
	waker := NewWaker(s.pool(), names.Channel, nil)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- waker.Run(ctx) }()
	s.eventually("a relay that listens", func() bool {
		return r.Partitions() == partitions && s.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'`) == 1
	})
	for n := range 3 {
		s.append(thing("thing.happened", uuid.NewString(), 1))
		waker.Wake()
		s.eventually("the event, although no relay polls", func() bool { return len(s.distinct()) == n+1 })
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
