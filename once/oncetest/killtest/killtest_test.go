package killtest_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/oncetest/killtest"
	"payonce/once/rabbit"
)

// asSubject makes this test binary one of the programs in subject_test.go.
const asSubject = "ONCE_TEST_AS_SUBJECT"

func TestMain(m *testing.M) {
	if name := os.Getenv(asSubject); name != "" {
		if err := subjects[name](); err != nil {
			fmt.Fprintln(os.Stderr, name, err)
			os.Exit(1)
		}
		return
	}
	oncetest.Main(m)
}

const (
	exchange, queue = "subject", "subject.work"
	tables          = `
CREATE TABLE effects (id text NOT NULL, part text NOT NULL);
CREATE TABLE seen (id text PRIMARY KEY, answer text);
CREATE TABLE outbox (id text PRIMARY KEY, published boolean NOT NULL DEFAULT false);
CREATE TABLE accounts (no integer PRIMARY KEY, used integer NOT NULL DEFAULT 0);
INSERT INTO accounts SELECT n FROM generate_series(1, 2) n;`
)

func subject(name string) killtest.Subject {
	var db *sql.DB
	return killtest.Subject{
		Prepare: func(t testing.TB, at killtest.Services) {
			var err error
			db, err = sql.Open("postgres", at.Postgres)
			require.NoError(t, err)
			t.Cleanup(func() { _ = db.Close() })
			_, err = db.Exec(tables)
			require.NoError(t, err)
		},
		Start: killtest.Command(os.Args[0], nil, asSubject+"="+name),
		Act:   killtest.Post("/"),
		Effects: func(ctx context.Context, _ killtest.Services, id string) (map[string]int, error) {
			var n int
			err := db.QueryRowContext(ctx, `SELECT count(*) FROM effects WHERE id = $1`, id).Scan(&n)
			return map[string]int{"the effect": n}, err
		},
		Crowd: 10,
	}
}

// received counts the messages that reached a queue, each id once.
type received struct {
	mu  sync.Mutex
	ids map[string]bool
}

func publishing(name string) killtest.Subject {
	s := subject(name)
	h := &received{ids: map[string]bool{}}
	prepare, effects := s.Prepare, s.Effects
	s.Broker = true
	s.Prepare = func(t testing.TB, at killtest.Services) {
		prepare(t, at)
		conn := broker(t, at.AMQP)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = conn.Consume(ctx, rabbit.ConsumerConfig{Queue: queue}, func(_ context.Context, batch []rabbit.Delivery) {
				h.mu.Lock()
				defer h.mu.Unlock()
				for _, d := range batch {
					h.ids[d.ID] = true
					_ = rabbit.Ack(d)
				}
			})
		}()
		t.Cleanup(func() { stop(); <-done })
	}
	s.Effects = func(ctx context.Context, at killtest.Services, id string) (map[string]int, error) {
		counted, err := effects(ctx, at, id)
		h.mu.Lock()
		defer h.mu.Unlock()
		counted["the event"] = map[bool]int{true: 1}[h.ids[id]]
		return counted, err
	}
	return s
}

func consuming(name string) killtest.Subject {
	s := subject(name)
	prepare := s.Prepare
	s.Broker = true
	var out *rabbit.Publisher
	s.Prepare = func(t testing.TB, at killtest.Services) {
		prepare(t, at)
		out = broker(t, at.AMQP).Publisher(rabbit.PublisherConfig{})
	}
	s.Act = func(ctx context.Context, _ killtest.Life, _ killtest.Services, id string) error {
		return out.Publish(ctx, event(id))
	}
	return s
}

func event(id string) message.Message {
	return message.Message{Exchange: exchange, Key: "made", ID: id, Type: "made", Body: []byte(id)}
}

func broker(t testing.TB, address string) *rabbit.Conn {
	t.Helper()
	conn, err := connect(address)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}

func connect(address string) (*rabbit.Conn, error) {
	return rabbit.Open(rabbit.Config{URLs: []string{address}, Name: "subject", Topology: rabbit.Topology{
		Exchanges: []rabbit.Exchange{{Name: exchange, Kind: "topic"}},
		Queues:    []rabbit.Queue{rabbit.WorkQueue(queue, "dead")},
		Bindings:  []rabbit.Binding{{Queue: queue, Exchange: exchange, Key: "#"}},
	}})
}

func TestWhatIsRightPassesAndEachMistakeIsNamed(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		name, mistake string
		subject       func(name string) killtest.Subject
		fails         string // where, at least; "" for what is right
	}{
		{"keyed", "none: key, effect and answer in one transaction", subject, ""},
		{"remembers in memory", "what was done is known to one process only", subject, "committed 1 of 1, killed"},
		{"two commits", "the effect is committed before its key", subject, "committed 1 of 2, killed"},
		{"answers first", "the answer leaves before the commit", subject, "killed right after its answer"},
		{"locks in any order", "two requests lock two rows in opposite orders", subject, "in a crowd"},
		{"outbox", "none: the event is a row of the same transaction", publishing, ""},
		{"dual write", "the event is published after the commit, by whom the commit did not kill", publishing, "committed 1 of 1, killed"},
		{"inbox", "none: the id is remembered with the effect, then acknowledged", consuming, ""},
		{"remembers first", "the id is remembered in a transaction before the effect", consuming, "committed 1 of 2, killed"},
		{"acknowledges first", "the delivery is acknowledged before the effect", consuming, "writing"},
	} {
		t.Run(one.name+", "+one.mistake, func(t *testing.T) {
			t.Parallel()
			judged := one.subject(one.name)
			if one.fails != "" {
				judged.Within = 3 * time.Second // what is lost does not come
			}
			r := killtest.Judge(t, judged)
			t.Log(r.String())
			where := ""
			for _, f := range r.Failures {
				where += f.String() + "\n"
			}
			if one.fails != "" {
				require.True(t, strings.Contains(where, one.fails), "not failed where it fails (%s) but:\n%s", one.fails, where)
				return
			}
			require.Empty(t, r.Failures)
			require.Greater(t, len(r.Met), 4)
			require.Empty(t, r.Missed)
		})
	}
}
