package retention_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/edge/retention"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/outbox"
	keep "payonce/once/retention"
)

func windows() retention.Windows {
	w := retention.Defaults()
	w.Retries = 13 * time.Minute
	return w
}

func keeper(t *testing.T, db *postgres.DB, change ...func(*retention.Config)) *retention.Keeper {
	t.Helper()
	cfg := retention.Config{DB: db, Windows: windows(), Now: time.Now}
	for _, c := range change {
		c(&cfg)
	}
	k, err := retention.New(cfg)
	require.NoError(t, err)
	return k
}

func run(t *testing.T, db *postgres.DB, query string, args ...any) {
	t.Helper()
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	}))
}

func count(t *testing.T, db *postgres.DB, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, query, args...))
	return n
}

// daysAgo names a day, and its partition of a table.
func daysAgo(n int) string { return time.Now().UTC().AddDate(0, 0, -n).Format("20060102") }

// past makes the partitions of the last days.
func past(t *testing.T, db *postgres.DB, table string, days int) {
	t.Helper()
	run(t, db, `SELECT ensure_day_partitions($1, (clock_timestamp() AT TIME ZONE 'UTC')::date - $2::integer, (clock_timestamp() AT TIME ZONE 'UTC')::date)`, table, days)
}

func exists(t *testing.T, db *postgres.DB, partition string) bool {
	t.Helper()
	return count(t, db, `SELECT count(*) FROM pg_class WHERE relname = $1`, partition) == 1
}

// idOf is an event id of the noon, UTC, of a day.
func idOf(days int) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	ms := time.Now().UTC().AddDate(0, 0, -days).Truncate(24 * time.Hour).Add(12 * time.Hour).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id
}

func captured(id uuid.UUID) outbox.Event {
	return outbox.Event{ID: id.String(), AggregateType: "payment", AggregateID: uuid.NewString(), AggregateVersion: 1,
		Type: "payment.captured", Payload: []byte(`{"schema":1, "odd  spacing":"kept"}`)}
}

func write(t *testing.T, db *postgres.DB, events ...outbox.Event) {
	t.Helper()
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error { return patterns.Append(t.Context(), tx, events...) }))
}

func published(t *testing.T, db *postgres.DB) {
	t.Helper()
	run(t, db, `UPDATE outbox_events SET published_at = clock_timestamp() WHERE published_at IS NULL`)
}

func TestDaysAreDroppedWhenTheirWindowIsOverAndNotOneDaySooner(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	past(t, db, "outbox_events", 12)
	past(t, db, "consumer_inbox", 34)
	write(t, db, captured(idOf(9)))
	published(t, db)
	k := keeper(t, db)
	require.NoError(t, k.RunOnce(t.Context()))
	// The day of 7 days ago ended less than 7 days ago.
	for n := range 13 {
		require.Equal(t, n <= 7, exists(t, db, "outbox_events_"+daysAgo(n)), "the outbox's day %d", n)
	}
	for n := range 35 {
		require.Equal(t, n <= 30, exists(t, db, "consumer_inbox_"+daysAgo(n)), "the inbox's day %d", n)
	}
	s := k.Stats()
	require.EqualValues(t, 5, s.Removed["outbox_events"])
	require.EqualValues(t, 4, s.Removed["consumer_inbox"])
	require.GreaterOrEqual(t, s.DaysLeft, int64(retention.Ahead))
	for _, task := range k.Tasks() {
		require.False(t, s.Ran[task].IsZero(), "%s never succeeded", task)
	}
}

func TestADayWithAnUnpublishedEventStaysAndAlarmsUntilItIsPublished(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	past(t, db, "outbox_events", 10)
	write(t, db, captured(idOf(9)))
	published(t, db)
	write(t, db, captured(idOf(9)))
	k := keeper(t, db)
	open := `SELECT count(*) FROM alerts WHERE kind = 'partition_kept' AND state = 'open' AND subject = $1`
	part := "outbox_events_" + daysAgo(9)
	for range 2 {
		require.NoError(t, k.RunOnce(t.Context()))
		require.True(t, exists(t, db, part))
		require.False(t, exists(t, db, "outbox_events_"+daysAgo(10)), "the day before it is not held up")
		require.Equal(t, 1, count(t, db, open, part), "said once")
	}
	require.EqualValues(t, 2, k.Stats().Kept)
	published(t, db)
	require.NoError(t, k.RunOnce(t.Context()))
	require.False(t, exists(t, db, part))
	require.Zero(t, count(t, db, open, part))
}

// The look without a lock only spares work: what counts is the one under it.
func TestAnEventThatIsWrittenBetweenTheLookAndTheLockKeepsItsDay(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	past(t, db, "outbox_events", 9)
	write(t, db, captured(idOf(9)))
	var fate string
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		return tx.Get(t.Context(), &fate, `SELECT drop_day_partition('outbox_events', $1)`, "outbox_events_"+daysAgo(9))
	}))
	require.Equal(t, "kept", fate)
	require.True(t, exists(t, db, "outbox_events_"+daysAgo(9)))
}

