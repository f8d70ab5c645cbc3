package inbox_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/inbox"
	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	"payonce/once/oncetest/nettest"
	"payonce/once/rabbit"
	"payonce/once/retry"
)

var schedule = retry.Schedule{50 * time.Millisecond, 100 * time.Millisecond}

func connect(t *testing.T, url string) *rabbit.Conn {
	t.Helper()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{url}, BackoffMin: 10 * time.Millisecond,
		Topology: retries.Topology(schedule).With(rabbit.Topology{Queues: []rabbit.Queue{rabbit.WorkQueue("bank", retries.Dead)}})})
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

func config(reading, writing *rabbit.Conn, db once.DB, table inbox.Table) inbox.Config {
	return inbox.Config{
		Consumer: "bank", Handler: addAll, DB: db, Table: table, Broker: reading, Publisher: writing.Publisher(rabbit.PublisherConfig{}),
		Names: retries, Schedule: schedule, Now: time.Now,
	}
}

func start(t *testing.T, url string, db once.DB, handler inbox.Handler, saw func(context.Context, inbox.Seen), change ...func(*inbox.Config)) (r *inbox.Runner, conn *rabbit.Conn, stop func()) {
	t.Helper()
	conn = connect(t, url)
	cfg := config(conn, connect(t, url), db, window)
	cfg.Handler, cfg.Saw, cfg.Linger = handler, saw, 50*time.Millisecond
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
	var messages []message.Message
	for _, m := range events {
		messages = append(messages, retries.Format.Message(envelope.Envelope{EventID: m.EventID, Type: m.Type, AggregateID: m.AggregateID, AggregateVersion: 1,
			Scope: m.Scope, Correlation: m.Correlation, Time: time.Now(), Attempt: 1, Payload: m.Payload, PastWindow: m.PastWindow}, "", "bank"))
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
	outage, url := nettest.NewProxy(t, dbtest.Database(t, "bank")), oncetest.Broker(t)
	db := dbtest.OpenPq(t, outage.URL())
	var ran atomic.Int32
	var handler inbox.Handler = func(context.Context, once.Tx, []inbox.Message) error { ran.Add(1); return nil }
	r, conn, _ := start(t, url, db, handler, nil)

	publish(t, conn, newAdded(t, nil))
	eventually(t, "the first is applied", func() bool { return r.Counts().Applied == 1 })
	outage.Down()
	var events []inbox.Message
	for range 20 {
		events = append(events, newAdded(t, nil))
	}
	publish(t, conn, events...)
	eventually(t, "all are in hand", func() bool { return r.Counts().Delivered >= 2 })
	if c := r.Counts(); ran.Load() != 1 || c.Applied != 1 || c.Retried+c.Dead != 0 {
		t.Errorf("without a database: %+v", c)
	}
	outage.Up()
	eventually(t, "twenty more are applied", func() bool { return r.Counts().Applied == 21 })
	if c := r.Counts(); c.Delivered != 21 || c.Retried+c.Dead+c.Absorbed != 0 {
		t.Errorf("they did not simply wait: %+v", c)
	}
}

func TestAMessageThatKillsItsConsumerIsHandledAloneAndTheOtherEightAreApplied(t *testing.T) {
	t.Parallel()
	db, url := bank(t), oncetest.Broker(t)
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
func live(t *testing.T, url string, db once.DB, killer string, life int) {
	t.Helper()
	var dead atomic.Bool
	var own atomic.Pointer[rabbit.Conn]
	died := make(chan struct{})
	handler := func(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
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

func TestEachDeliveryIsSeenWithWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	db, url := bank(t), oncetest.Broker(t)
	var mu sync.Mutex
	times := map[inbox.What]int{inbox.Delivered: 0, inbox.Applied: 0, inbox.Absorbed: 0, inbox.Retried: 0}
	m, late := newAdded(t, nil), newAdded(t, nil)
	m.Scope, m.Correlation = uuid.NewString(), uuid.NewString()
	saw := func(_ context.Context, s inbox.Seen) {
		mu.Lock()
		defer mu.Unlock()
		times[s.What]++
		switch {
		case s.What == inbox.Retried && (s.Message.EventID != late.EventID || !errors.Is(s.Err, errKilled) || s.Delay != schedule[0]):
			t.Errorf("seen of what failed: %+v", s)
		case (s.What == inbox.Applied || s.What == inbox.Absorbed) && s.Took <= 0:
			t.Errorf("it took no time: %+v", s)
		case s.Message.EventID == m.EventID && (s.Message.Scope != m.Scope || s.Message.Correlation != m.Correlation):
			t.Errorf("seen %+v", s)
		}
	}
	var failed atomic.Bool
	handler := func(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
		if batch[0].EventID == late.EventID && failed.CompareAndSwap(false, true) {
			return errKilled
		}
		return addAll(ctx, tx, batch)
	}
	r, conn, _ := start(t, url, db, handler, saw)
	publish(t, conn, m)
	eventually(t, "it is applied", func() bool { return r.Counts().Applied == 1 })
	publish(t, conn, m)
	eventually(t, "the copy is absorbed", func() bool { return r.Counts().Absorbed == 1 })
	publish(t, conn, late)
	eventually(t, "four deliveries, two applied, one absorbed, one later", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return times[inbox.Delivered] == 4 && times[inbox.Applied] == 2 && times[inbox.Absorbed] == 1 && times[inbox.Retried] == 1
	})
}
