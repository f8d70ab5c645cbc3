package outbox

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"payonce/once"
)

// Backlog is what waits in the outbox, whichever relay owns it.
type Backlog struct {
	Unpublished int64         // counted up to [MostCounted]
	Oldest      time.Duration // the age of the oldest of them; 0 when there is none
}

// MostCounted bounds what a look at the backlog costs: beyond it the exact
// number is no news.
const MostCounted = 100_000

// BacklogGauge looks at the backlog now and then, so that a scrape never
// waits for the database. A relay that publishes nothing says so here: its
// counters merely stand still.
type BacklogGauge struct {
	DB    once.DB
	Table Table
	Log   *slog.Logger  // nil means silence
	Every time.Duration // 0 means 2 s

	latest atomic.Pointer[Backlog]
}

// Latest is what the last look saw; the zero backlog before the first.
func (g *BacklogGauge) Latest() Backlog {
	if b := g.latest.Load(); b != nil {
		return *b
	}
	return Backlog{}
}

// Run looks until ctx ends. While the database is away the latest look stands.
func (g *BacklogGauge) Run(ctx context.Context) error {
	log := g.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	every := g.Every
	if every == 0 {
		every = 2 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := g.look(ctx, every); err != nil && ctx.Err() == nil {
			log.Debug("the backlog was not looked at", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// The oldest is the first of some partition by seq, which the index has ready.
// Ages are the database's clock minus the database's clock.
const backlogSQL = `
SELECT (SELECT count(*) FROM (SELECT FROM {outbox_events} WHERE published_at IS NULL LIMIT @most) AS counted) AS unpublished,
  coalesce((
    SELECT extract(epoch FROM clock_timestamp() - min(first.created_at))
    FROM generate_series(0, @partitions - 1) AS p
    CROSS JOIN LATERAL (
      SELECT created_at FROM {outbox_events} WHERE published_at IS NULL AND partition_no = p ORDER BY seq LIMIT 1
    ) AS first), 0)::float8 AS seconds`

func (g *BacklogGauge) look(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var seen Backlog
	var seconds float64
	rows, err := g.Table.in(backlogSQL).Read(ctx, g.DB, once.Args{"partitions": partitions, "most": MostCounted})
	if _, err := once.One(rows, err, &seen.Unpublished, &seconds); err != nil {
		return err
	}
	seen.Oldest = time.Duration(seconds * float64(time.Second))
	g.latest.Store(&seen)
	return nil
}
