// Package outboxtest judges operations that promise events: the event is there
// if and only if the change is, and the relay brings it to every consumer that
// is bound for it. An operation runs it in three lines, on a real database and
// a real broker:
//
//	outboxtest.Run(t, outboxtest.Operation{
//		Prepare: newParcel, Do: ship, Events: 1, Topology: topology, Table: table, Names: names, Format: format,
//		Postgres: database, Broker: oncetest.Broker})
package outboxtest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/outbox"
	"payonce/once/rabbit"
)

// Operation is what is judged, and where.
type Operation struct {
	// Prepare writes what Do needs, outside the judgement; nil means nothing.
	Prepare func(t testing.TB, db once.DB)
	// Do makes the change and writes its events, all through tx.
	Do func(ctx context.Context, tx once.Tx) error
	// Events is how many events one run of Do promises.
	Events int
	// Topology is what the events are published into.
	Topology rabbit.Topology
	Table    outbox.Table
	Names    outbox.Names
	Format   envelope.Format
	// Troubles is where the relay raises trouble; nil is the table of the outbox's schema.
	Troubles once.Troubles
	// Postgres gives each test a database with the operation's tables and the outbox, over
	// a pool of so many connections, or of as many as there are when it is 0; Broker gives
	// the address of an empty virtual host.
	Postgres func(t testing.TB, connections int) once.DB
	Broker   func(testing.TB) string
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

func (o Operation) open(t *testing.T, connections int) once.DB {
	t.Helper()
	db := o.Postgres(t, connections)
	if o.Prepare != nil {
		o.Prepare(t, db)
	}
	return db
}

type written struct {
	EventID   string
	Aggregate string
	Version   int64
	Type      string
	Payload   []byte
	Published bool
}

func (o Operation) events(t *testing.T, db once.DB) []written {
	t.Helper()
	rows, err := db.Read(t.Context(), o.Table.Schema.In(`
SELECT event_id, aggregate_id, aggregate_version, type, payload, published_at IS NOT NULL FROM {outbox_events} ORDER BY seq`))
	all, err := once.All(rows, err, func(w *written) []any {
		return []any{&w.EventID, &w.Aggregate, &w.Version, &w.Type, &w.Payload, &w.Published}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func commits(t *testing.T, o Operation) {
	db := o.open(t, 0)
	before := len(o.events(t, db))
	if err := db.InTx(t.Context(), func(tx once.Tx) error { return o.Do(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
	all := o.events(t, db)
	if got := len(all) - before; got != o.Events {
		t.Fatalf("%d events, %d are promised", got, o.Events)
	}
	last := map[string]int64{}
	for _, e := range all {
		if e.Published {
			t.Errorf("%s is published before a relay ran", e.Type)
		}
		if e.EventID == "" {
			t.Errorf("%s has no id", e.Type)
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
	db := o.open(t, 0)
	before := len(o.events(t, db))
	err := db.InTx(t.Context(), func(tx once.Tx) error {
		if err := o.Do(t.Context(), tx); err != nil {
			return err
		}
		return errChanged
	})
	if !errors.Is(err, errChanged) {
		t.Fatal(err)
	}
	if got := len(o.events(t, db)) - before; got != 0 {
		t.Errorf("%d events of a change that never was", got)
	}
}

func panics(t *testing.T, o Operation) {
	db := o.open(t, 0)
	before := len(o.events(t, db))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not arrive")
			}
		}()
		_ = db.InTx(t.Context(), func(tx once.Tx) error {
			if err := o.Do(t.Context(), tx); err != nil {
				t.Error(err)
			}
			panic("as asked by the suite")
		})
	}()
	if got := len(o.events(t, db)) - before; got != 0 {
		t.Errorf("%d events of a change that never was", got)
	}
}

func poolOfOne(t *testing.T, o Operation) {
	db := o.open(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := db.InTx(ctx, func(tx once.Tx) error { return o.Do(ctx, tx) }); err != nil {
		t.Errorf("it uses the pool inside its transaction: %v", err)
	}
}

func published(t *testing.T, o Operation) {
	db := o.open(t, 0)
	if err := db.InTx(t.Context(), func(tx once.Tx) error { return o.Do(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
	all := o.events(t, db)
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{o.Broker(t)}, Topology: o.Topology})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	relay, err := outbox.NewRelay(outbox.Config{
		DB: db, Table: o.Table, Names: o.Names, Format: o.Format, Source: "/outboxtest", Troubles: o.Troubles,
		Publisher: conn.Publisher(rabbit.PublisherConfig{}), Poll: 20 * time.Millisecond,
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
	want := o.copies(all)
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
func (o Operation) copies(all []written) (n int) {
	for _, e := range all {
		for _, b := range o.Topology.Bindings {
			if b.Exchange == o.Names.Exchange && b.Key == e.Type {
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
