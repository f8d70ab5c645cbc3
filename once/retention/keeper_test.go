package retention_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/oncetest/dbtest"
	"payonce/once/outbox"
	"payonce/once/retention"
)

const name = "order" // a word of SQL

func windows() retention.Windows {
	w := retention.Defaults()
	w.Retries = 13 * time.Minute
	return w
}

// idOf is an event id of the noon, UTC, of a day ago.
func idOf(days int) string {
	id := uuid.Must(uuid.NewV7())
	ms := time.Now().UTC().AddDate(0, 0, -days).Truncate(24 * time.Hour).Add(12 * time.Hour).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id.String()
}

func part(table string, daysAgo int) string {
	return table + "_" + time.Now().UTC().AddDate(0, 0, -daysAgo).Format("20060102")
}

func TestOverEachAdapterDaysGoWhenTheirWindowIsOverButForOneWithAnUnpublishedEvent(t *testing.T) {
	t.Parallel()
	for adapter, over := range dbtest.Over {
		t.Run(adapter, func(t *testing.T) {
			t.Parallel()
			db, schema := over(t, name), once.Schema(name)
			for table, days := range map[string]int{"outbox_events": 12, "consumer_inbox": 33} {
				dbtest.Exec(t, db, schema.In(`SELECT {ensure_days}(CAST($1 AS regclass), (now() AT TIME ZONE 'UTC')::date - CAST($2 AS integer), (now() AT TIME ZONE 'UTC')::date)`),
					schema.In("{"+table+"}"), days)
			}
			there := func(name string) bool {
				return dbtest.Int(t, db, `SELECT count(*) FROM pg_class WHERE relname = $1`, name) == 1
			}
			require.NoError(t, db.InTx(t.Context(), func(tx once.Tx) error {
				var errs []error
				for _, days := range []int{9, 10} {
					id := idOf(days)
					_, err := inbox.Table{Schema: schema}.Admit(t.Context(), tx, "a", []string{id})
					errs = append(errs, err, outbox.Table{Schema: schema}.Append(t.Context(), tx, outbox.Event{
						ID: id, AggregateType: "thing", AggregateID: "a", AggregateVersion: 1, Type: "thing.happened", Payload: []byte(`{}`),
					}))
				}
				return errors.Join(errs...)
			}))
			dbtest.Exec(t, db, schema.In(`UPDATE {outbox_events} SET published_at = now() WHERE row_id = $1`), idOfDay(t, db, schema, 10))
			dropped := 0
			k, err := retention.New(retention.Config{
				DB: db, Schema: schema, Windows: windows(), AnyIDs: true, Now: time.Now,
				Before: func(_ context.Context, d retention.Day) error { dropped++; return nil },
			})
			require.NoError(t, err)
			require.NoError(t, k.RunOnce(t.Context()))
			for n := range 13 {
				require.Equal(t, n <= 7 || n == 9, there(part("outbox_events", n)), "the outbox's day %d", n)
			}
			for n := range 34 {
				require.Equal(t, n <= 30, there(part("consumer_inbox", n)), "the inbox's day %d", n)
			}
			require.Equal(t, 4, dropped, "asked before each day that may go: 8, 10, 11, 12")
			stats := k.Stats()
			require.EqualValues(t, []int64{4, 3, 1}, []int64{stats.Removed["outbox_events"], stats.Removed["consumer_inbox"], stats.Kept})
			require.GreaterOrEqual(t, stats.DaysLeft, int64(retention.Ahead))
			require.Equal(t, 1, dbtest.Int(t, db, schema.In(`SELECT count(*) FROM {troubles} WHERE kind = 'partition_kept' AND subject = $1 AND ended_at IS NULL`), part("outbox_events", 9)))
			dbtest.Exec(t, db, schema.In(`UPDATE {outbox_events} SET published_at = now()`))
			require.NoError(t, k.RunOnce(t.Context()))
			require.False(t, there(part("outbox_events", 9)))
			require.Zero(t, dbtest.Int(t, db, schema.In(`SELECT count(*) FROM {troubles} WHERE kind = 'partition_kept' AND ended_at IS NULL`)))
		})
	}
}

// idOfDay is the row of a day's one event.
func idOfDay(t *testing.T, db once.DB, schema once.Schema, days int) (id string) {
	t.Helper()
	rows, err := db.Read(t.Context(), schema.In(`SELECT row_id FROM {outbox_events} WHERE tableoid = to_regclass($1)`), `"order".`+part("outbox_events", days))
	found, err := once.One(rows, err, &id)
	require.NoError(t, err)
	require.True(t, found)
	return id
}

