package inbox_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/pattern/inbox"
	"payonce/internal/pattern/retry"
	"payonce/internal/platform/envelope"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/postgres"
	"payonce/once/oncetest/nettest"
	"payonce/once/rabbit"
)

var schedule = retry.Schedule{50 * time.Millisecond, 100 * time.Millisecond}

func connect(t *testing.T, url string) *rabbit.Conn {
	t.Helper()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{url}, BackoffMin: 10 * time.Millisecond,
		Topology: schedule.Topology().With(rabbit.Topology{Queues: []rabbit.Queue{rabbit.WorkQueue("bank", retry.DeadExchange)}})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := conn.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return conn
}

func start(t *testing.T, url string, db *postgres.DB, handler inbox.Handler, o observe.Observer, change ...func(*inbox.Config)) (r *inbox.Runner, conn *rabbit.Conn, stop func()) {
	t.Helper()
	conn = connect(t, url)
	cfg := inbox.Config{
		Consumer: "bank", Handler: handler, DB: db, Broker: conn, Publisher: connect(t, url).Publisher(rabbit.PublisherConfig{}),
		Schedule: schedule, Observer: o, Now: time.Now, Linger: 50 * time.Millisecond,
	}
	for _, c := range change {
		c(&cfg)
	}
	r, err := inbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return r, conn, stop
}

func publish(t *testing.T, conn *rabbit.Conn, events ...inbox.Message) {
	t.Helper()
	var messages []rabbit.Message
	for _, m := range events {
		messages = append(messages, envelope.Envelope{EventID: m.EventID, Type: m.Type, AggregateID: m.AggregateID, AggregateVersion: 1,
			Scope: m.Scope, Correlation: m.Correlation, Time: time.Now(), Attempt: 1, Payload: m.Payload, PastWindow: m.PastWindow}.Message("", "bank"))
	}
	for _, err := range conn.Publisher(rabbit.PublisherConfig{}).PublishAll(t.Context(), messages) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestWhileTheDatabaseIsAwayTwentyMessagesWaitInHandAndNoneIsRetriedOrDead(t *testing.T) {
	t.Parallel()
	dsn, url := devtest.DSN(t), devtest.Broker(t)
	outage := nettest.NewProxy(t, dsn)
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: outage.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var ran atomic.Int32
	var handler inbox.Handler = func(context.Context, postgres.Tx, []inbox.Message) error { ran.Add(1); return nil }
	r, conn, _ := start(t, url, db, handler, nil)

	outage.Down()
	var events []inbox.Message
	for range 20 {
		events = append(events, newAdded(t, nil))
	}
	publish(t, conn, events...)
	eventually(t, "all are in hand", func() bool { return r.Counts().Delivered >= 1 })
	if c := r.Counts(); ran.Load() != 0 || c.Applied+c.Retried+c.Dead != 0 {
		t.Errorf("without a database: %+v", c)
	}
	outage.Up()
	eventually(t, "twenty are applied", func() bool { return r.Counts().Applied == 20 })
	if c := r.Counts(); c.Delivered != 20 || c.Retried+c.Dead+c.Absorbed != 0 {
		t.Errorf("they did not simply wait: %+v", c)
	}
}

func TestAMessageThatKillsItsConsumerIsHandledAloneAndTheOtherEightAreApplied(t *testing.T) {
	t.Parallel()
	db, url := bank(t), devtest.Broker(t)
	var events []inbox.Message
	for range 9 {
		events = append(events, newAdded(t, nil))
	}
	killer := events[4].EventID
	publish(t, connect(t, url), events...)

	applied := func() (n int) {
		for _, m := range events {
			n += sevens(t, db, m)
		}
		return n
	}
	for life := range rabbit.DeliveryLimit - 2 {
		if applied() == 8 {
			if life < 3 {
				t.Errorf("isolated in life %d, before anybody could know", life)
			}
			return
		}
		live(t, url, db, killer, life)
	}
	t.Errorf("after eighteen lives %d of 8 innocents are applied", applied())
}

var errKilled = errors.New("this process is dead")

// live is one life of a worker that dies whenever it handles the killer: from
// then on it changes nothing and acknowledges nothing.
func live(t *testing.T, url string, db *postgres.DB, killer uuid.UUID, life int) {
	t.Helper()
	var dead atomic.Bool
	var own atomic.Pointer[rabbit.Conn]
	died := make(chan struct{})
	handler := func(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
		for _, m := range batch {
			if m.EventID == killer && dead.CompareAndSwap(false, true) {
				if life >= 2 && len(batch) != 1 {
					t.Errorf("in life %d the killer is in a batch of %d", life, len(batch))
				}
				close(died)
				eventually(t, "the connection is known", func() bool { return own.Load() != nil })
				own.Load().Close()
			}
		}
		if dead.Load() {
			return errKilled
		}
		return addAll(ctx, tx, batch)
	}
	_, conn, stop := start(t, url, db, handler, nil)
	own.Store(conn)
	<-died
	stop()
}

func TestTheObserverHearsEachDeliveryAndItsFateAtTheConsumer(t *testing.T) {
	t.Parallel()
	db, url := bank(t), devtest.Broker(t)
	var mu sync.Mutex
	heard := make(map[observe.Kind]int)
	m := newAdded(t, nil)
	m.Scope, m.Correlation = uuid.New(), uuid.New()
	ear := observe.Func(func(_ context.Context, e observe.Event) {
		mu.Lock()
		defer mu.Unlock()
		heard[e.Kind]++
		if e.Node != "bank" || e.EventID != m.EventID || e.Scope != m.Scope || e.Correlation != m.Correlation {
			t.Errorf("heard %+v", e)
		}
	})
	r, conn, _ := start(t, url, db, addAll, ear)
	publish(t, conn, m)
	eventually(t, "it is applied", func() bool { return r.Counts().Applied == 1 })
	publish(t, conn, m)
	eventually(t, "the copy is absorbed", func() bool { return r.Counts().Absorbed == 1 })
	eventually(t, "two deliveries, one applied, one absorbed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return heard[observe.Delivered] == 2 && heard[observe.Applied] == 1 && heard[observe.Absorbed] == 1
	})
}
