package retention_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/retention"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	keep "payonce/once/retention"
)

func drop(t *testing.T, db *postgres.DB, partition string) {
	t.Helper()
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), "DROP TABLE "+partition)
		return err
	}))
}

func TestThirtyDaysOfPartitionsAreInStockAndMadeAgainWhenMissing(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	require.NoError(t, retention.MakeAhead(t.Context(), db))
	days, err := retention.DaysLeft(t.Context(), db)
	require.NoError(t, err)
	require.GreaterOrEqual(t, days, retention.Ahead)

	last := time.Now().UTC().AddDate(0, 0, days).Format("20060102")
	drop(t, db, "consumer_inbox_"+last)
	fewer, err := retention.DaysLeft(t.Context(), db)
	require.NoError(t, err)
	require.Equal(t, days-1, fewer, "the table with the fewest days decides")

	errs := make(chan error, 4)
	for range 4 {
		go func() { errs <- retention.MakeAhead(t.Context(), db) }()
	}
	for range 4 {
		require.NoError(t, <-errs, "processes that make them at once take turns")
	}
	days, err = retention.DaysLeft(t.Context(), db)
	require.NoError(t, err)
	require.GreaterOrEqual(t, days, retention.Ahead)
}

func TestTheDefaultWindowsFitAndEachShortOneIsNamed(t *testing.T) {
	t.Parallel()
	w := retention.Defaults()
	w.Retries = 13 * time.Minute
	require.NoError(t, retention.Lint(w))
	for name, bad := range map[string]struct {
		is      error
		shorten func(*retention.Windows)
	}{
		"idempotency keys":                 {keep.ErrKeysTooShort, func(w *retention.Windows) { w.Keys = keep.KeyHorizon - 1 }},
		"the inbox under the way back":     {keep.ErrInboxTooShort, func(w *retention.Windows) { w.ReplayLimit = 30 * 24 * time.Hour }},
		"the inbox under the outbox":       {keep.ErrInboxTooShort, func(w *retention.Windows) { w.Outbox = w.Inbox + 1 }},
		"published events under the retry": {keep.ErrOutboxTooShort, func(w *retention.Windows) { w.Outbox = 24 * time.Hour }},
		"receipts under the schedule":      {keep.ErrReceiptsTooShort, func(w *retention.Windows) { w.Receipts = keep.WebhookSchedule }},
		"closed letters under the replay":  {keep.ErrLettersTooShort, func(w *retention.Windows) { w.Letters = w.ReplayLimit }},
		"attempts under the keys":          {retention.ErrAttemptsTooShort, func(w *retention.Windows) { w.Attempts = w.Keys - 1 }},
	} {
		short := w
		bad.shorten(&short)
		require.ErrorIs(t, retention.Lint(short), bad.is, name)
		require.ErrorContains(t, retention.Lint(short), "must be at least", name)
	}
	require.ErrorIs(t, retention.Lint(retention.Windows{Windows: keep.Windows{Retries: 1}}), keep.ErrOutboxTooShort, "and all are named at once")
	require.ErrorIs(t, retention.Lint(retention.Windows{Windows: keep.Windows{Retries: 1}}), keep.ErrKeysTooShort)
	require.ErrorIs(t, retention.Lint(retention.Windows{}), keep.ErrNoTime)
}

func TestAGapInTheStockEndsItAndWithoutTodaysPartitionNoDayIsLeft(t *testing.T) {
	t.Parallel()
	db := devtest.Postgres(t)
	for away, want := range []int{-1, 0, 1} {
		require.NoError(t, retention.MakeAhead(t.Context(), db))
		drop(t, db, "outbox_events_"+time.Now().UTC().AddDate(0, 0, away).Format("20060102"))
		days, err := retention.DaysLeft(t.Context(), db)
		require.NoError(t, err)
		require.Equal(t, want, days)
	}
}
