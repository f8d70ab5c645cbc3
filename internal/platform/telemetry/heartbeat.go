package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"payonce/internal/platform/postgres"
)

// The second run of a beat writes the same row again: a later time, nothing
// else. Both times are the database's, so that one instance's first beat and
// another's last can be compared. Rows of processes that died are swept by whoever beats next.
var beat = postgres.Guarded("telemetry.beat", `
WITH swept AS (
  DELETE FROM heartbeats WHERE beat_at < clock_timestamp() - interval '1 minute'
)
INSERT INTO heartbeats (process, instance, pid, broker_ok, started_at, beat_at)
VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
ON CONFLICT (process, instance) DO UPDATE
  SET pid = excluded.pid, broker_ok = excluded.broker_ok, beat_at = excluded.beat_at`)

// Leaving the row behind would show a process that ended well as one that died.
var lastBeat = postgres.Guarded("telemetry.last_beat", `DELETE FROM heartbeats WHERE process = $1 AND instance = $2`)

// Heartbeat tells the database every second that a process lives.
type Heartbeat struct {
	DB      *postgres.DB
	Process string
	// Instance tells the processes of one role apart; empty means host/pid.
	Instance string
	// BrokerOK says whether the broker is reachable; nil for processes that
	// do not talk to it.
	BrokerOK func() bool
	Log      *slog.Logger
	Every    time.Duration // 0 means one second
}

// Run beats until ctx ends, then takes its row away. A database that is away is
// not an error here: the missing beats say so.
func (h Heartbeat) Run(ctx context.Context) error {
	if h.Every == 0 {
		h.Every = time.Second
	}
	if h.Instance == "" {
		h.Instance = hostAndPid()
	}
	tick := time.NewTicker(h.Every)
	defer tick.Stop()
	for {
		var brokerOK *bool
		if h.BrokerOK != nil {
			ok := h.BrokerOK()
			brokerOK = &ok
		}
		if _, err := beat.Exec(ctx, h.DB, h.Process, h.Instance, os.Getpid(), brokerOK); err != nil && ctx.Err() == nil {
			h.Log.Debug("heartbeat not written", "error", err)
		}
		select {
		case <-ctx.Done():
			bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_, _ = lastBeat.Exec(bye, h.DB, h.Process, h.Instance)
			return nil
		case <-tick.C:
		}
	}
}

func hostAndPid() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}
