package main

// shape is one way to keep an outbox in tables: what an event's life costs Postgres
// depends on it, and so does what can be asked later.
type shape struct {
	name, title string
	tables      []string // DDL, in a schema of its own that is on the search path
	append      string   // one event: $1 row, $2 merchant, $3 correlation, $4 aggregate, $5 type, $6 payload, $7 trace, $8 partition
	fill        string   // $1 events at once, of $2 merchant, $3 type, $4 payload, $5 trace
	fetch       string   // a page: $1 partitions, $2 positions, $3 limit
	mark        string   // $1 partitions, $2 seqs, $3 rows, $4 and $5 the first and the last row
	waiting     string   // how many are not published
	published   string   // how many have a time of publishing; empty where none is kept
	emptied     []string
}

// eventColumns are those of the shop's table, in every shape.
const eventColumns = `
  row_id uuid NOT NULL, event_id uuid NOT NULL, destination text, merchant_id uuid, correlation_id uuid,
  aggregate_type text NOT NULL, aggregate_id uuid NOT NULL, aggregate_version bigint NOT NULL,
  type text NOT NULL, payload bytea NOT NULL, traceparent text NOT NULL DEFAULT '', partition_no smallint NOT NULL,
  seq bigint NOT NULL DEFAULT nextval('shape_seq'), created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  replay_no integer NOT NULL DEFAULT 0, past_window boolean NOT NULL DEFAULT false, PRIMARY KEY (row_id)`

const (
	appendRow = `(row_id, event_id, merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version, type, payload, traceparent, partition_no)
VALUES ($1, $1, $2, $3, 'payment', $4, 1, $5, $6, $7, $8)`
	fillRows = `(row_id, event_id, merchant_id, correlation_id, aggregate_type, aggregate_id, aggregate_version, type, payload, traceparent, partition_no)
SELECT id, id, $2, gen_random_uuid(), 'payment', gen_random_uuid(), 1, $3, $4, $5, g % 16
  FROM (SELECT g, uuid_v7(g) AS id FROM generate_series(1, $1::bigint) AS g ORDER BY g) AS e`
	pageColumns = `e.row_id, e.event_id, e.merchant_id, e.correlation_id, e.aggregate_id, e.aggregate_version, e.type, e.payload, e.traceparent, e.partition_no, e.seq, e.created_at`
)

// daysOf makes a table's partitions, as many as the shop keeps in stock.
func daysOf(table string) string {
	return `
DO $$ BEGIN
  FOR d IN -3 .. 30 LOOP
    EXECUTE format('CREATE TABLE ` + table + `_%s PARTITION OF ` + table + ` FOR VALUES FROM (%L) TO (%L)', d + 3,
      uuid_v7_floor(((now() AT TIME ZONE 'UTC')::date + d)::timestamp AT TIME ZONE 'UTC'),
      uuid_v7_floor(((now() AT TIME ZONE 'UTC')::date + d + 1)::timestamp AT TIME ZONE 'UTC'));
  END LOOP;
END $$`
}

// pendingColumns are what is to be published and nothing else. Dead rows are removed
// soon, because each page is read past them.
const pendingColumns = ` (partition_no smallint, seq bigint, row_id uuid NOT NULL, lane uuid NOT NULL, PRIMARY KEY (partition_no, seq))
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)`

var shapes = []shape{
	{
		name: "marked", title: "one table, published_at set by an UPDATE (the shop's)",
		tables: []string{
			`CREATE TABLE marked (published_at timestamptz, ` + eventColumns + `) PARTITION BY RANGE (row_id)`,
			`CREATE INDEX ON marked (partition_no, seq) WHERE published_at IS NULL`,
			`CREATE INDEX ON marked (aggregate_id, aggregate_version)`, daysOf("marked"),
		},
		append: `INSERT INTO marked ` + appendRow,
		fill:   `INSERT INTO marked ` + fillRows,
		fetch: `
SELECT ` + pageColumns + ` FROM unnest($1::smallint[], $2::bigint[]) AS asked (partition_no, after)
CROSS JOIN LATERAL (SELECT * FROM marked m WHERE published_at IS NULL AND m.partition_no = asked.partition_no AND seq > asked.after ORDER BY seq LIMIT $3) AS e LIMIT $3`,
		mark: `
UPDATE marked SET published_at = statement_timestamp()
 WHERE row_id = ANY ($3::uuid[]) AND row_id BETWEEN $4 AND $5 AND published_at IS NULL AND $1::smallint[] IS NOT NULL AND $2::bigint[] IS NOT NULL`,
		waiting: `SELECT count(*) FROM marked WHERE published_at IS NULL`, published: `SELECT count(published_at) FROM marked`,
		emptied: []string{`TRUNCATE marked`},
	},
	pendingShape("pending", "events that never change, a narrow table of what is pending", false),
	pendingShape("pending-timed", "the same, and the time of publishing in a third table", true),
}

// pendingShape keeps the events as they were written and deletes a narrow row when
// one is published.
func pendingShape(name, title string, timed bool) shape {
	events, pending, times := "events", "pending", "times"
	if timed {
		events, pending = "events_timed", "pending_timed"
	}
	s := shape{
		name: name, title: title,
		tables: []string{
			`CREATE TABLE ` + events + ` (` + eventColumns + `) PARTITION BY RANGE (row_id)`,
			`CREATE INDEX ON ` + events + ` (aggregate_id, aggregate_version)`, daysOf(events),
			`CREATE TABLE ` + pending + pendingColumns,
		},
		append: `WITH e AS (INSERT INTO ` + events + ` ` + appendRow + ` RETURNING partition_no, seq, row_id, aggregate_id)
INSERT INTO ` + pending + ` SELECT * FROM e`,
		fill: `WITH e AS (INSERT INTO ` + events + ` ` + fillRows + ` RETURNING partition_no, seq, row_id, aggregate_id)
INSERT INTO ` + pending + ` SELECT * FROM e`,
		fetch: `
SELECT ` + pageColumns + ` FROM unnest($1::smallint[], $2::bigint[]) AS asked (partition_no, after)
CROSS JOIN LATERAL (SELECT * FROM ` + pending + ` m WHERE m.partition_no = asked.partition_no AND seq > asked.after ORDER BY seq LIMIT $3) AS p
JOIN ` + events + ` e ON e.row_id = p.row_id LIMIT $3`,
		mark: `
DELETE FROM ` + pending + ` p USING unnest($1::smallint[], $2::bigint[]) AS m (partition_no, seq)
 WHERE p.partition_no = m.partition_no AND p.seq = m.seq AND $3::uuid[] IS NOT NULL AND $4::uuid IS NOT NULL AND $5::uuid IS NOT NULL`,
		waiting: `SELECT count(*) FROM ` + pending,
		emptied: []string{`TRUNCATE ` + events + `, ` + pending},
	}
	if timed {
		s.tables = append(s.tables, `CREATE TABLE `+times+` (row_id uuid PRIMARY KEY, published_at timestamptz NOT NULL DEFAULT statement_timestamp()) PARTITION BY RANGE (row_id)`, daysOf(times))
		s.mark = `WITH gone AS (` + s.mark + ` RETURNING p.row_id) INSERT INTO ` + times + ` (row_id) SELECT row_id FROM gone`
		s.published = `SELECT count(*) FROM ` + times
		s.emptied = append(s.emptied, `TRUNCATE `+times)
	}
	return s
}
