package journal

import (
	"context"
	"time"
)

// Process is one role of the shop, or a part that it stands on, and whether it
// runs.
type Process struct {
	Name      string     `db:"process"`
	Instances int        `db:"instances"`
	BrokerOK  *bool      `db:"broker_ok"`
	BeatAt    *time.Time `db:"beat_at"`
}

// Up says whether at least one instance beats.
func (p Process) Up() bool { return p.Instances > 0 }

// Neighbour is a part that writes no heartbeat and has to be asked.
type Neighbour struct {
	Name string
	Up   func(ctx context.Context) bool
}

// A beat older than three seconds is no beat. The three roles are listed also
// when they never ran. The broker is known by those who talk to it: it is away
// when all of them say so, and not spoken of when none of them beats.
const processesSQL = `
WITH live AS (
  SELECT process, broker_ok, beat_at FROM heartbeats WHERE beat_at > clock_timestamp() - interval '3 seconds'
), parts AS (
  SELECT role.no, role.process, (SELECT count(*) FROM live l WHERE l.process = role.process) AS instances,
         (SELECT bool_or(l.broker_ok) FROM live l WHERE l.process = role.process) AS broker_ok,
         (SELECT max(h.beat_at) FROM heartbeats h WHERE h.process = role.process) AS beat_at
    FROM (VALUES (1, 'api'), (2, 'relay'), (3, 'worker')) AS role (no, process)
  UNION ALL
  SELECT 4, 'rabbitmq', bool_or(broker_ok)::int, NULL, max(beat_at) FILTER (WHERE broker_ok)
    FROM live WHERE broker_ok IS NOT NULL HAVING count(*) > 0
)
SELECT process, instances, broker_ok, beat_at FROM parts ORDER BY no`

// Processes reads the heartbeats, and asks the neighbours.
func (t *Tail) Processes(ctx context.Context) ([]Process, error) {
	var all []Process
	if err := t.opts.DB.Select(ctx, &all, processesSQL); err != nil {
		return nil, err
	}
	for _, n := range t.opts.Neighbours {
		one := Process{Name: n.Name}
		if n.Up(ctx) {
			one.Instances = 1
		}
		all = append(all, one)
	}
	return all, nil
}
