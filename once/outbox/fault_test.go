package outbox

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/message"
	"payonce/once/oncetest"
)

// feed appends events in small transactions while the test breaks things.
func (s *stage) feed(events []Event) (done <-chan struct{}) {
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		for batch := range slices.Chunk(events, 20) {
			for {
				err := s.db.InTx(context.Background(), func(tx once.Tx) error { return table.Append(context.Background(), tx, batch...) })
				if err == nil {
					break
				}
				s.t.Logf("append again: %v", err) // The rows' ids are the same: a commit that was lost and was not would say so.
				if once.UniqueViolation(err) {
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
	t.Logf("%d copies of 2,000 events, %d of unknown outcome", s.copies(), r.Counts().Lost)
}

func TestAConfirmThatIsLostIsAnEventSentAgainAndMarkedOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var log oncetest.Lines
	r := s.relay(func(cfg *Config) { cfg.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	s.start(r)
	s.append(thing("thing.happened", uuid.NewString(), 1))
	s.eventually("the channel is open", func() bool { return s.unpublished() == 0 })
	s.proxy.Answer(false) // The broker stores them; the relay never learns so.
	s.append(thing("thing.happened", uuid.NewString(), 1), thing("thing.happened", uuid.NewString(), 1), thing("thing.happened", uuid.NewString(), 1))
	s.eventually("the broker has them, the table does not know", func() bool { return s.copies() >= 4 && r.Counts().Lost >= 3 })
	if s.unpublished() != 3 {
		t.Error("marked without a confirm")
	}
	if err := r.Confirms(t.Context()); !errors.Is(err, ErrSilent) {
		t.Errorf("a relay that is not answered says that it works: %v", err)
	}
	s.proxy.Answer(true)
	// The confirm that marks it and the delivery of its copy race each other.
	s.eventually("they were sent again, and are marked", func() bool { return s.unpublished() == 0 && s.copies() >= 7 })
	if err := r.Confirms(t.Context()); err != nil {
		t.Error(err)
	}
	if began, over := strings.Count(log.String(), "the broker does not confirm"), strings.Count(log.String(), "the broker confirms again"); began != 1 || over != 1 {
		t.Errorf("a lost confirm is counted, not a line each: %d and %d lines", began, over)
	}
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
	rows, err := s.db.Read(s.t.Context(), `SELECT count(*) FROM outbox_events WHERE published_at IS NULL`)
	if _, err := once.One(rows, err, &n); err != nil {
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
	sent chan message.Message
	done chan func(error)
}

func (p slow) Send(_ context.Context, m message.Message, done func(error)) error {
	p.sent <- m
	p.done <- done
	return nil
}

func TestOfOneAggregateTheSecondEventLeavesOnlyAfterTheFirstIsConfirmed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	busy := uuid.NewString()
	s.append(thing("thing.happened", busy, 1), thing("thing.happened", busy, 2), thing("thing.happened", uuid.NewString(), 1))
	by := slow{make(chan message.Message, 10), make(chan func(error), 10)}
	s.start(s.relay(func(c *Config) { c.Publisher = by }))
	one, other := <-by.sent, <-by.sent
	confirmFirst, confirmOther := <-by.done, <-by.done
	if other.Headers[envelope.HeaderSubject] == busy { // Partitions have no order among each other.
		one, other, confirmFirst, confirmOther = other, one, confirmOther, confirmFirst
	}
	if one.Headers[envelope.HeaderSubject] != busy || other.Headers[envelope.HeaderSubject] == busy {
		t.Fatalf("left: %v and %v", one.Headers, other.Headers)
	}
	confirmOther(nil)
	s.eventually("the other is marked, nothing else has left", func() bool { return s.unpublished() == 2 && len(by.sent) == 0 })
	confirmFirst(nil)
	second := <-by.sent
	if second.Headers[format.AggregateVersion] != int64(2) {
		t.Errorf("left: %v", second.Headers)
	}
	(<-by.done)(nil)
	s.eventually("all marked", func() bool { return s.unpublished() == 0 })
}
