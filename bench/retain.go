package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"payonce/internal/edge/retention"
	"payonce/internal/lab/devstack"
	"payonce/internal/platform/postgres"
)

// retainLine compares the two ways in which old events go, while captures go on.
func retainLine(h *house) line {
	r := &retains{captures: captures{house: h, clients: 4}}
	return line{
		Name: "retention", Title: fmt.Sprintf("A day of %s events goes, captures go on", thousands(oldEvents)), Unit: "milliseconds", Half: 2,
		Shown: figure("ms"),
		Notes: []string{
			"The same rows in the same partition. drop is the worker's keeper, which drops the day; delete removes its rows, five thousand a statement.",
			"The log is that of these statements alone. Four clients capture meanwhile, each again as soon as it is answered; the longest of their captures is noted.",
		},
		Contenders: []contender{
			{Name: "drop", Title: "the partition is dropped", Slice: r.over(r.drop)},
			{Name: "delete", Title: "DELETE in batches of 5,000", Slice: r.over(r.delete)},
		},
		Ratios: []ratio{
			{Of: "drop", To: "delete", Target: 0.1, AtMost: true},
			{Of: "drop", To: "delete", What: "bytes of log", Target: 0.01, AtMost: true, Value: figure("MiB of log")},
		},
		Limits: []limit{{Of: "drop", What: "ms of the longest capture meanwhile", Most: 50, Value: figure("longest capture ms")}},
		Open:   r.open,
	}
}

// oldEvents is how many a day has that is over, and oldDays how long it is over.
const oldEvents, oldDays = 600_000, 20

type retains struct {
	captures
	keeper *retention.Keeper
	shop   *postgres.DB
}

func (r *retains) open(ctx context.Context) (end func() error, err error) {
	endCaptures, err := r.captures.open(ctx)
	if err != nil {
		return endCaptures, err
	}
	if r.shop, err = postgres.Open(ctx, postgres.Config{DSN: r.stack.ProgramDSN(devstack.MainDatabase), PoolSize: 4, AppName: "bench"}); err != nil {
		return endCaptures, errors.Join(err, endCaptures())
	}
	end = func() error { return errors.Join(r.shop.Close(), endCaptures()) }
	windows := retention.Defaults()
	windows.Retries = time.Hour
	if r.keeper, err = retention.New(retention.Config{DB: r.shop, Windows: windows, Now: time.Now}); err != nil {
		return end, errors.Join(err, end())
	}
	return end, r.keeper.RunOnce(ctx)
}

// oldSQL makes the events of a day that is over: a UUIDv7 begins with its time.
const oldSQL = `
INSERT INTO outbox_events (row_id, event_id, aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, created_at, published_at)
SELECT id, id, 'payment', gen_random_uuid(), 1, 'payment.captured', decode(repeat('00', 300), 'hex'), g % 16, day, day
  FROM (SELECT g, day, (left(uuid_v7_floor(day + g * interval '100 milliseconds')::text, 13) || right(gen_random_uuid()::text, 23))::uuid AS id
          FROM generate_series(1, $1::bigint) AS g, (SELECT date_trunc('day', now() - $2 * interval '1 day', 'UTC') AS day) AS d) AS e`

// over measures one way of removing the day, with captures beside it.
func (r *retains) over(remove func(ctx context.Context, part string) error) func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) error {
		var part string
		err := r.db.QueryRowContext(ctx, `
SELECT 'outbox_events_' || to_char(day, 'YYYYMMDD') FROM (SELECT (now() AT TIME ZONE 'UTC')::date - $1::int AS day) AS d, ensure_day_partitions('outbox_events', day, day)`, oldDays).Scan(&part)
		if err != nil {
			return err
		}
		if _, err := r.db.ExecContext(ctx, oldSQL, oldEvents, oldDays); err != nil {
			return fmt.Errorf("make a day that is over: %w", err)
		}
		for _, statement := range []string{
			`CREATE EXTENSION IF NOT EXISTS pg_stat_statements`, `VACUUM ANALYZE outbox_events`, `CHECKPOINT`, `SELECT pg_stat_statements_reset()`,
		} {
			if _, err := r.db.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		l, err := r.beside(ctx)
		if err != nil {
			return err
		}
		captured := make(chan struct{})
		t.start(ctx)
		go func() {
			defer close(captured)
			l.run(r.clients, time.Minute)
		}()
		time.Sleep(500 * time.Millisecond) // the captures are under way
		began := time.Now()
		err = remove(ctx, part)
		t.note("ms", millis(time.Since(began)))
		time.Sleep(200 * time.Millisecond)
		l.ended.Store(true)
		<-captured
		t.stop(1)
		t.latency = l.latencies()
		if err := errors.Join(err, l.problem(), r.logged(ctx, t)); err != nil {
			return err
		}
		var longest time.Duration
		for _, took := range t.latency {
			longest = max(longest, took)
		}
		t.note("longest capture ms", millis(longest))
		return r.gone(ctx, part)
	}
}

// beside are captures for as long as the longer of the two ways takes.
func (r *retains) beside(ctx context.Context) (*load, error) {
	const most = 30_000
	sandboxes, err := newSandboxes(ctx, r.folded.URL, most/perSandbox)
	if err != nil {
		return nil, err
	}
	jobs, err := r.seed(ctx, merchantsOf(sandboxes), most)
	if err != nil {
		return nil, err
	}
	return newLoad(r.folded.URL, "", sandboxes, jobs), nil
}

func (r *retains) drop(ctx context.Context, _ string) error { return r.keeper.RunOnce(ctx) }

func (r *retains) delete(ctx context.Context, part string) error {
	for {
		res, err := r.db.ExecContext(ctx, `DELETE FROM `+part+` WHERE row_id IN (SELECT row_id FROM `+part+` LIMIT 5000)`)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
}

const removalSQL = `SELECT coalesce(sum(wal_bytes), 0)::float8 / 1048576 FROM pg_stat_statements WHERE query ~* '^\s*(drop table|alter table|delete from outbox|select .*drop)'`

// logged notes what the removal wrote into the log.
func (r *retains) logged(ctx context.Context, t *clock) error {
	var mib float64
	err := r.db.QueryRowContext(ctx, removalSQL).Scan(&mib)
	t.note("MiB of log", mib)
	return err
}

// gone looks that no row is left, and takes an empty day away.
func (r *retains) gone(ctx context.Context, part string) error {
	var left int
	if err := r.db.QueryRowContext(ctx, `SELECT count(*) FROM outbox_events WHERE created_at < now() - $1 * interval '1 day'`, oldDays-2).Scan(&left); err != nil {
		return err
	}
	if left > 0 {
		return fmt.Errorf("%d rows of the day are left", left)
	}
	_, err := r.db.ExecContext(ctx, `DROP TABLE IF EXISTS `+part)
	return err
}
