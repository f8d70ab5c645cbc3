package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/lib/pq"
)

// The roles that migrations/grants.sql speaks of; both may be missing. Who migrates is
// the owner, whatever its name.
const (
	// ProgramRole is what api, relay and worker are: it writes rows and owns nothing.
	ProgramRole = "payonce_program"
	// ReaderRole is for who looks: it reads every table.
	ReaderRole = "payonce_reader"
)

const grantsFile = "grants.sql"

// grant applies what stands beside the migrations about roles.
func grant(ctx context.Context, db *sql.DB, files fs.FS) error {
	text, err := fs.ReadFile(files, grantsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, string(text)); err != nil {
		return fmt.Errorf("%s: %w", grantsFile, err)
	}
	return nil
}

const (
	mayMakeSQL = `SELECT has_database_privilege(current_database(), 'CREATE')`
	mayUseSQL  = `SELECT has_schema_privilege($1, 'USAGE')`
	grantedSQL = `
DO $$ BEGIN
  IF to_regrole('payonce_program') IS NOT NULL AND to_regrole('payonce_reader') IS NOT NULL THEN
    GRANT USAGE ON SCHEMA %[1]s TO payonce_program, payonce_reader;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %[1]s TO payonce_program;
    GRANT SELECT ON ALL TABLES IN SCHEMA %[1]s TO payonce_reader;
  END IF;
END $$`
)

// MakeSchema makes a schema beside the shop's by statements that may run any number of
// times, and opens it to the roles of the programs. As a role that makes no schemas it
// does nothing, and is an error until the owner has made this one.
func MakeSchema(ctx context.Context, db *DB, schema string, statements ...string) error {
	var may bool
	if err := db.Get(ctx, &may, mayMakeSQL); err != nil {
		return err
	}
	if !may {
		if err := db.Get(ctx, &may, mayUseSQL, schema); err == nil && may {
			return nil
		}
		return fmt.Errorf("the schema %s is not there, and this role may not make it: run api --migrate as the owner", schema)
	}
	return InTx(ctx, db, func(tx Tx) error {
		for _, statement := range append(statements[:len(statements):len(statements)], fmt.Sprintf(grantedSQL, pq.QuoteIdentifier(schema))) {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("make the schema %s: %w", schema, err)
			}
		}
		return nil
	})
}
