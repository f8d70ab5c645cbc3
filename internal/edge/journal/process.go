package journal

import (
	"context"
	"time"

	"payonce/internal/platform/postgres"
)

// Process is one role of the shop and whether it runs.
type Process struct {
	Name      string     `db:"process"`
	Instances int        `db:"instances"`
	BrokerOK  *bool      `db:"broker_ok"`
	BeatAt    *time.Time `db:"beat_at"`
}

// Up says whether at least one instance beats.
func (p Process) Up() bool { return p.Instances > 0 }

// A beat older than three seconds is no beat. The three roles are listed also
// when they never ran.
const processesSQL = `
SELECT role.process,
       count(h.instance) FILTER (WHERE h.beat_at > clock_timestamp() - interval '3 seconds') AS instances,
       bool_or(h.broker_ok) FILTER (WHERE h.beat_at > clock_timestamp() - interval '3 seconds') AS broker_ok,
       max(h.beat_at) AS beat_at
  FROM (VALUES (1, 'api'), (2, 'relay'), (3, 'worker')) AS role (no, process)
  LEFT JOIN heartbeats h ON h.process = role.process
 GROUP BY role.no, role.process
 ORDER BY role.no`

// Processes reads the heartbeats.
func Processes(ctx context.Context, db postgres.Reader) ([]Process, error) {
	var all []Process
	err := db.Select(ctx, &all, processesSQL)
	return all, err
}
