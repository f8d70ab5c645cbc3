package outbox

import (
	"context"
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/platform/postgres"
	"payonce/internal/platform/rabbit"
)

// feed appends events in small transactions while the test breaks things.
func (s *stage) feed(events []Event) (done <-chan struct{}) {
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		for batch := range slices.Chunk(events, 20) {
			for {
				err := postgres.InTx(context.Background(), s.db, func(tx postgres.Tx) error { return Append(context.Background(), tx, batch...) })
				if err == nil {
					break
				}
				s.t.Logf("append again: %v", err) // The rows' ids are the same: a commit that was lost and was not would say so.
				if postgres.UniqueViolation(err) {
					break
				}
			}
		}
	}()
	return fed
}

func TestABrokerThatGoesFiveTimesInMidPublishGetsEverythingInOrder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.relay(nil)
	s.start(r)
	fed := s.feed(story("thing.happened", 100, 20))
	for outage := range 5 {
		s.eventually("some progress", func() bool { return len(s.distinct()) > outage*200 })
		s.proxy.Down()
		s.proxy.Up()
	}
	<-fed
	s.eventually("2,000 events", func() bool { return s.unpublished() == 0 && len(s.distinct()) == 2000 })
	s.inOrder()
	t.Logf("%d copies of 2,000 events, %d of unknown fate", s.copies(), r.Counts().Lost)
}

func TestAConfirmThatIsLostIsAnEventSentAgainAndMarkedOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.relay(nil)
	s.start(r)
	s.append(thing("thing.happened", uuid.New(), 1))
	s.eventually("the channel is open", func() bool { return s.unpublished() == 0 })
	s.proxy.Answer(false) // The broker stores it; the relay never hears so.
	s.append(thing("thing.happened", uuid.New(), 1))
	s.eventually("the broker has it, the table does not know", func() bool { return s.copies() >= 2 && r.Counts().Lost >= 1 })
	if s.unpublished() != 1 {
		t.Error("marked without a confirm")
	}
	s.proxy.Answer(true)
	s.eventually("it is marked", func() bool { return s.unpublished() == 0 })
	if s.copies() < 3 {
		t.Errorf("%d copies of 2 events: it was not sent again", s.copies())
	}
}

func TestTwoRelaysPublishEachEventOnceAndTheSecondTakesOverWhenTheFirstLosesItsSession(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	relays := []*Relay{s.relay(nil), s.relay(nil)}
	for _, r := range relays {
		s.start(r)
	}
	one := func() *Relay {
		if a, b := relays[0].Owner(), relays[1].Owner(); a != b {
			return relays[slices.Index([]bool{a, b}, true)]
		}
		return nil
	}
	s.eventually("one owner", func() bool { return one() != nil })
	s.append(story("thing.happened", 50, 4)...)
	s.eventually("200 events", func() bool { return s.unpublished() == 0 && len(s.distinct()) == 200 })
	if s.copies() != 200 {
		t.Errorf("%d copies of 200 events: both published", s.copies())
	}
	first := one()
	fed := s.feed(story("thing.happened", 50, 10))
	s.eventually("half way", func() bool { return len(s.distinct()) > 300 })
	s.endLockSession()
	s.eventually("somebody else or the same owns it again", func() bool { return one() != nil })
	<-fed
	s.eventually("700 events", func() bool { return s.unpublished() == 0 && len(s.distinct()) == 700 })
	t.Logf("the owner changed: %v; %d copies", one() != first, s.copies())
}

// endLockSession does what a failover or an administrator does to whoever holds
// the relay's lock.
func (s *stage) endLockSession() {
	s.t.Helper()
	s.exec(`SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database() AND (l.classid::bigint << 32) + l.objid::bigint = $1`, int64(lockKey))
}

func TestAStoppedOwnerIsReplacedBecauseTheServerEndsItsIdleSession(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// An owner that takes the lock and then, stopped, never beats again.
	asleep := owner{cfg: postgres.Config{DSN: s.dsn}, beat: 100 * time.Millisecond, retry: 20 * time.Millisecond, log: s.relay(nil).cfg.Log}
	took, slept := make(chan struct{}), make(chan error, 1)
	go func() {
		slept <- asleep.hold(ctx, func(*sql.Conn) error { close(took); <-ctx.Done(); return nil })
	}()
	<-took
	r := s.relay(nil)
	s.start(r)
	s.append(thing("thing.happened", uuid.New(), 1))
	s.eventually("another relay publishes", func() bool { return s.unpublished() == 0 })
	cancel()
	<-slept
}

func TestADatabaseThatDropsEveryConnectionCostsNothingButTime(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.relay(nil)
	s.start(r)
	fed := s.feed(story("thing.happened", 50, 20))
	for cut := range 3 {
		s.eventually("some progress", func() bool { return len(s.distinct()) > cut*200 })
		s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	<-fed
	s.eventually("1,000 events", func() bool { return len(s.distinct()) == 1000 && s.unpublishedIfThere() == 0 })
}

func (s *stage) unpublishedIfThere() int {
	var n int
	if err := s.db.Get(s.t.Context(), &n, `SELECT count(*) FROM outbox_events WHERE published_at IS NULL`); err != nil {
		return -1
	}
	return n
}

func TestARelayThatIsAskedToStopMarksWhatTheBrokerConfirmed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.relay(nil)
	stop := s.start(r)
	fed := s.feed(story("thing.happened", 200, 5))
	s.eventually("it is in the middle", func() bool { return r.Counts().Published > 100 })
	stop()
	<-fed
	c := r.Counts()
	if c.Published != c.Marked {
		t.Errorf("%d confirmed, %d marked", c.Published, c.Marked)
	}
	if published := 1000 - s.unpublished(); int64(published) != c.Marked {
		t.Errorf("%d rows are marked, the relay counted %d", published, c.Marked)
	}
	s.start(s.relay(nil))
	s.eventually("the rest", func() bool { return s.unpublished() == 0 && len(s.distinct()) == 1000 })
	s.inOrder()
}

// slow is a publisher whose confirms the test gives by hand.
type slow struct {
	sent chan rabbit.Message
	done chan func(error)
}

func (p slow) Send(_ context.Context, m rabbit.Message, done func(error)) error {
	p.sent <- m
	p.done <- done
	return nil
}

func TestOfOneAggregateTheSecondEventLeavesOnlyAfterTheFirstIsConfirmed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	busy := uuid.New()
	s.append(thing("thing.happened", busy, 1), thing("thing.happened", busy, 2), thing("thing.happened", uuid.New(), 1))
	by := slow{make(chan rabbit.Message, 10), make(chan func(error), 10)}
	s.start(s.relay(func(c *Config) { c.Publisher = by }))
	first, other := <-by.sent, <-by.sent
	if first.Headers[rabbit.HeaderSubject] != busy.String() || other.Headers[rabbit.HeaderSubject] == busy.String() {
		t.Fatalf("left: %v and %v", first.Headers, other.Headers)
	}
	confirmFirst := <-by.done
	(<-by.done)(nil)
	s.eventually("the other is marked, nothing else has left", func() bool { return s.unpublished() == 2 && len(by.sent) == 0 })
	confirmFirst(nil)
	second := <-by.sent
	if second.Headers[rabbit.HeaderAggregateVersion] != int64(2) {
		t.Errorf("left: %v", second.Headers)
	}
	(<-by.done)(nil)
	s.eventually("all marked", func() bool { return s.unpublished() == 0 })
}
