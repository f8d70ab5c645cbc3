package naive

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"payonce/internal/platform/postgres"
)

// patternTables are the tables of the patterns. Each gets a twin in the schema
// naive, and the pool's search_path leads the patterns to it.
var patternTables = []string{
	"idempotency_keys", "outbox_events", "consumer_inbox", "sagas", "saga_steps", "saga_participations", "saga_decisions", "alerts",
}

// grown brings twins along that an earlier version made.
const grown = `
ALTER TABLE naive.saga_participations
  ADD COLUMN IF NOT EXISTS decided boolean NOT NULL DEFAULT false, ADD COLUMN IF NOT EXISTS asking_until timestamptz`

// The tables are the laboratory's own: no migration of the shop makes them. They
// have none of the constraints that would make a second effect impossible.
var schema = []string{
	`SELECT pg_advisory_xact_lock(hashtext('payonce.lab.naive'))`, // Two processes that make them at once would collide.
	`CREATE SCHEMA IF NOT EXISTS naive`,
	`CREATE TABLE IF NOT EXISTS naive.checkouts (
  id            uuid        CONSTRAINT naive_checkouts_pkey PRIMARY KEY,
  merchant_id   uuid        NOT NULL,
  guards        text[]      NOT NULL,
  quantity      integer     NOT NULL,
  amount_minor  bigint      NOT NULL,
  currency      text        NOT NULL,
  email         text        NOT NULL,
  status        text        NOT NULL DEFAULT 'open',
  refund        text        NOT NULL DEFAULT 'none',
  attempts      integer     NOT NULL DEFAULT 0,
  claimed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  charge_id     text,
  events        bigint      NOT NULL DEFAULT 0,
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
)`,
	`COMMENT ON TABLE naive.checkouts IS 'Checkouts without protections, and the guards that each was made with'`,
	`CREATE TABLE IF NOT EXISTS naive.ledger_transactions (
  id            bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT naive_ledger_pkey PRIMARY KEY,
  merchant_id   uuid        NOT NULL,
  checkout_id   uuid        NOT NULL,
  amount_minor  bigint      NOT NULL
)`,
	`COMMENT ON TABLE naive.ledger_transactions IS 'One row each time that a sale was booked; nothing makes it one per sale'`,
	`CREATE INDEX IF NOT EXISTS naive_ledger_of ON naive.ledger_transactions (checkout_id)`,
	`CREATE TABLE IF NOT EXISTS naive.tickets (
  id            bigint      GENERATED ALWAYS AS IDENTITY CONSTRAINT naive_tickets_pkey PRIMARY KEY,
  merchant_id   uuid        NOT NULL,
  checkout_id   uuid        NOT NULL,
  status        text        NOT NULL DEFAULT 'issued'
)`,
	`COMMENT ON TABLE naive.tickets IS 'One row for each ticket handed out; nothing makes it one per seat'`,
	`CREATE INDEX IF NOT EXISTS naive_tickets_of ON naive.tickets (checkout_id)`,
	`CREATE TABLE IF NOT EXISTS naive.troubles (
  checkout_id   uuid        NOT NULL,
  trouble       text        NOT NULL,
  CONSTRAINT naive_troubles_pkey PRIMARY KEY (checkout_id, trouble)
)`,
	`COMMENT ON TABLE naive.troubles IS 'What is still to happen to a checkout; a row goes when it strikes'`,
}

// twin makes a pattern's table once more: same columns, defaults, checks and
// indexes, in one piece, where the shop's may be cut into days.
func twin(table string) string {
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS naive.%s (LIKE public.%s INCLUDING ALL)`, table, table)
}

// Make makes what is not there yet; it needs the shop's own schema. As a role that
// makes no schemas it is an error until the owner has called it.
func Make(ctx context.Context, db *postgres.DB) error {
	statements := schema[:len(schema):len(schema)]
	for _, table := range patternTables {
		statements = append(statements, twin(table))
	}
	return postgres.MakeSchema(ctx, db, "naive", append(statements, grown)...)
}

// ownSchema leads a connection to the naive tables first, and to the shop's
// functions behind them.
func ownSchema(pg postgres.Config, app string) (postgres.Config, error) {
	const path = "naive,public"
	pg.AppName, pg.PoolSize = app, poolSize
	if !strings.Contains(pg.DSN, "://") {
		pg.DSN += " search_path=" + path
		return pg, nil
	}
	u, err := url.Parse(pg.DSN)
	if err != nil {
		return pg, errors.New("the Postgres DSN of the naive shop cannot be parsed") // the parser's error may quote the password
	}
	q := u.Query()
	q.Set("search_path", path)
	u.RawQuery = q.Encode()
	pg.DSN = u.String()
	return pg, nil
}

// poolSize is small: the naive shop is a guest in the shop's database.
const poolSize = 6
