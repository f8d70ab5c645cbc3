package faults

import (
	"context"

	"payonce/internal/platform/postgres"
)

// The tables are the laboratory's own: no migration of the shop makes them, and
// what a watcher has seen need not outlive the server.
var schema = []string{
	inTurnSQL, // Two processes that make them at once would collide.
	`CREATE SCHEMA IF NOT EXISTS lab`,
	`CREATE TABLE IF NOT EXISTS lab.faults (
  seq         bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT faults_pkey PRIMARY KEY,
  merchant_id uuid NOT NULL,
  point       text NOT NULL,
  action      text NOT NULL,
  scope       uuid NOT NULL,
  nth         integer NOT NULL CONSTRAINT faults_nth CHECK (nth >= 1),
  for_ms      bigint NOT NULL CONSTRAINT faults_for CHECK (for_ms >= 0),
  hits        integer NOT NULL DEFAULT 0,
  armed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  fired_at    timestamptz,
  fired_by    text
)`,
	`COMMENT ON TABLE lab.faults IS 'Crash points that visitors armed; a fault fires once in all processes together'`,
	`CREATE INDEX IF NOT EXISTS faults_armed ON lab.faults (seq) WHERE fired_at IS NULL`,
	`CREATE UNLOGGED TABLE IF NOT EXISTS lab.fault_watchers (
  name text CONSTRAINT fault_watchers_pkey PRIMARY KEY,
  seen bigint NOT NULL
)`,
	`COMMENT ON TABLE lab.fault_watchers IS 'Up to which fault each process has looked, by its application_name'`,
}

func (b *Board) make(ctx context.Context) error {
	return postgres.InTx(ctx, b.db, func(tx postgres.Tx) error {
		for _, statement := range schema {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}
