//go:build lab

package retention_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/internal/edge/retention"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/fault"
	"payonce/internal/platform/postgres"
)

// asKeeper makes this test binary a keeper that runs once, so that it can be
// killed at a point.
const asKeeper = "PAYONCE_TEST_AS_KEEPER"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(asKeeper); dsn != "" {
		keepOnce(dsn)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func keepOnce(dsn string) {
	die := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	die(fault.FromEnv(os.Getenv("PAYONCE_FAULTS")))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := postgres.Open(ctx, postgres.Config{DSN: dsn})
	die(err)
	cfg := retention.Config{DB: db, Windows: windows(), Now: time.Now}
	archiving(os.Getenv("PAYONCE_ARCHIVE_DIR"))(&cfg)
	k, err := retention.New(cfg)
	die(err)
	die(k.RunOnce(ctx))
}

func TestAKeeperKilledInTheMiddleOfAnArchiveLeavesNoFileThatCountsAndTheNextOneFinishes(t *testing.T) {
	t.Parallel()
	dsn, dir := devtest.DSN(t), t.TempDir()
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	past(t, db, "outbox_events", 9)
	want := aDay(t, db, 9, 1200)
	part := "outbox_events_" + daysAgo(9)

	for _, point := range []string{"retention.after_fetch:kill:1", "retention.after_fetch:kill:2"} {
		keeps(t, dsn, dir, point, false)
		whole, err := filepath.Glob(filepath.Join(dir, "*.jsonl.gz"))
		require.NoError(t, err)
		require.Empty(t, whole, "killed at %s", point)
		require.True(t, exists(t, db, part), "the day stays until it is archived")
	}
	keeps(t, dsn, dir, "retention.after_commit:kill", false)
	require.False(t, exists(t, db, part), "killed after the drop: it is durable")
	require.Equal(t, want, read(t, filepath.Join(dir, part+".jsonl.gz")))
	keeps(t, dsn, dir, "", true)
}

func keeps(t *testing.T, dsn, dir, faults string, survives bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asKeeper+"="+dsn, "PAYONCE_ARCHIVE_DIR="+dir, "PAYONCE_FAULTS="+faults)
	out, err := cmd.CombinedOutput()
	if survives {
		require.NoError(t, err, "%s", out)
		return
	}
	require.Error(t, err)
	require.Contains(t, err.Error(), "killed", "%s", out)
}
