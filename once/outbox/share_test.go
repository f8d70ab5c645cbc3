package outbox

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	oncepq "payonce/once/pq"

	"payonce/once/message"
)

// partitionLocks says which server process holds which partition.
const partitionLocks = `FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = $1
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

// shares are how many partitions each of the relays owns, the smallest first.
func shares(relays ...*Relay) (list []int) {
	for _, r := range relays {
		list = append(list, r.Partitions())
	}
	slices.Sort(list)
	return list
}

func (s *stage) eventuallyShared(want []int, relays ...*Relay) {
	s.t.Helper()
	s.eventually("shares", func() bool { return slices.Equal(shares(relays...), want) })
}

// inPartition returns an id whose events are in the partition.
func inPartition(p int) string {
	for {
		if id := uuid.NewString(); (Event{AggregateID: id}).partition() == p {
			return id
		}
	}
}

func TestOfSixteenPartitionsEachOfTheLivingOwnsItsFairShareAtMost(t *testing.T) {
	t.Parallel()
	for living := 1; living <= 20; living++ {
		share := fairShare(living)
		if share*living < partitions {
			t.Errorf("%d relays with %d each leave partitions without an owner", living, share)
		}
		if (share-1)*living >= partitions {
			t.Errorf("%d relays could own fewer than %d each", living, share)
		}
	}
}

func TestTwoRelaysShareTheWorkAndPublishTwoThousandEventsOnceEachInOrder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a, b := s.well(), s.well()
	s.start(a)
	s.start(b)
	s.eventuallyShared([]int{8, 8}, a, b)
	s.append(story("thing.happened", 100, 10)...)
	fed := s.feed(story("thing.happened", 50, 20))
	<-fed
	s.eventually("2,000 events", func() bool { return s.unpublished() == 0 && len(s.distinct()) == 2000 })
	if s.copies() != 2000 {
		t.Errorf("%d copies of 2,000 events: two relays published the same", s.copies())
	}
	s.inOrder()
	if a, b := a.Counts().Published, b.Counts().Published; a == 0 || b == 0 {
		t.Errorf("one relay published %d, the other %d", a, b)
	}
}

func TestJoiningAndLeavingUnderLoadMovesPartitionsWithoutACopy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	relays := []*Relay{s.well(), s.well(), s.well()}
	ends := []func(){s.start(relays[0])}
	s.eventuallyShared([]int{16}, relays[0])
	fed := s.feed(story("thing.happened", 150, 20))
	ends = append(ends, s.start(relays[1]))
	s.eventuallyShared([]int{8, 8}, relays[:2]...)
	ends = append(ends, s.start(relays[2]))
	s.eventuallyShared([]int{4, 6, 6}, relays...)
	ends[0]()
	s.eventuallyShared([]int{8, 8}, relays[1:]...)
	ends[1]()
	s.eventuallyShared([]int{16}, relays[2])
	<-fed
	s.eventually("3,000 events", func() bool { return s.unpublished() == 0 && len(s.distinct()) == 3000 })
	if s.copies() != 3000 {
		t.Errorf("%d copies of 3,000 events: a hand-over between relays that are well makes none", s.copies())
	}
	s.inOrder()
}

func TestMoreRelaysThanPartitionsLeaveTheRestStandingBy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	const many = partitions + 2
	by := slow{make(chan message.Message, 10), make(chan func(error), 10)}
	var relays []*Relay
	for range many {
		r := s.relay(func(c *Config) { c.Publisher = by })
		relays = append(relays, r)
		s.start(r)
	}
	want := append([]int{0, 0}, slices.Repeat([]int{1}, partitions)...)
	s.eventuallyShared(want, relays...)
	if n := s.count(`SELECT count(*) `+partitionLocks, names.Partitions); n != partitions {
		t.Errorf("%d of 16 partitions are owned", n)
	}
}

func TestAPartitionIsNeverOwnedTwiceWhileSessionsDieAndRelaysComeAndGo(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	relays := []*Relay{s.relay(nil), s.relay(nil), s.relay(nil)}
	for _, r := range relays {
		s.start(r)
	}
	fed := s.feed(story("thing.happened", 50, 20))
	for range 4 {
		s.eventually("every partition is owned", func() bool {
			return s.count(`SELECT count(*) `+partitionLocks, names.Partitions) == partitions
		})
		// What a failover or an administrator does to a session.
		s.exec(`SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid `+partitionLocks+` LIMIT 1) AS victim`, names.Partitions)
		if n := s.count(`SELECT count(*) - count(DISTINCT objid) `+partitionLocks, names.Partitions); n != 0 {
			t.Errorf("%d partitions have two owners", n)
		}
	}
	<-fed
	// 4, 6 and 6, or 5, 5 and 6: it depends on who was quicker to take what the dead let go of.
	s.eventually("fair shares", func() bool {
		owned := 0
		for _, n := range shares(relays...) {
			owned += n
		}
		return owned == partitions && slices.Max(shares(relays...)) <= fairShare(len(relays))
	})
	s.eventually("1,000 events", func() bool { return s.unpublished() == 0 && len(s.distinct()) == 1000 })
	s.inOrder()
	t.Logf("%d copies of 1,000 events", s.copies())
}

func TestAStoppedRelayIsReplacedBecauseTheServerEndsItsIdleSession(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	// A relay that takes everything and then, stopped, never says a word again.
	asleep := owner{db: s.pool(), names: names, beat: 250 * time.Millisecond, patience: time.Second, log: s.relay(nil).cfg.Log}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	took, slept := make(chan *session, 1), make(chan error, 1)
	go func() {
		slept <- asleep.join(ctx, func(s *session) error {
			err := s.balance(ctx)
			took <- s
			<-ctx.Done()
			return err
		})
	}()
	sleeper := <-took
	r := s.relay(nil)
	s.start(r)
	s.append(thing("thing.happened", uuid.NewString(), 1))
	s.eventually("another relay owns everything and publishes", func() bool { return r.Partitions() == partitions && s.unpublished() == 0 })
	// When it wakes up it sends nothing: its lease was shorter than its session.
	if sleeper.assignment.lease.holds() {
		t.Error("the sleeper believes in locks that are another's")
	}
	cancel()
	<-slept
}

func TestARelayWhoseLeaseHasRunOutSendsNothingUntilItsSessionAnswersAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.append(thing("thing.happened", uuid.NewString(), 1))
	by := slow{make(chan message.Message, 10), make(chan func(error), 10)}
	r := s.relay(func(c *Config) { c.Publisher = by })
	d := newAssignment(newLease(time.Hour))
	d.lease.renew(-2 * time.Hour)
	for p := range partitions {
		d.orders <- order{partition: p, take: true}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); newEngine(r, d).run(ctx) }()
	s.eventually("it has read the event", func() bool { return r.Counts().Fetched == 1 })
	s.append(thing("thing.happened", uuid.NewString(), 1)) // When it takes the second, it has had its chance to send the first.
	s.eventually("it has read the second too", func() bool { return r.Counts().Fetched == 2 })
	if n := len(by.sent); n != 0 {
		t.Errorf("%d events left without a lease", n)
	}
	d.lease.renew(d.lease.now())
	for range 2 {
		<-by.sent
		(<-by.done)(nil)
	}
	s.eventually("both are marked", func() bool { return s.unpublished() == 0 })
	cancel()
	<-ended
}

func TestAnEngineThatDoesNotLetGoOfAPartitionLosesTheSession(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	stuck := owner{db: s.pool(), names: names, beat: time.Second, patience: 500 * time.Millisecond, log: s.relay(nil).cfg.Log}
	got := make(chan error, 1)
	full := make(chan struct{})
	go func() {
		got <- stuck.join(context.Background(), func(one *session) error {
			go func() {
				for range partitions { // Its engine takes orders and never says that a partition is gone.
					<-one.assignment.orders
				}
				close(full)
			}()
			return one.keep(context.Background())
		})
	}()
	<-full
	r := s.relay(nil)
	s.start(r)
	if err := <-got; !errors.Is(err, errNotLetGo) {
		t.Errorf("the session ended with %v", err)
	}
	s.eventually("the other has everything", func() bool { return r.Partitions() == partitions })
}

func TestARelayFromBeforePartitionsAndOneFromAfterNeverPublishSideBySide(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var mine bool
	old := lockAlone(t, s.dsn, &mine)
	if !mine {
		t.Fatal("none is there, yet the old relay does not get its lock")
	}
	r := s.relay(nil)
	s.start(r)
	s.append(thing("thing.happened", uuid.NewString(), 1))
	s.eventually("the new one asks for its place", func() bool {
		return s.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE '%pg_try_advisory_lock_shared%' AND pid <> pg_backend_pid()`) > 0
	})
	if r.Partitions() != 0 || s.unpublished() != 1 {
		t.Error("the new relay publishes beside the old one")
	}
	_ = old.Close()
	s.eventually("the new one takes over", func() bool { return r.Partitions() == partitions && s.unpublished() == 0 })
	if lockAlone(t, s.dsn, &mine); mine {
		t.Error("the old relay gets its lock beside the new one")
	}
}

// lockAlone asks for the lock as a relay did that owned everything.
func lockAlone(t *testing.T, dsn string, mine *bool) *sql.DB {
	t.Helper()
	connector, err := oncepq.Connector(oncepq.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	if err := db.QueryRowContext(t.Context(), `SELECT pg_try_advisory_lock($1)`, names.Presence).Scan(mine); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestRelaysOfTwoNamesDoNotCountEachOther(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a, b := s.relay(nil), s.relay(nil)
	others := NamesOf("parcels")
	other := s.relay(func(c *Config) { c.Names = others })
	s.start(a)
	s.start(other)
	s.start(b)
	s.eventuallyShared([]int{8, 8}, a, b)
	s.eventuallyShared([]int{16}, other)
	for _, class := range []int32{names.Partitions, others.Partitions} {
		if n := s.count(`SELECT count(*) `+partitionLocks, class); n != partitions {
			t.Errorf("%d of 16 partitions of class %d are owned", n, class)
		}
	}
}
