package main

import (
	"context"
	"database/sql"
)

// wal is what one operation wrote into Postgres's write-ahead log.
type wal struct{ records, bytes float64 }

// startWithLog is start for a slice whose log is counted too.
func (c *clock) startWithLog(ctx context.Context, db *sql.DB) error {
	// The extension reads the log itself: the statistics of a backend that is idle
	// lag behind what it wrote.
	if _, err := db.ExecContext(ctx, `CREATE EXTENSION IF NOT EXISTS pg_walinspect`); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, `SELECT pg_current_wal_insert_lsn()`).Scan(&c.log); err != nil {
		return err
	}
	c.start(ctx)
	return nil
}

// stopWithLog ends it.
func (c *clock) stopWithLog(ctx context.Context, db *sql.DB, done int) error {
	c.stop(done)
	var all wal
	err := db.QueryRowContext(ctx, `
SELECT sum(s.count)::float8, pg_wal_lsn_diff(e.lsn, $1)::float8
  FROM (SELECT pg_current_wal_flush_lsn() AS lsn) AS e, pg_get_wal_stats($1, e.lsn) AS s GROUP BY e.lsn`, c.log).Scan(&all.records, &all.bytes)
	each := float64(max(1, done))
	c.logged = wal{records: all.records / each, bytes: all.bytes / each}
	return err
}
