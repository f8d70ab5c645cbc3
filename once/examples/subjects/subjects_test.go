//go:build prove

package subjects

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"payonce/once/message"
	"payonce/once/oncetest/killtest"
	"payonce/once/rabbit"
)

const queue = "subject.watermill"

// subject has the tables that each of them writes.
func subject(start func(t testing.TB, at killtest.Services) (killtest.Life, error), effects ...string) killtest.Subject {
	var pool *pgxpool.Pool
	return killtest.Subject{
		Prepare: func(t testing.TB, at killtest.Services) {
			var err error
			pool, err = pgxpool.New(t.Context(), at.Postgres)
			require.NoError(t, err)
			t.Cleanup(pool.Close)
			_, err = pool.Exec(t.Context(), `CREATE TABLE seen (id text PRIMARY KEY); CREATE TABLE effects (id text NOT NULL, what text NOT NULL)`)
			require.NoError(t, err)
		},
		Start: start,
		Act:   killtest.Post("/"),
		Effects: func(ctx context.Context, _ killtest.Services, id string) (map[string]int, error) {
			counted := map[string]int{}
			for _, what := range effects {
				counted[what] = 0
			}
			rows, err := pool.Query(ctx, `SELECT what FROM effects WHERE id = $1`, id)
			if err != nil {
				return nil, err
			}
			all, err := pgx.CollectRows(rows, pgx.RowTo[string])
			for _, what := range all {
				counted[what]++
			}
			return counted, err
		},
	}
}

func program(t *testing.T, name string) func(t testing.TB, at killtest.Services) (killtest.Life, error) {
	t.Helper()
	folder := os.Getenv("SUBJECTS")
	require.NotEmpty(t, folder, "SUBJECTS says where the programs are: go build -o bin/ ./river ./watermill")
	return killtest.Command(filepath.Join(folder, name), nil)
}

func node(form string) func(t testing.TB, at killtest.Services) (killtest.Life, error) {
	return killtest.Command("node", []string{"node/service.mjs"}, "SUBJECT_FORM="+form)
}

func onRiver(t *testing.T) killtest.Subject {
	s := subject(program(t, "river"), "order", "mail")
	prepare := s.Prepare
	s.Prepare = func(t testing.TB, at killtest.Services) {
		prepare(t, at)
		pool, err := pgxpool.New(t.Context(), at.Postgres)
		require.NoError(t, err)
		defer pool.Close()
		migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
		require.NoError(t, err)
		_, err = migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
		require.NoError(t, err)
	}
	// A job that died is rescued by a leader, who must be elected first.
	s.Within, s.Most = 90*time.Second, 16
	return s
}

func onWatermill(t *testing.T) killtest.Subject {
	s := subject(program(t, "watermill"), "mail")
	prepare := s.Prepare
	s.Broker = true
	var out *rabbit.Publisher
	s.Prepare = func(t testing.TB, at killtest.Services) {
		prepare(t, at)
		// As Watermill declares it.
		conn, err := rabbit.Open(rabbit.Config{URLs: []string{at.AMQP}, Name: "client", Topology: rabbit.Topology{Queues: []rabbit.Queue{{Name: queue}}}})
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		out = conn.Publisher(rabbit.PublisherConfig{})
	}
	s.Act = func(ctx context.Context, _ killtest.Life, _ killtest.Services, id string) error {
		return out.Publish(ctx, message.Message{Key: queue, ID: id, Body: []byte(id)})
	}
	return s
}

func TestWhatIsRightPassesWhateverItIsMadeOf(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]killtest.Subject{
		"river":     onRiver(t),
		"watermill": onWatermill(t),
		"node":      subject(node("right"), "order"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killtest.Run(t, s)
		})
	}
}

func TestAMistakeIsFoundInAnotherLanguageToo(t *testing.T) {
	t.Parallel()
	s := subject(node("two-commits"), "order")
	s.Within = 5 * time.Second
	r := killtest.Judge(t, s)
	t.Log(r.String())
	found := ""
	for _, f := range r.Failures {
		found += f.String() + "\n"
	}
	require.True(t, strings.Contains(found, "committed 1 of 2, killed: order 2 times"), found)
}
