package outbox_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	"payonce/once/outbox"
	"payonce/once/outbox/outboxtest"
	oncepq "payonce/once/pq"
	"payonce/once/rabbit"
)

var (
	table = outbox.Table{Schema: "post"}
	names = outbox.NamesOf("post")
	bound = rabbit.Topology{
		Exchanges: []rabbit.Exchange{{Name: names.Exchange, Kind: "topic"}, {Name: "dead", Kind: "fanout"}},
		Queues:    []rabbit.Queue{rabbit.WorkQueue("a", "dead"), rabbit.WorkQueue("b", "dead")},
		Bindings: []rabbit.Binding{
			{Queue: "a", Exchange: names.Exchange, Key: "thing.happened"}, {Queue: "b", Exchange: names.Exchange, Key: "thing.happened"},
		},
	}
)

func overPq(t testing.TB, connections int) once.DB {
	t.Helper()
	db, err := oncepq.Open(oncepq.Config{DSN: dbtest.Database(t, "post"), PoolSize: connections})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func overPgx(t testing.TB, _ int) once.DB { return dbtest.Pgx(t, "post") }

// judge runs the suite over each adapter.
func judge(t *testing.T, o outboxtest.Operation) {
	t.Helper()
	for name, over := range map[string]func(testing.TB, int) once.DB{"pq": overPq, "pgx": overPgx} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Topology, o.Table, o.Names, o.Format, o.Postgres, o.Broker = bound, table, names, envelope.Of("post"), over, oncetest.Broker
			outboxtest.Run(t, o)
		})
	}
}

func TestAppendKeepsThePromiseForThreeEventsInOneRoundTrip(t *testing.T) {
	t.Parallel()
	judge(t, outboxtest.Operation{
		Do: func(ctx context.Context, tx once.Tx) error {
			thing := uuid.NewString()
			var events []outbox.Event
			for version := range int64(3) {
				e, err := outbox.New("anna", thing, "thing", thing, "thing.happened", map[string]any{"schema": 1})
				if err != nil {
					return err
				}
				e.AggregateVersion = version + 1
				events = append(events, e)
			}
			return table.Append(ctx, tx, events...)
		},
		Events: 3,
	})
}

func TestAnEventWhoseIDIsAnyTextKeepsThePromise(t *testing.T) {
	t.Parallel()
	judge(t, outboxtest.Operation{
		Do: func(ctx context.Context, tx once.Tx) error {
			return table.Append(ctx, tx, outbox.Event{
				ID: `order "7", {shipped} at ` + uuid.NewString(), AggregateType: "thing", AggregateID: "order 7", AggregateVersion: 1,
				Type: "thing.happened", Payload: []byte(`{}`),
			})
		},
		Events: 1,
	})
}

func TestFoldKeepsThePromiseInsideTheStatementThatMakesItTrue(t *testing.T) {
	t.Parallel()
	change := once.Named(`WITH changed AS (UPDATE things SET version = version + 1 WHERE version = @before RETURNING id, version) ` +
		table.Fold("changed", "changed.version"))
	thing := uuid.NewString()
	judge(t, outboxtest.Operation{
		Prepare: func(t testing.TB, db once.DB) {
			t.Helper()
			dbtest.Exec(t, db, `CREATE TABLE things (id text PRIMARY KEY, version bigint NOT NULL)`)
			dbtest.Exec(t, db, `INSERT INTO things VALUES ($1, 0)`, thing)
		},
		Do: func(ctx context.Context, tx once.Tx) error {
			e, err := outbox.New("", thing, "thing", thing, "thing.happened", map[string]any{"schema": 1})
			if err != nil {
				return err
			}
			// The second run meets no row in version 0, and writes no event.
			for range 2 {
				if _, err := change.Exec(ctx, tx, e.Args().With(once.Args{"before": 0})); err != nil {
					return err
				}
			}
			return nil
		},
		Events: 1,
	})
}

func TestAnIncompleteEventIsRefusedBeforeTheDatabaseSeesIt(t *testing.T) {
	t.Parallel()
	complete, err := outbox.New("", "", "thing", uuid.NewString(), "thing.happened", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.New("", "", "thing", strings.Repeat("x", 256), "thing.happened", 1); err == nil {
		t.Error("New made an event that no consumer can read")
	}
	for what, spoil := range map[string]func(*outbox.Event){
		"id":        func(e *outbox.Event) { e.ID = "" },
		"aggregate": func(e *outbox.Event) { e.AggregateID = "" },
		"kind":      func(e *outbox.Event) { e.AggregateType = "" },
		"type":      func(e *outbox.Event) { e.Type = "" },
		"payload":   func(e *outbox.Event) { e.Payload = nil },
		// AMQP's short strings end there, and a longer one ends the connection of all.
		"an id of 255 bytes":    func(e *outbox.Event) { e.ID = strings.Repeat("x", 256) },
		"a type of 255 bytes":   func(e *outbox.Event) { e.Type = strings.Repeat("x", 256) },
		"a queue of 255 bytes":  func(e *outbox.Event) { e.Destination = strings.Repeat("x", 256) },
		"a scope of 255 bytes":  func(e *outbox.Event) { e.Scope = strings.Repeat("x", 256) },
		"a story that is text":  func(e *outbox.Event) { e.Correlation = "\x00" },
		"a subject of any text": func(e *outbox.Event) { e.AggregateID = "\xff" },
	} {
		e := complete
		spoil(&e)
		if err := table.Append(t.Context(), nil, e); err == nil {
			t.Errorf("an event without %s was taken", what)
		}
	}
}

// Versions that are forgotten are all 0: who compares them finds neither a gap nor an order.
func TestAnEventWithoutItsVersionIsRefusedBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	db := dbtest.Pq(t, "post")
	e, err := outbox.New("a", "s", "thing", "t1", "thing.happened", map[string]int{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.InTx(t.Context(), func(tx once.Tx) error { return table.Append(t.Context(), tx, e) })
	if err == nil || !strings.Contains(err.Error(), "AggregateVersion: 1 for an aggregate's first event") {
		t.Errorf("an event without a version: %v", err)
	}
}
