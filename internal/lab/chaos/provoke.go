package chaos

import (
	"context"
	"strings"
	"syscall"
	"time"

	"payonce/internal/platform/postgres"
)

// agedSQL makes three partitions of long ago, empty ones that retention may
// drop: without something that is over nobody passes its crash points.
const agedSQL = `SELECT ensure_day_partitions('outbox_events', current_date - (60 + 3 * $1::integer), current_date - (58 + 3 * $1::integer))`

// provoke makes the work that leads to a point which no buyer's request passes.
func (d *director) provoke(ctx context.Context, point string) error {
	switch part, _, _ := strings.Cut(point, "."); part {
	case "letters":
		_, err := d.tap.poisonous(ctx) // whose letters the collectors share
		return err
	case "recovery": // whoever asks again finds an attempt in doubt
		return d.behave(ctx, `{"outage":"hang","for_ms":1000}`)
	case "retention":
	default:
		return nil
	}
	d.mu.Lock()
	d.aged++
	n := d.aged
	d.mu.Unlock()
	return postgres.InTx(ctx, d.db, func(tx postgres.Tx) error {
		var made int
		return tx.Get(ctx, &made, agedSQL, n)
	})
}

// nudge leads programs to the points that they do not come to by themselves: a
// collector needs a letter; retention runs when a worker starts, and then not
// for an hour. A life that is young is left alone: killed at each nudge, a
// program would come to none of the points that it carries.
func (d *director) nudge(ctx context.Context) error {
	for _, name := range d.order {
		p := d.programs[name]
		again := false
		for _, a := range p.easier() {
			if err := d.provoke(ctx, a.Point); err != nil {
				return err
			}
			again = again || strings.HasPrefix(a.Point, "retention.")
		}
		if again && p.age() > youth {
			if err := p.Signal(syscall.SIGKILL); err != nil {
				return err
			}
		}
	}
	return nil
}

// youth is how long a life may take to come to what it does at its start.
const youth = 10 * time.Second
