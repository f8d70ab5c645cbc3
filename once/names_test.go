package once_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/envelope"
	"payonce/once/inbox"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	"payonce/once/outbox"
	oncepgx "payonce/once/pgx"
	"payonce/once/rabbit"
	"payonce/once/retry"
	"payonce/once/schema"
)

// program is an outbox with its relay, a consumer with an inbox, and the collector of what
// it gives up, under one name.
type program struct {
	name  once.Name
	db    once.DB
	queue string
	conn  func() *rabbit.Conn
	run   *inbox.Runner
}

var errPoison = errors.New("no consumer reads this")

// start wires a program; what it applies is a row of effects in its own schema.
func start(t *testing.T, name once.Name, db once.DB, broker string) *program {
	t.Helper()
	_, err := schema.Apply(t.Context(), db, name)
	require.NoError(t, err)
	within := once.Schema(name)
	dbtest.Exec(t, db, within.In(`CREATE TABLE {effects} (event text NOT NULL)`))
	p := &program{name: name, db: db, queue: string(name) + ".effects"}
	names, retries, schedule := outbox.NamesOf(name), retry.NamesOf(name), retry.Schedule{20 * time.Millisecond}
	topology := retries.Topology(schedule).With(rabbit.Topology{
		Exchanges: []rabbit.Exchange{{Name: names.Exchange, Kind: "topic"}},
		Queues:    []rabbit.Queue{rabbit.WorkQueue(p.queue, retries.Dead)},
		Bindings:  []rabbit.Binding{{Queue: p.queue, Exchange: names.Exchange, Key: "thing.#"}},
	})
	p.conn = func() *rabbit.Conn {
		conn, err := rabbit.Open(rabbit.Config{URLs: []string{broker}, Topology: topology, BackoffMin: 10 * time.Millisecond})
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		return conn
	}
	table := inbox.Table{Schema: within, Any: true}
	p.run, err = inbox.New(inbox.Config{
		Consumer: p.queue, DB: db, Table: table, Broker: p.conn(), Publisher: p.conn().Publisher(rabbit.PublisherConfig{}),
		Names: retries, Schedule: schedule, Now: time.Now,
		Handler: func(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
			for _, m := range batch {
				if m.Type == "thing.poison" {
					return retry.Permanent(errPoison)
				}
				if _, err := tx.Exec(ctx, within.In(`INSERT INTO {effects} (event) VALUES ($1)`), m.EventID); err != nil {
					return err
				}
			}
			return nil
		},
	})
	require.NoError(t, err)
	relay, err := outbox.NewRelay(outbox.Config{
		DB: db, Table: outbox.Table{Schema: within}, Names: names, Format: envelope.Of(name), Source: "/" + string(name),
		Publisher: p.conn().Publisher(rabbit.PublisherConfig{}), Poll: 20 * time.Millisecond,
	})
	require.NoError(t, err)
	collector, err := retry.NewCollector(retry.CollectorConfig{
		DB: db, Broker: p.conn(), Names: retries, Table: retry.Table{Schema: within}, Applied: table.Applied, Now: time.Now,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, work := range []func(context.Context) error{p.run.Run, relay.Run, collector.Run} {
		running.Go(func() { _ = work(ctx) })
	}
	t.Cleanup(func() { stop(); running.Wait() })
	return p
}

// append writes an event for each id, in the program's own outbox.
func (p *program) append(t *testing.T, kind string, ids ...string) {
	t.Helper()
	require.NoError(t, p.db.InTx(t.Context(), func(tx once.Tx) error {
		for i, id := range ids {
			if err := (outbox.Table{Schema: once.Schema(p.name)}).Append(t.Context(), tx, outbox.Event{
				ID: id, AggregateType: "thing", AggregateID: kind, AggregateVersion: int64(i + 1), Type: kind, Payload: []byte(`{}`),
			}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (p *program) count(t *testing.T, query string, args ...any) int {
	t.Helper()
	return dbtest.Int(t, p.db, once.Schema(p.name).In(query), args...)
}

// The same program twice, with the same ids: what one of them publishes, applies, remembers,
// gives up or raises, the other one never meets.
func TestTwoNamesInOneVirtualHostAndOneDatabaseShareNothing(t *testing.T) {
	t.Parallel()
	dsn, broker := oncetest.Postgres(t), oncetest.Broker(t)
	pool, err := pgxpool.New(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	programs := []*program{start(t, "letters", dbtest.OpenPq(t, dsn), broker), start(t, "parcels", oncepgx.New(pool), broker)}
	shared, poison := []string{uuid.Must(uuid.NewV7()).String(), uuid.NewString(), "order 7"}, uuid.NewString()
	for i, p := range programs {
		own := string(p.name) + " alone"
		p.append(t, "thing.happened", append(shared, own)...)
		p.append(t, "thing.poison", poison)
		if i == 0 {
			p.append(t, "other.unbound", "lost") // no queue is bound: a trouble of the first one's
		}
	}
	for i, p := range programs {
		require.Eventually(t, func() bool {
			return p.count(t, `SELECT count(*) FROM {effects}`) == 4 && p.count(t, `SELECT count(*) FROM {dead_letters}`) == 1 &&
				p.count(t, `SELECT count(*) FROM {outbox_events} WHERE published_at IS NULL`) == 1-i &&
				p.count(t, `SELECT count(*) FROM {troubles} WHERE kind = 'unroutable'`) == 1-i
		}, 30*time.Second, 5*time.Millisecond, "%s: %+v", p.name, p.run.Counts())
		require.Equal(t, 1, p.count(t, `SELECT count(*) FROM {effects} WHERE event = $1`, string(p.name)+" alone"))
		require.Equal(t, 4, p.count(t, `SELECT count(DISTINCT event) FROM {effects}`), "each once")
		require.Equal(t, 4, p.count(t, `SELECT count(*) FROM {consumer_inbox_any}`))
		counts := p.run.Counts()
		require.EqualValues(t, []int64{5, 4, 1, 0}, []int64{counts.Delivered, counts.Applied, counts.Dead, counts.Absorbed})
		require.Equal(t, 1, p.count(t, `SELECT count(*) FROM {troubles} WHERE kind = 'dead_letter'`))
		require.Equal(t, 2-i, p.count(t, `SELECT count(*) FROM {troubles}`))
	}
}
