package retention_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/edge/retention"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/outbox"
)

func archiving(dir string) func(*retention.Config) {
	return func(c *retention.Config) { c.ArchiveDir, c.ArchiveTypes = dir, []string{"payment.captured"} }
}

// read returns the ids and payloads of an archive.
func read(t *testing.T, path string) map[uuid.UUID]string {
	t.Helper()
	found := map[uuid.UUID]string{}
	require.NoError(t, retention.ReadArchive(path, func(_ []byte, e retention.Archived) error {
		found[e.EventID] = string(e.Payload)
		return nil
	}))
	return found
}

// aDay writes a day of captures, over a page long, and what else a day holds.
func aDay(t *testing.T, db *postgres.DB, days, captures int) map[uuid.UUID]string {
	t.Helper()
	want := map[uuid.UUID]string{}
	var events []outbox.Event
	for range captures {
		e := captured(idOf(days))
		want[patterns.ID(e.ID)] = string(e.Payload)
		events = append(events, e)
	}
	declined := captured(idOf(days))
	declined.Type = "payment.declined"
	write(t, db, append(events, declined)...)
	published(t, db)
	return want
}

func TestADaysSourceEventsAreInAnArchiveBeforeTheDayIsDropped(t *testing.T) {
	t.Parallel()
	db, dir := devtest.Postgres(t), t.TempDir()
	past(t, db, "outbox_events", 9)
	want := aDay(t, db, 9, 1200)
	k := keeper(t, db, archiving(dir))
	require.NoError(t, k.RunOnce(t.Context()))
	require.False(t, exists(t, db, "outbox_events_"+daysAgo(9)))
	require.Equal(t, want, read(t, filepath.Join(dir, "outbox_events_"+daysAgo(9)+".jsonl.gz")), "every event, its payload byte for byte")
	require.EqualValues(t, 1200, k.Stats().ArchivedRows)
	partial, err := filepath.Glob(filepath.Join(dir, "*.partial"))
	require.NoError(t, err)
	require.Empty(t, partial)
}

func TestWithoutAFolderNothingIsArchivedAndAFolderThatFailsKeepsTheDay(t *testing.T) {
	t.Parallel()
	db, dir := devtest.Postgres(t), filepath.Join(t.TempDir(), "archive")
	past(t, db, "outbox_events", 9)
	aDay(t, db, 9, 1)
	require.NoError(t, os.Mkdir(dir, 0o700))
	k := keeper(t, db, archiving(dir))
	require.NoError(t, os.Remove(dir))
	require.Error(t, k.RunOnce(t.Context()))
	require.True(t, exists(t, db, "outbox_events_"+daysAgo(9)))
	require.NoError(t, keeper(t, db).RunOnce(t.Context()))
	require.False(t, exists(t, db, "outbox_events_"+daysAgo(9)))
}

func TestAnArchiveThatIsCutShortDoesNotReadAsAWholeOne(t *testing.T) {
	t.Parallel()
	db, dir := devtest.Postgres(t), t.TempDir()
	past(t, db, "outbox_events", 9)
	aDay(t, db, 9, 500)
	require.NoError(t, keeper(t, db, archiving(dir)).RunOnce(t.Context()))
	path := filepath.Join(dir, "outbox_events_"+daysAgo(9)+".jsonl.gz")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, size := range []int{len(whole) - 1, len(whole) / 2, 12, 0} {
		cut := filepath.Join(dir, "cut.jsonl.gz")
		require.NoError(t, os.WriteFile(cut, whole[:size], 0o600))
		require.Error(t, retention.ReadArchive(cut, func([]byte, retention.Archived) error { return nil }), "%d of %d bytes", size, len(whole))
	}
}
