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

// Make makes the tables of the board; it may be called any number of times. As a role
// that makes no schemas it is an error until the owner has called it.
func Make(ctx context.Context, db *postgres.DB) error {
	return postgres.MakeSchema(ctx, db, "lab", schema...)
}
