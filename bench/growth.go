package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"payonce/internal/lab/program"
)

// The databases of the line, beside the others'.
const smallDatabase, largeDatabase = "bench_small", "bench_large"

// growthLine compares a shop whose tables are small with one whose tables are large: keys,
// events and inbox rows, so many of each.
func growthLine(h *house, name string, rows, half int) line {
	small, large := &grown{captures: captures{house: h, clients: 16}, rows: 10_000}, &grown{captures: captures{house: h, clients: 16}, rows: rows}
	l := line{
		Name: name, Title: "Growth: 10,000 or " + thousands(float64(rows)) + " keys, events and inbox rows", Unit: "per second", Half: half,
		Notes: []string{
			"Two databases on one server, each with programs of its own. Replays are of keys that lie among the others, which are older and younger.",
			"Both relays publish behind a transaction that is open all the while: what they mark stays in the index.",
		},
		Open: func(ctx context.Context) (func() error, error) {
			endSmall, err := small.open(ctx, smallDatabase)
			if err != nil {
				return endSmall, err
			}
			endLarge, err := large.open(ctx, largeDatabase)
			if err != nil {
				return nil, errors.Join(err, endSmall())
			}
			return func() error { return errors.Join(endLarge(), endSmall()) }, nil
		},
	}
	for _, what := range []struct {
		name, title string
		slice       func(g *grown) func(context.Context, *clock) error
		least       float64
	}{
		{"captures", "captures, 16 clients", (*grown).capturing, 1 / 1.15},
		{"replays", "replays of old keys, 16 clients", (*grown).replaying, 1 / 1.6},
		{"relay", "events published behind an old transaction", (*grown).relaying, 1 / 1.1},
	} {
		l.Contenders = append(l.Contenders,
			contender{Name: what.name + "-small", Title: what.title + ", small tables", Slice: what.slice(small)},
			contender{Name: what.name + "-large", Title: what.title + ", large tables", Slice: what.slice(large)})
		l.Ratios = append(l.Ratios, ratio{Of: what.name + "-large", To: what.name + "-small", Target: what.least})
	}
	return l
}

// grown is a shop with as many rows.
type grown struct {
	captures
	rows  int
	relay relays
	old   *load // captures that were made while the tables grew
}

func (g *grown) open(ctx context.Context, database string) (end func() error, err error) {
	main := g.house
	if g.house, err = main.beside(ctx, database); err != nil {
		return nil, errors.Join(err, g.db.Close())
	}
	var programs []*program.Program
	end = func() error {
		var problems []error
		for _, p := range programs {
			problems = append(problems, stop(p))
		}
		if g.instant != nil {
			problems = append(problems, g.instant.server.Close())
		}
		problems = append(problems, g.db.Close())
		g.house = main
		return errors.Join(problems...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	if g.instant, err = newInstant(); err != nil {
		return end, err
	}
	g.folded, err = g.startAt(ctx, "api", "PAYONCE_LISTEN", "PAYONCE_PROVIDER_URL="+g.instant.URL)
	if g.folded != nil {
		programs = append(programs, g.folded)
	}
	if err != nil {
		return end, err
	}
	return end, g.grow(ctx)
}

// growSQL makes rows as captures leave them when all is done. Their ids are of now.
var growSQL = []string{
	`INSERT INTO idempotency_keys (merchant_id, key, operation, request_hash, field_macs, status, claim_token, subject_id, subject_no, response_status, response_headers, response_body, resource_ref, expires_at)
	 SELECT gen_random_uuid(), gen_random_uuid()::text, 'POST /v1/payments/{payment_id}/capture', decode(repeat('00', 32), 'hex'), '{}', 'completed', gen_random_uuid(),
	        gen_random_uuid(), 1, 200, '\x7b7d', decode(repeat('20', 300), 'hex'), 'pay_' || g, now() + interval '3 days' FROM generate_series(1, $1::bigint) AS g`,
	`INSERT INTO outbox_events (row_id, event_id, merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version, type, payload, partition_no, published_at)
	 SELECT id, id, id, id, 'payment', id, 1, 'payment.captured', decode(repeat('20', 400), 'hex'), g % 16, now() FROM (SELECT g, uuid_v7(g) AS id FROM generate_series(1, $1::bigint) AS g) AS e`,
	`INSERT INTO consumer_inbox (consumer, event_id) SELECT 'ledger', uuid_v7(g) FROM generate_series(1, $1::bigint) AS g`,
}

// grow fills the tables, and captures now and then meanwhile.
func (g *grown) grow(ctx context.Context) error {
	sandboxes, err := newSandboxes(ctx, g.folded.URL, askers)
	if err != nil {
		return err
	}
	jobs, err := g.seed(ctx, merchantsOf(sandboxes), keys)
	if err != nil {
		return err
	}
	whole := newLoad(g.folded.URL, "", sandboxes, jobs)
	const steps = 8
	for i := range steps {
		for _, statement := range growSQL {
			if _, err := g.db.ExecContext(ctx, statement, g.rows/steps); err != nil {
				return fmt.Errorf("grow: %w", err)
			}
		}
		part := &load{address: whole.address, requests: whole.requests[i*keys/steps : (i+1)*keys/steps]}
		if err := part.whole(g.clients); err != nil {
			return err
		}
	}
	g.old = whole
	if err := g.publishedAll(ctx); err != nil {
		return err
	}
	for _, statement := range []string{`VACUUM ANALYZE`, `CHECKPOINT`} {
		if _, err := g.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (g *grown) capturing() func(context.Context, *clock) error { return g.overHTTP(&g.folded) }

func (g *grown) replaying() func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) error { return g.again(ctx, t, g.old) }
}

// relaying measures a relay that runs for this slice, behind an open transaction.
func (g *grown) relaying() func(context.Context, *clock) error {
	return func(ctx context.Context, t *clock) (err error) {
		rate := g.relay.rate
		g.relay = relays{house: g.house, traffic: oneQueue, rate: rate}
		end, err := g.relay.open(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
		tx, err := g.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}) //nolint:forbidigo // it stands in the way
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, `SELECT count(*) FROM merchants`); err != nil {
			return err
		}
		err = g.relay.relayed(ctx, t)
		g.relay.rate = float64(t.done) / t.took.Seconds()
		return err
	}
}