func TestOldRowsGoAndWhatIsStillNeededStays(t *testing.T) {
	t.Parallel()
	for adapter, over := range dbtest.Over {
		t.Run(adapter, func(t *testing.T) {
			t.Parallel()
			db, schema := over(t, name), once.Schema(name)
			for _, statement := range []string{
				`INSERT INTO {webhook_receipts} (provider, message_id, payload_hash, sent_at, received_at)
					SELECT 'far', n::text, '', now(), now() - n * interval '10 days' FROM generate_series(1, 4) AS n`,
				`INSERT INTO {consumer_inbox_any} (consumer, event_id, processed_at) SELECT 'a', n::text, now() - n * interval '10 days' FROM generate_series(1, 4) AS n`,
				`INSERT INTO {dead_letters} (id, consumer, event_id, type, class, reason, attempts, headers, payload, state, first_failed_at, last_failed_at, closed_at)
					SELECT s || n, 'a', s || n, '', '', '', 1, '{}', '', s, now() - interval '400 days', now() - interval '400 days',
					       CASE WHEN s <> 'open' THEN now() - n * interval '60 days' END
					  FROM unnest(ARRAY['open', 'replayed', 'discarded', 'applied']) AS s, generate_series(1, 2) AS n`,
			} {
				dbtest.Exec(t, db, schema.In(statement))
			}
			k, err := retention.New(retention.Config{DB: db, Schema: schema, Windows: windows(), AnyIDs: true, Now: time.Now})
			require.NoError(t, err)
			require.NoError(t, k.RunOnce(t.Context()))
			require.EqualValues(t, []int64{2, 2, 3, 0}, []int64{
				k.Stats().Removed["webhook_receipts"], k.Stats().Removed["consumer_inbox_any"], k.Stats().Removed["dead_letters"], k.Stats().Removed["idempotency_keys"],
			})
			require.Equal(t, 2, dbtest.Int(t, db, schema.In(`SELECT count(*) FROM {dead_letters} WHERE state = 'open'`)), "open letters never expire")
			for _, task := range k.Tasks() {
				require.False(t, k.Stats().Ran[task].IsZero(), "%s never succeeded", task)
			}
		})
	}
}

func TestAnEventThatIsNotPublishedIsTroubleAfterItsTime(t *testing.T) {
	t.Parallel()
	db, schema := dbtest.Pq(t, name), once.Schema(name)
	require.NoError(t, db.InTx(t.Context(), func(tx once.Tx) error {
		return outbox.Table{Schema: schema}.Append(t.Context(), tx, outbox.Event{
			ID: uuid.NewString(), AggregateType: "thing", AggregateID: "a", AggregateVersion: 1, Type: "thing.happened", Payload: []byte(`{}`),
		})
	}))
	k, err := retention.New(retention.Config{DB: db, Schema: schema, Windows: windows(), Now: time.Now})
	require.NoError(t, err)
	open := func() int {
		require.NoError(t, k.RunOnce(t.Context()))
		return dbtest.Int(t, db, schema.In(`SELECT count(*) FROM {troubles} WHERE kind = 'outbox_age' AND ended_at IS NULL`))
	}
	require.Zero(t, open())
	dbtest.Exec(t, db, schema.In(`UPDATE {outbox_events} SET created_at = created_at - interval '61 minutes'`))
	require.Equal(t, 1, open())
	dbtest.Exec(t, db, schema.In(`UPDATE {outbox_events} SET published_at = now()`))
	require.Zero(t, open())
}

func TestWindowsThatAreTooShortAreRefusedByTheProgramsOwnNames(t *testing.T) {
	t.Parallel()
	w := windows()
	w.Inbox, w.Settings = time.Hour, map[string]string{"Inbox": "MY_INBOX"}
	_, err := retention.New(retention.Config{DB: dbtest.OpenPq(t, "postgres://nowhere.invalid/"), Windows: w, Now: time.Now})
	require.ErrorIs(t, err, retention.ErrInboxTooShort)
	require.ErrorContains(t, err, "set MY_INBOX, or a shorter ReplayLimit")
	require.ErrorIs(t, retention.Lint(retention.Defaults()), retention.ErrNoTime, "the retry schedule was not filled in")
}
