package journal

import (
	"context"
	"time"
)

// Process is one role of the shop, or a part that it stands on, and whether it
// runs.
type Process struct {
	Name      string
	Instances int
	BrokerOK  *bool
	BeatAt    *time.Time
	// alive are the beats of its instances, by their names.
	alive map[string]beats
}

// beats are the first and the last beat of an instance.
type beats struct{ first, last time.Time }

// Up says whether at least one instance beats.
func (p Process) Up() bool { return p.Instances > 0 }

// Neighbour is a part that writes no heartbeat and has to be asked.
type Neighbour struct {
	Name string
	Up   func(ctx context.Context) bool
}

// interrupted says whether between two looks there was a time without a living
// instance: all that beat now began after the last one that is gone had ended. A
// process that is started again at once is never seen as down otherwise, because
// its predecessor's last beat counts for three seconds.
func (p Process) interrupted(before Process) bool {
	if !p.Up() || !before.Up() {
		return false
	}
	var ended time.Time
	for instance, b := range before.alive {
		if _, alive := p.alive[instance]; !alive && b.last.After(ended) {
			ended = b.last
		}
	}
	for _, b := range p.alive {
		if !b.first.After(ended) {
			return false
		}
	}
	return !ended.IsZero()
}

// A beat older than three seconds is no beat; the last one of each role is kept.
const heartbeatsSQL = `
SELECT process, instance, broker_ok, started_at, beat_at, beat_at > clock_timestamp() - interval '3 seconds' AS alive
  FROM heartbeats ORDER BY beat_at`

// Processes reads the heartbeats, and asks the neighbours. The three roles are
// listed also when they never ran. The broker is known by those who talk to it: it
// is away when all of them say so, and not spoken of when none of them beats.
func (t *Tail) Processes(ctx context.Context) ([]Process, error) {
	var rows []struct {
		Process, Instance string
		BrokerOK          *bool     `db:"broker_ok"`
		StartedAt         time.Time `db:"started_at"`
		BeatAt            time.Time `db:"beat_at"`
		Alive             bool
	}
	if err := t.opts.DB.Select(ctx, &rows, heartbeatsSQL); err != nil {
		return nil, err
	}
	all := []Process{{Name: "api"}, {Name: "relay"}, {Name: "worker"}}
	broker := Process{Name: "rabbitmq"}
	for _, row := range rows {
		for i := range all {
			if p := &all[i]; p.Name == row.Process {
				p.BeatAt = &row.BeatAt
				if row.Alive {
					p.join(row.Instance, beats{first: row.StartedAt, last: row.BeatAt}, row.BrokerOK)
				}
			}
		}
		if row.Alive && row.BrokerOK != nil {
			broker.BrokerOK = either(broker.BrokerOK, row.BrokerOK)
			if *row.BrokerOK {
				broker.Instances, broker.BeatAt = 1, &row.BeatAt
			}
		}
	}
	if broker.BrokerOK != nil {
		all = append(all, broker)
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

func (p *Process) join(instance string, b beats, brokerOK *bool) {
	if p.alive == nil {
		p.alive = map[string]beats{}
	}
	p.alive[instance] = b
	p.Instances++
	p.BrokerOK = either(p.BrokerOK, brokerOK)
}

// either is true when one of those that know says so.
func either(a, b *bool) *bool {
	if a == nil || b != nil && *b {
		return b
	}
	return a
}
