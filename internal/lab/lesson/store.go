package lesson

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"payonce/internal/platform/postgres"
)

// The table is the laboratory's own, beside the world's books: no migration of
// the shop makes it.
var schema = []string{
	`SELECT pg_advisory_xact_lock(hashtext('payonce.lab.lesson'))`, // Two simulators that make it at once would collide.
	`CREATE SCHEMA IF NOT EXISTS lesson`,
	`CREATE TABLE IF NOT EXISTS lesson.runs (
  id         uuid        CONSTRAINT runs_pkey PRIMARY KEY,
  owner      bytea       NOT NULL,
  slug       text        NOT NULL,
  shop       text        NOT NULL CONSTRAINT runs_shop CHECK (shop IN ('payonce', 'naive')),
  state      text        NOT NULL CONSTRAINT runs_state CHECK (state IN ('running', 'finished', 'failed')),
  report     json        NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp()
)`,
	`COMMENT ON TABLE lesson.runs IS 'Runs of guided lessons: one row each, its report written anew with each step'`,
	// A sandbox runs one lesson at a time, whoever asks at the same moment.
	`CREATE UNIQUE INDEX IF NOT EXISTS runs_one_at_a_time ON lesson.runs (owner) WHERE state = 'running'`,
	`CREATE INDEX IF NOT EXISTS runs_of_owner ON lesson.runs (owner, id DESC)`,
}

// store keeps runs. An owner is the hash of an API key: whoever has the key may
// read, and nobody can make the hash of a key that he does not have.
type store struct{ db *postgres.DB }

func ownerOf(apiKey string) []byte {
	sum := sha256.Sum256([]byte(apiKey))
	return sum[:]
}

// A scenario is not resumed in the middle: what the runner before us left is
// over.
const abandonSQL = `
UPDATE lesson.runs SET state = 'failed',
       report = (report::jsonb || jsonb_build_object('state', 'failed', 'error', $1::text, 'finished_at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')))::json
 WHERE state = 'running'`

// make creates the table and closes what a runner before this one left running.
func (s store) make(ctx context.Context) error {
	err := postgres.InTx(ctx, s.db, func(tx postgres.Tx) error {
		for _, statement := range schema {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, abandonSQL, "The runner was started again while this ran. Run it again.")
		return err
	})
	if err != nil {
		return fmt.Errorf("lessons: prepare the table of runs: %w", err)
	}
	return nil
}

// errBusy says that this owner has a lesson running.
var errBusy = errors.New("a lesson is running in this sandbox")

const beginSQL = `INSERT INTO lesson.runs (id, owner, slug, shop, state, report) VALUES ($1, $2, $3, $4, $5, $6)`

// begin writes a new run, or fails with errBusy.
func (s store) begin(ctx context.Context, owner []byte, r Run) error {
	report, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write a run: %w", err)
	}
	id, _ := prefixRun.Parse(r.ID)
	err = postgres.InTx(ctx, s.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, beginSQL, id, owner, r.Slug, r.Shop, r.State, string(report))
		return err
	})
	if postgres.Violated(err) == "runs_one_at_a_time" {
		return errBusy
	}
	return err
}

const saveSQL = `UPDATE lesson.runs SET state = $2, report = $3 WHERE id = $1 AND state = 'running'`

func (s store) save(ctx context.Context, r Run) error {
	report, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write a run: %w", err)
	}
	id, _ := prefixRun.Parse(r.ID)
	return postgres.InTx(ctx, s.db, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, saveSQL, id, r.State, string(report))
		return err
	})
}

const (
	oneSQL     = `SELECT report FROM lesson.runs WHERE owner = $1 AND id = $2`
	runningSQL = `SELECT report FROM lesson.runs WHERE owner = $1 AND state = 'running'`
	latestSQL  = `
SELECT DISTINCT ON (slug) report FROM lesson.runs
 WHERE owner = $1 AND shop = 'payonce' AND state = 'finished' ORDER BY slug, id DESC`
	// Steps and checks stay where they are.
	headsSQL = `SELECT (report::jsonb - 'steps' - 'checks' - 'error')::text AS report FROM lesson.runs WHERE owner = $1 ORDER BY id DESC LIMIT 200`
)

// one reads a run; found is false when the owner has no such run.
func (s store) one(ctx context.Context, owner []byte, name string) (r Run, found bool, err error) {
	id, ok := prefixRun.Parse(name)
	if !ok {
		return r, false, nil
	}
	return s.read(ctx, oneSQL, owner, id)
}

// running reads the run that an owner has under way.
func (s store) running(ctx context.Context, owner []byte) (r Run, found bool, err error) {
	return s.read(ctx, runningSQL, owner)
}

func (s store) read(ctx context.Context, query string, args ...any) (r Run, found bool, err error) {
	var report []byte
	err = s.db.Get(ctx, &report, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	return r, true, json.Unmarshal(report, &r)
}

// heads lists an owner's runs, newest first.
func (s store) heads(ctx context.Context, owner []byte) ([]Head, error) {
	return readAll[Head](ctx, s.db, headsSQL, owner)
}

// latest lists an owner's latest finished run of each lesson.
func (s store) latest(ctx context.Context, owner []byte) ([]Run, error) {
	return readAll[Run](ctx, s.db, latestSQL, owner)
}

func readAll[T any](ctx context.Context, db *postgres.DB, query string, owner []byte) ([]T, error) {
	var reports [][]byte
	if err := db.Select(ctx, &reports, query, owner); err != nil {
		return nil, err
	}
	list := make([]T, len(reports))
	for i, report := range reports {
		if err := json.Unmarshal(report, &list[i]); err != nil {
			return nil, fmt.Errorf("read a run: %w", err)
		}
	}
	return list, nil
}
