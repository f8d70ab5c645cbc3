package outbox_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/pattern/outbox"
	"payonce/internal/pattern/outbox/outboxtest"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/rabbit"
)

var bound = rabbit.Topology{
	Exchanges: []rabbit.Exchange{{Name: outbox.Exchange, Kind: "topic"}, {Name: "dead", Kind: "fanout"}},
	Queues:    []rabbit.Queue{rabbit.WorkQueue("a", "dead"), rabbit.WorkQueue("b", "dead")},
	Bindings: []rabbit.Binding{
		{Queue: "a", Exchange: outbox.Exchange, Key: "thing.happened"}, {Queue: "b", Exchange: outbox.Exchange, Key: "thing.happened"},
	},
}

func TestAppendKeepsThePromiseForThreeEventsInOneRoundTrip(t *testing.T) {
	t.Parallel()
	outboxtest.Run(t, outboxtest.Operation{
		Do: func(ctx context.Context, tx postgres.Tx) error {
			thing := uuid.New()
			var events []outbox.Event
			for version := range int64(3) {
				e, err := outbox.New(uuid.New(), thing, "thing", thing, "thing.happened", map[string]any{"schema": 1})
				if err != nil {
					return err
				}
				e.AggregateVersion = version + 1
				events = append(events, e)
			}
			return outbox.Append(ctx, tx, events...)
		},
		Events: 3, Topology: bound, DSN: devtest.DSN, Broker: devtest.Broker,
	})
}

func TestFoldKeepsThePromiseInsideTheStatementThatMakesItTrue(t *testing.T) {
	t.Parallel()
	change := once.Named(`WITH changed AS (UPDATE things SET version = version + 1 WHERE version = @before RETURNING id, version) ` +
		outbox.Fold("changed", "changed.version"))
	thing := uuid.New()
	outboxtest.Run(t, outboxtest.Operation{
		Prepare: func(t testing.TB, db *postgres.DB) {
			t.Helper()
			if err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
				if _, err := tx.Exec(t.Context(), `CREATE TABLE things (id uuid PRIMARY KEY, version bigint NOT NULL)`); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), `INSERT INTO things VALUES ($1, 0)`, thing)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		},
		Do: func(ctx context.Context, tx postgres.Tx) error {
			e, err := outbox.New(uuid.Nil, thing, "thing", thing, "thing.happened", map[string]any{"schema": 1})
			if err != nil {
				return err
			}
			// The second run meets no row in version 0, and writes no event.
			for range 2 {
				if _, err := change.Exec(ctx, tx, e.Args(ctx).With(once.Args{"before": 0})); err != nil {
					return err
				}
			}
			return nil
		},
		Events: 1, Topology: bound, DSN: devtest.DSN, Broker: devtest.Broker,
	})
}

func TestAnIncompleteEventIsRefusedBeforeTheDatabaseSeesIt(t *testing.T) {
	t.Parallel()
	complete, err := outbox.New(uuid.Nil, uuid.Nil, "thing", uuid.New(), "thing.happened", 1)
	if err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*outbox.Event){
		"id":        func(e *outbox.Event) { e.ID = uuid.Nil },
		"aggregate": func(e *outbox.Event) { e.AggregateID = uuid.Nil },
		"kind":      func(e *outbox.Event) { e.AggregateType = "" },
		"type":      func(e *outbox.Event) { e.Type = "" },
		"payload":   func(e *outbox.Event) { e.Payload = nil },
	} {
		e := complete
		spoil(&e)
		if err := outbox.Append(t.Context(), nil, e); err == nil {
			t.Errorf("an event without %s was taken", what)
		}
	}
}
