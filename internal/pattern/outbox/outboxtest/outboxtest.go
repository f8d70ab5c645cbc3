// Package outboxtest judges operations that promise events: the event is there
// if and only if the change is, and the relay brings it to every consumer that
// is bound for it. An operation runs it in three lines, on a real database and
// a real broker:
//
//	outboxtest.Run(t, outboxtest.Operation{
//		Prepare: newOrder, Do: ship, Events: 1, Topology: event.Topology(retry.Demo),
//		DSN: devtest.DSN, Broker: devtest.Broker})
package outboxtest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/internal/pattern/outbox"
	"payonce/internal/platform/postgres"
	"payonce/once/rabbit"
)

// Operation is what is judged, and where.
type Operation struct {
	// Prepare writes what Do needs, outside the judgement; nil means nothing.
	Prepare func(t testing.TB, db *postgres.DB)
	// Do makes the change and writes its events, all through tx.
	Do func(ctx context.Context, tx postgres.Tx) error
	// Events is how many events one run of Do promises.
	Events int
	// Topology is what the events are published into.
	Topology rabbit.Topology
	// DSN gives each test the address of a database with the operation's
	// tables and the outbox; Broker that of an empty virtual host.
	DSN    func(testing.TB) string
	Broker func(testing.TB) string
}

// Run runs the suite.
func Run(t *testing.T, o Operation) {
	t.Helper()
	for name, judge := range map[string]func(*testing.T, Operation){
		"a commit leaves its events, unpublished and complete":        commits,
		"an error after the events leaves none":                       rollsBack,
		"a panic after the events leaves none":                        panics,
		"with one connection in the pool it does not wait for itself": poolOfOne,
		"the relay brings every event to the queues bound for it":     published,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			judge(t, o)
		})
	}
}

func (o Operation) open(t *testing.T, poolSize int) (*postgres.DB, string) {
	t.Helper()
	dsn := o.DSN(t)
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, PoolSize: poolSize})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if o.Prepare != nil {
		o.Prepare(t, db)
	}
	return db, dsn
}

type written struct {
	EventID   uuid.UUID  `db:"event_id"`
	Aggregate uuid.UUID  `db:"aggregate_id"`
	Version   int64      `db:"aggregate_version"`
	Type      string     `db:"type"`
	Payload   []byte     `db:"payload"`
	Published *time.Time `db:"published_at"`
}

func events(t *testing.T, db *postgres.DB) (all []written) {
	t.Helper()
	const query = `SELECT event_id, aggregate_id, aggregate_version, type, payload, published_at FROM outbox_events ORDER BY seq`
	if err := db.Select(t.Context(), &all, query); err != nil {
		t.Fatal(err)
	}
	return all
}

func commits(t *testing.T, o Operation) {
	db, _ := o.open(t, 0)
	before := len(events(t, db))
	if err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error { return o.Do(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
	all := events(t, db)
	if got := len(all) - before; got != o.Events {
		t.Fatalf("%d events, %d are promised", got, o.Events)
	}
	last := map[uuid.UUID]int64{}
	for _, e := range all {
		if e.Published != nil {
			t.Errorf("%s is published before a relay ran", e.Type)
		}
		if e.EventID.Version() != 7 {
			t.Errorf("%s: the id %s is no UUIDv7, and partitions go by its time", e.Type, e.EventID)
		}
		if !json.Valid(e.Payload) {
			t.Errorf("%s: the payload is no JSON", e.Type)
		}
		if previous := last[e.Aggregate]; previous != 0 && e.Version != previous+1 {
			t.Errorf("%s: version %d of %s follows version %d", e.Type, e.Version, e.Aggregate, previous)
		}
		last[e.Aggregate] = e.Version
	}
}

var errChanged = errors.New("the suite changed its mind")

func rollsBack(t *testing.T, o Operation) {
	db, _ := o.open(t, 0)
	before := len(events(t, db))
	err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		if err := o.Do(t.Context(), tx); err != nil {
			return err
		}
		return errChanged
	})
	if !errors.Is(err, errChanged) {
		t.Fatal(err)
	}
	if got := len(events(t, db)) - before; got != 0 {
		t.Errorf("%d events of a change that never was", got)
	}
}

func panics(t *testing.T, o Operation) {
	db, _ := o.open(t, 0)
	before := len(events(t, db))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not arrive")
			}
		}()
		_ = postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
			if err := o.Do(t.Context(), tx); err != nil {
				t.Error(err)
			}
			panic("as asked by the suite")
		})
	}()
	if got := len(events(t, db)) - before; got != 0 {
		t.Errorf("%d events of a change that never was", got)
	}
}

func poolOfOne(t *testing.T, o Operation) {
	db, _ := o.open(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := postgres.InTx(ctx, db, func(tx postgres.Tx) error { return o.Do(ctx, tx) }); err != nil {
		t.Errorf("it uses the pool inside its transaction: %v", err)
	}
}

func published(t *testing.T, o Operation) {
	db, dsn := o.open(t, 0)
	if err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error { return o.Do(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
	all := events(t, db)
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{o.Broker(t)}, Topology: o.Topology})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	relay, err := outbox.NewRelay(outbox.Config{
		DB: db, Postgres: postgres.Config{DSN: dsn}, Publisher: conn.Publisher(rabbit.PublisherConfig{}), Poll: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "every event is marked", func() bool {
		if c := relay.Counts(); c.Returned > 0 {
			t.Fatalf("%d events have no queue in this topology", c.Returned)
		}
		return int(relay.Counts().Marked) == len(all)
	})
	want := copies(o.Topology, all)
	eventually(t, "every bound queue has its copies", func() bool {
		got := 0
		for _, queue := range o.Topology.QueueNames() {
			depth, err := conn.Depth(t.Context(), queue)
			if err != nil {
				t.Fatal(err)
			}
			got += depth.Ready
		}
		return got == want
	})
}

// copies counts the queues that are bound for the events.
func copies(topology rabbit.Topology, all []written) (n int) {
	for _, e := range all {
		for _, b := range topology.Bindings {
			if b.Exchange == outbox.Exchange && b.Key == e.Type {
				n++
			}
		}
	}
	return n
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
