package doctor_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once/doctor"
	"payonce/once/message"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	"payonce/once/rabbit"
	"payonce/once/retention"
	"payonce/once/schema"
)

func TestMain(m *testing.M) { oncetest.Main(m) }

const name = "clinic"

func windows() retention.Windows {
	w := retention.Defaults()
	w.Retries = time.Minute
	return w
}

func wrong(t *testing.T, cfg doctor.Config) (all []string) {
	t.Helper()
	found, err := doctor.Examine(t.Context(), cfg)
	require.NoError(t, err)
	for _, f := range found {
		require.NotEmpty(t, f.Remedy, f)
		all = append(all, f.String())
	}
	return all
}

func TestWhatIsRightHasNoFindingAndWhatIsWrongHasItsRemedy(t *testing.T) {
	t.Parallel()
	for adapter, over := range dbtest.Over {
		t.Run(adapter, func(t *testing.T) {
			t.Parallel()
			db := over(t, "")
			cfg := doctor.Config{DB: db, Schema: name, Windows: windows()}
			files, err := fs.Glob(schema.Files, "*.sql")
			require.NoError(t, err)
			require.Contains(t, wrong(t, cfg)[0], "the schema clinic lacks "+strings.Join(files, ", ")+":")
			_, err = schema.Apply(t.Context(), db, name)
			require.NoError(t, err)
			require.Empty(t, wrong(t, cfg))

			dbtest.Exec(t, db, `DELETE FROM clinic.once_versions WHERE file LIKE '0009%'`)
			require.Contains(t, wrong(t, cfg)[0], "the schema clinic lacks 0009_calls.sql")
			dbtest.Exec(t, db, `DROP TABLE clinic.once_versions`) // migrations of its own
			require.Empty(t, wrong(t, cfg))
			dbtest.Exec(t, db, `DROP FUNCTION clinic.drop_day`)
			dbtest.Exec(t, db, `ALTER TABLE clinic.calls DROP COLUMN decided_by`)
			require.Contains(t, wrong(t, cfg)[0], "the schema clinic lacks 0008_drop_day.sql, 0010_call_decisions.sql:")
			dbtest.Exec(t, db, `DROP TABLE clinic.calls`)
			require.Contains(t, wrong(t, cfg)[0], "the schema clinic lacks 0008_drop_day.sql, 0009_calls.sql, 0010")

			dbtest.Exec(t, db, `DROP TABLE clinic.consumer_inbox_`+time.Now().UTC().AddDate(0, 0, 2).Format("20060102"))
			require.Contains(t, wrong(t, cfg)[1], "for 1 more days: run a retention.Keeper")
			cfg.Windows.Outbox = 90 * 24 * time.Hour
			require.Contains(t, wrong(t, cfg)[2], "set Inbox to at least Outbox")
		})
	}
}

func TestQueuesThatAreNotThereOrThatNoConsumerReadsAreFound(t *testing.T) {
	t.Parallel()
	conn, err := rabbit.Open(rabbit.Config{URLs: []string{oncetest.Broker(t)}, Topology: rabbit.Topology{
		Queues: []rabbit.Queue{rabbit.WorkQueue("left", "dead"), rabbit.WorkQueue("read", "dead")},
	}})
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	require.NoError(t, conn.Publisher(rabbit.PublisherConfig{}).Publish(t.Context(), message.Message{Key: "left", ID: "1", Body: []byte("1")}))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = conn.Consume(ctx, rabbit.ConsumerConfig{Queue: "read"}, func(context.Context, []rabbit.Delivery) {})
	}()
	t.Cleanup(func() { stop(); <-done })
	require.Eventually(t, func() bool { return conn.Reads(t.Context(), "read") == nil }, 20*time.Second, 20*time.Millisecond)
	found := wrong(t, doctor.Config{DB: dbtest.Pq(t, name), Schema: name, Windows: windows(), Broker: conn, Queues: []string{"read", "left", "gone"}})
	require.Len(t, found, 2)
	require.Contains(t, found[0], "no consumer reads left, where 1 messages wait")
	require.Contains(t, found[1], "there is no queue gone")
}
