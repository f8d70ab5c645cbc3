package patterns_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/alert"
	"payonce/internal/platform/observe"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/inbox"
	"payonce/once/outbox"
	"payonce/once/outbox/outboxtest"
	"payonce/once/rabbit"
	"payonce/once/retry"
	"payonce/once/retry/retrytest"
)

func TestTheShopsLettersAndAlertsKeepThePromiseOfTheCollector(t *testing.T) {
	t.Parallel()
	retrytest.Run(t, retrytest.Subject{
		Schedule: retry.Schedule{50 * time.Millisecond, 300 * time.Millisecond}, Names: patterns.Names, Table: patterns.Letters,
		Troubles: alert.Troubles{}, Postgres: devtest.Once, Broker: devtest.Broker,
		Open: func(t testing.TB, db once.DB) (n int) {
			require.NoError(t, postgres.Of(db).Get(t.Context(), &n, `SELECT count(*) FROM alerts WHERE kind = 'dead_letter' AND state = 'open'`))
			return n
		},
	})
}

// Programs that run beside this one rest on these names.
func TestTheNamesAtTheBrokerAreThePublishedOnes(t *testing.T) {
	t.Parallel()
	id := uuid.Must(uuid.NewV7()).String()
	m := patterns.Format.Message(envelope.Envelope{
		EventID: id, Type: "a.b", Source: "/s", AggregateID: id, AggregateVersion: 1, Scope: id, Correlation: id,
		Traceparent: "00-", Attempt: 1, Replay: 1, PastWindow: true,
	}, "", "")
	for _, header := range []string{
		"cloudEvents:specversion", "cloudEvents:id", "cloudEvents:type", "cloudEvents:source", "cloudEvents:time", "cloudEvents:subject",
		"payonce-aggregate-version", "payonce-attempt", "payonce-replay", "payonce-past-window", "payonce-merchant", "payonce-correlation", "traceparent",
	} {
		require.Contains(t, m.Headers, header)
	}
	require.Len(t, m.Headers, 13)
	f := patterns.Format
	require.Equal(t, []string{"payonce-consumer", "payonce-reason", "payonce-class", "payonce-first-failed-at", "payonce-last-failed-at"},
		[]string{f.Consumer, f.Reason, f.Class, f.FirstFailed, f.LastFailed})
	require.Equal(t, []string{
		"payonce.dead", "payonce.retry.0.2s", "payonce.retry.1s", "payonce.retry.3s", "payonce.retry.5s", "payonce.retry.10s",
	}, patterns.Names.Topology(retry.Demo).QueueNames())
	require.Equal(t, outbox.Names{Exchange: "payonce.events", Channel: "payonce_outbox", Presence: 0x7061796f6e6365, Partitions: 0x7061796f}, patterns.Relays)
}

func TestTheShopsOutboxKeepsThePromise(t *testing.T) {
	t.Parallel()
	outboxtest.Run(t, outboxtest.Operation{
		Do: func(ctx context.Context, tx once.Tx) error {
			thing := uuid.New()
			one, err := patterns.NewEvent(uuid.Nil, uuid.Nil, "thing", thing, "thing.happened", map[string]any{"schema": 1})
			one.AggregateVersion = 1
			other := one
			other.ID, other.AggregateVersion, other.Scope, other.Correlation = uuid.Must(uuid.NewV7()).String(), 2, uuid.NewString(), thing.String()
			return errors.Join(err, patterns.Append(ctx, tx, one, other))
		},
		Events: 2, Table: patterns.Outbox, Names: patterns.Relays, Format: patterns.Format, Troubles: alert.Troubles{},
		Topology: rabbit.Topology{
			Exchanges: []rabbit.Exchange{{Name: patterns.Relays.Exchange, Kind: "topic"}, {Name: "dead", Kind: "fanout"}},
			Queues:    []rabbit.Queue{rabbit.WorkQueue("a", "dead")},
			Bindings:  []rabbit.Binding{{Queue: "a", Exchange: patterns.Relays.Exchange, Key: "thing.happened"}},
		},
		Postgres: func(t testing.TB, connections int) once.DB {
			db, err := postgres.Open(t.Context(), postgres.Config{DSN: devtest.DSN(t), PoolSize: connections})
			require.NoError(t, err)
			t.Cleanup(func() { _ = db.Close() })
			return db.Once()
		},
		Broker: devtest.Broker,
	})
}

func TestWhatConsumersTheCollectorAndTheRelaySeeReachesTheObserver(t *testing.T) {
	t.Parallel()
	var got []observe.Event
	ear := observe.Func(func(_ context.Context, e observe.Event) { got = append(got, e) })
	scope, story, event := uuid.New(), uuid.New(), uuid.Must(uuid.NewV7())
	m := inbox.Message{EventID: event.String(), Type: "a.b", Scope: scope.String(), Correlation: story.String(), Attempt: 2}
	saw := patterns.Consumer(inbox.Config{Consumer: "bank"}, ear).Saw
	for _, s := range []inbox.Seen{{What: inbox.Delivered}, {What: inbox.Applied}, {What: inbox.Absorbed}, {What: inbox.Retried, Err: errors.New("x"), Delay: time.Second}} {
		s.Message = m
		saw(t.Context(), s)
	}
	patterns.Collector(retry.CollectorConfig{}, ear).Saw(t.Context(), retry.Letter{Consumer: "bank", EventID: event.String(), Scope: scope.String(), Type: "a.b", Class: "poison", Attempts: 3})
	at := func(kind observe.Kind, detail string) observe.Event {
		return observe.Event{Kind: kind, Node: "bank", Scope: scope, Correlation: story, Attempt: 2, EventID: event, Type: "a.b", Detail: detail}
	}
	relayed := patterns.Relay(outbox.Config{}, ear).Saw
	for _, what := range []outbox.What{outbox.Published, outbox.Returned} {
		relayed(t.Context(), outbox.Seen{What: what, Event: outbox.Event{ID: event.String(), Scope: scope.String(), Correlation: story.String(), Type: "a.b"}})
	}
	published, returned := at(observe.Published, ""), at(observe.Returned, "no queue is bound")
	published.Node, published.Attempt, returned.Node, returned.Attempt = "relay", 0, "relay", 0
	dead := at(observe.Dead, "poison")
	dead.Attempt, dead.Correlation = 3, uuid.Nil
	require.Equal(t, []observe.Event{at(observe.Delivered, ""), at(observe.Applied, ""), at(observe.Absorbed, ""), at(observe.Retried, "again in 1s"), dead, published, returned}, got)
}