func TestDroppingWhileEventsAreWrittenFailsNobody(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	past(t, db, "outbox_events", 30)
	past(t, db, "consumer_inbox", 60)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	errs := make(chan error, 4)
	for range 4 {
		writers.Go(func() {
			for ctx.Err() == nil {
				e := captured(uuid.Must(uuid.NewV7()))
				// As a capture and a consumer do, with the limits of their roles.
				if err := postgres.InTx(context.Background(), db, func(tx postgres.Tx) error {
					if _, err := tx.Exec(context.Background(), `SELECT set_config('lock_timeout', '2s', true)`); err != nil {
						return err
					}
					if err := patterns.Append(context.Background(), tx, e); err != nil {
						return err
					}
					_, err := patterns.Inbox.Admit(context.Background(), tx, "ledger", []string{e.ID})
					return err
				}); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	// Three workers at once; a day that was in use is left to the next run.
	gone := func() bool {
		return !exists(t, db, "outbox_events_"+daysAgo(8)) && !exists(t, db, "consumer_inbox_"+daysAgo(31))
	}
	deadline := time.Now().Add(60 * time.Second)
	for !gone() && time.Now().Before(deadline) {
		var workers sync.WaitGroup
		for range 3 {
			k := keeper(t, db)
			workers.Go(func() {
				if err := k.RunOnce(context.Background()); err != nil {
					errs <- err
				}
			})
		}
		workers.Wait()
	}
	stop()
	writers.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.True(t, gone(), "every day that is over is dropped")
}

func TestADayThatIsInUseIsLeftAndALongOverdueOneAlarms(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	past(t, db, "outbox_events", 8)
	held, release := make(chan struct{}), make(chan struct{})
	reader := make(chan error, 1)
	go func() {
		reader <- postgres.InTx(context.Background(), db, func(tx postgres.Tx) error {
			_, err := tx.Exec(context.Background(), `SELECT count(*), set_config('idle_in_transaction_session_timeout', '0', true) FROM outbox_events`)
			close(held)
			<-release
			return err
		})
	}()
	<-held
	k := keeper(t, db)
	require.NoError(t, k.RunOnce(t.Context()))
	require.True(t, exists(t, db, "outbox_events_"+daysAgo(8)), "it gave way")
	alerts := `SELECT count(*) FROM alerts WHERE kind = 'partition_kept' AND state = 'open'`
	require.Zero(t, count(t, db, alerts), "the next hour may be quieter")
	// With a shorter window the same day is overdue for more than a day.
	late := keeper(t, db, func(c *retention.Config) { c.Windows.Outbox = 2 * 24 * time.Hour })
	require.NoError(t, late.RunOnce(t.Context()))
	require.Positive(t, count(t, db, alerts))
	close(release)
	require.NoError(t, <-reader)
	require.NoError(t, late.RunOnce(t.Context()))
	require.Zero(t, count(t, db, alerts))
	require.False(t, exists(t, db, "outbox_events_"+daysAgo(8)))
}

func TestAnEventThatNobodyPublishesAlarmsAfterItsTime(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	write(t, db, captured(uuid.Must(uuid.NewV7())))
	k := keeper(t, db)
	open := `SELECT count(*) FROM alerts WHERE kind = 'outbox_age' AND state = 'open'`
	require.NoError(t, k.RunOnce(t.Context()))
	require.Zero(t, count(t, db, open))
	run(t, db, `UPDATE outbox_events SET created_at = created_at - interval '61 minutes'`)
	require.NoError(t, k.RunOnce(t.Context()))
	require.Equal(t, 1, count(t, db, open))
	published(t, db)
	require.NoError(t, k.RunOnce(t.Context()))
	require.Zero(t, count(t, db, open))
}

func TestOldRowsGoAThousandAtATimeAndWhatIsStillNeededStays(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	merchant, payment := uuid.New(), uuid.New()
	run(t, db, `INSERT INTO merchants (id, api_key_hash) VALUES ($1, 'x')`, merchant)
	run(t, db, `INSERT INTO orders (id, merchant_id, request_key, status, email, amount_minor, currency, items) VALUES ($1, $1, 'k', 'paid', 'a@example.org', 1, 'EUR', '[]')`, merchant)
	run(t, db, `INSERT INTO payments (id, merchant_id, order_id, status, amount_minor, currency) VALUES ($1, $2, $2, 'in_doubt', 1, 'EUR')`, payment, merchant)
	run(t, db, `INSERT INTO payment_attempts (payment_id, attempt_no, merchant_id, provider_key, amount_minor, currency, opened_by, holder, status)
		VALUES ($1, 1, $2, 'p', 1, 'EUR', 'k', $2, 'in_doubt')`, payment, merchant)
	const key = `INSERT INTO idempotency_keys (merchant_id, key, operation, request_hash, field_macs, status, claim_token, subject_id, subject_no,
		response_status, response_headers, response_body, expires_at)
		SELECT $1::uuid, $2 || n, 'capture', '', '{}', $3, $1::uuid, $4::uuid, 1, 200, '', '', clock_timestamp() + $5::interval FROM generate_series(1, $6::integer) AS n`
	run(t, db, key, merchant, "old", "completed", nil, "-1 second", 2500)
	run(t, db, key, merchant, "young", "completed", nil, "1 hour", 3)
	run(t, db, key, merchant, "doubt", "running", payment, "-1 second", 1)
	run(t, db, `INSERT INTO webhook_receipts (provider, message_id, payload_hash, sent_at, received_at)
		SELECT 'sim', n::text, '', clock_timestamp(), clock_timestamp() - n * interval '10 days' FROM generate_series(1, 4) AS n`)
	run(t, db, `INSERT INTO attempts (id, merchant_id, operation, idempotency_key, fate, status_code, latency_us, trace_id, at)
		SELECT overlay(uuid_v7_floor(clock_timestamp() - n * interval '10 days')::text placing lpad(n::text, 12, '0') from 25)::uuid,
		$1::uuid, 'capture', 'k', 'executed', 200, 1, '', clock_timestamp() FROM generate_series(1, 4) AS n`, merchant)
	run(t, db, `INSERT INTO dead_letters (id, consumer, event_id, type, class, reason, attempts, headers, payload, state, first_failed_at, last_failed_at, closed_at)
		SELECT gen_random_uuid(), 'ledger', s || n, '', '', '', 1, '{}', '', s, clock_timestamp() - interval '400 days', clock_timestamp() - interval '400 days',
		       CASE WHEN s <> 'open' THEN clock_timestamp() - n * interval '60 days' END
		  FROM unnest(ARRAY['open', 'replayed', 'discarded', 'applied']) AS s, generate_series(1, 2) AS n`)
	run(t, db, `INSERT INTO recordings (payment_id, merchant_id, body, recorded_at, expires_at)
		SELECT id, merchant_id, '{}', clock_timestamp() - interval '30 days', clock_timestamp() + CASE WHEN id = $1 THEN '-1 second' ELSE '1 hour' END::interval
		  FROM payments`, payment)

	run(t, db, `INSERT INTO merchants (id, api_key_hash, session_hash, created_at)
		SELECT gen_random_uuid(), k::bytea, s::bytea, clock_timestamp() - age::interval
		  FROM (VALUES ('empty', 'e', '25 hours'), ('young', 'y', '23 hours'), ('revoked', 'revoked', '25 hours')) AS v (k, s, age)`)

	k := keeper(t, db)
	require.NoError(t, k.RunOnce(t.Context()))
	require.EqualValues(t, map[string]int64{"idempotency_keys": 2500, "webhook_receipts": 2, "attempts": 2, "dead_letters": 3, "recordings": 1, "merchants": 1}, k.Stats().Removed)
	require.Subset(t, k.Tables(), slices.Collect(maps.Keys(k.Stats().Removed)), "each is in the metrics")
	require.Equal(t, 4, count(t, db, `SELECT count(*) FROM idempotency_keys WHERE key LIKE 'young%' OR key LIKE 'doubt%'`))
	require.Zero(t, count(t, db, `SELECT count(*) FROM merchants WHERE api_key_hash = 'empty'`))
	require.Equal(t, 2, count(t, db, `SELECT count(*) FROM dead_letters WHERE state = 'open'`), "open letters never expire")
	require.Equal(t, 3, count(t, db, `SELECT count(*) FROM dead_letters WHERE state <> 'open'`))
}

func TestOfSeveralWorkersOneHasTheTurnAndARowInUseIsLeft(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	run(t, db, `INSERT INTO webhook_receipts (provider, message_id, payload_hash, sent_at, received_at)
		SELECT 'sim', n::text, '', clock_timestamp(), clock_timestamp() - interval '40 days' FROM generate_series(1, 100) AS n`)
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		var n int
		if err := tx.Get(t.Context(), &n, `SELECT count(*) FROM (SELECT FROM webhook_receipts WHERE message_id = '7' FOR UPDATE) AS held`); err != nil {
			return err
		}
		var all sync.WaitGroup
		errs := make(chan error, 4)
		for range 4 {
			k := keeper(t, db)
			all.Go(func() { errs <- k.RunOnce(context.Background()) })
		}
		all.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				return err
			}
		}
		return nil
	}))
	require.Equal(t, 1, count(t, db, `SELECT count(*) FROM webhook_receipts`))
	require.NoError(t, keeper(t, db).RunOnce(t.Context()))
	require.Zero(t, count(t, db, `SELECT count(*) FROM webhook_receipts`))
}

func TestAKeeperRefusesWindowsThatAreTooShort(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	short := windows()
	short.Inbox = 24 * time.Hour
	_, err := retention.New(retention.Config{DB: db, Windows: short, Now: time.Now})
	require.ErrorIs(t, err, keep.ErrInboxTooShort)
	_, err = retention.New(retention.Config{DB: db, Windows: windows(), Now: time.Now, ArchiveDir: fmt.Sprintf("%s/none", t.TempDir())})
	require.ErrorContains(t, err, "PAYONCE_ARCHIVE_DIR")
}
