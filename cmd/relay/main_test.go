package main

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/internal/shop/event"
	"payonce/once/outbox"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

// asRelay makes the test binary be the relay: a real process that can be
// killed, without building one.
const asRelay = "PAYONCE_TEST_AS_RELAY"

func TestMain(m *testing.M) {
	if os.Getenv(asRelay) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// shop is a database, a broker and what arrives for one consumer.
type shop struct {
	t        *testing.T
	dsn, url string
	db       *postgres.DB

	mu      sync.Mutex
	arrived map[uuid.UUID]int
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, dsn: devtest.DSN(t), url: devtest.Broker(t), arrived: map[uuid.UUID]int{}}
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: s.dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s.db = db
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{s.url}, Topology: event.Topology(retry.Demo)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- conn.Consume(ctx, rabbit.ConsumerConfig{Queue: event.ConsumerLedger}, func(_ context.Context, batch []rabbit.Delivery) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, d := range batch {
				e, err := patterns.Format.Parse(d.Message)
				if err != nil {
					t.Error(err)
				}
				s.arrived[patterns.ID(e.EventID)]++
			}
			_ = rabbit.Ack(batch...)
		})
	}()
	t.Cleanup(func() { stop(); <-ended })
	return s
}

func (s *shop) relay() *exec.Cmd {
	s.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asRelay+"=1", "PAYONCE_POSTGRES_DSN="+devstack.RoleDSN(s.dsn, postgres.ProgramRole), "PAYONCE_AMQP_URL="+s.url,
		"PAYONCE_SCHEDULE=demo", "PAYONCE_LOG_FORMAT=json", "PAYONCE_RELAY_BATCH=100")
	if testing.Verbose() {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func (s *shop) distinct() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arrived)
}

func (s *shop) count(query string) (n int) {
	s.t.Helper()
	if err := s.db.Get(s.t.Context(), &n, query); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *shop) eventually(what string, condition func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			s.t.Fatalf("gave up waiting: %s (%d arrived)", what, s.distinct())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// pay appends n captured payments, twenty to a transaction.
func (s *shop) pay(n int) {
	var events []outbox.Event
	for range n {
		payment := uuid.New()
		e, err := patterns.NewEvent(uuid.New(), payment, "payment", payment, event.TypePaymentCaptured, event.PaymentCaptured{Schema: event.SchemaVersion, PaymentID: payment})
		if err != nil {
			s.t.Error(err)
			return
		}
		e.AggregateVersion = 1
		events = append(events, e)
	}
	for batch := range slices.Chunk(events, 20) {
		if err := postgres.InTx(context.Background(), s.db, func(tx postgres.Tx) error { return patterns.Append(context.Background(), tx, batch...) }); err != nil {
			s.t.Error(err)
			return
		}
	}
}

func TestKillingRelaysFourTimesWhileTwoThousandPaymentsAreCapturedLosesNone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	relays := []*exec.Cmd{s.relay(), s.relay()}
	paid := make(chan struct{})
	go func() { defer close(paid); s.pay(2000) }()
	for kill := range 4 {
		s.eventually("some progress", func() bool { return s.distinct() > kill*400 })
		victim := relays[kill%2]
		if err := victim.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = victim.Wait()
		relays[kill%2] = s.relay()
	}
	<-paid
	s.eventually("2,000 events, all marked", func() bool {
		return s.distinct() == 2000 && s.count(`SELECT count(*) FROM outbox_events WHERE published_at IS NULL`) == 0
	})
}

func TestARelayBeatsSamplesDepthsAndEndsWellOnSIGTERM(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	relay := s.relay()
	s.pay(20)
	s.eventually("20 events", func() bool { return s.distinct() == 20 })
	s.eventually("a heartbeat with a healthy broker", func() bool {
		return s.count(`SELECT count(*) FROM heartbeats WHERE process = 'relay' AND broker_ok`) == 1
	})
	s.eventually("a sample of each queue", func() bool {
		return s.count(`SELECT count(*) FROM queue_samples`) == len(event.Topology(retry.Demo).Queues)
	})
	// The first sample may be older than the consumer.
	s.eventually("the ledger's consumer", func() bool {
		return s.count(`SELECT consumers FROM queue_samples WHERE queue = 'ledger'`) == 1
	})
	if err := relay.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := relay.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if n := s.count(`SELECT count(*) FROM activity WHERE kind = 'published' AND node = 'relay'`); n != 20 {
		t.Errorf("the journal shows %d of 20 events published", n)
	}
	if n := s.count(`SELECT count(*) FROM heartbeats`); n != 0 {
		t.Error("it left its heartbeat behind")
	}
}

func TestARelayThatIsStoppedIsReplacedAndDoesNoHarmWhenItWakes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	sleeper := s.relay()
	s.pay(100)
	s.eventually("100 events", func() bool { return s.distinct() == 100 })
	const holders = `SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	other := s.relay()
	s.eventually("two relays share the partitions", func() bool { return s.count(holders) == 2 })
	if err := sleeper.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.pay(400)
	s.eventually("the other publishes the sleeper's share too", func() bool {
		return s.distinct() == 500 && s.count(`SELECT count(*) FROM outbox_events WHERE published_at IS NULL`) == 0
	})
	if err := sleeper.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.eventually("awake, it has its share again", func() bool { return s.count(holders) == 2 })
	s.pay(400)
	s.eventually("900 events, all marked", func() bool {
		return s.distinct() == 900 && s.count(`SELECT count(*) FROM outbox_events WHERE published_at IS NULL`) == 0
	})
	for _, relay := range []*exec.Cmd{sleeper, other} {
		if err := relay.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := relay.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	}
}
