package postgres_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack"
	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
	"payonce/migrations"
)

// as opens a migrated database as one of its roles.
func as(t *testing.T, admin, role string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{DSN: devstack.RoleDSN(admin, role), PoolSize: 1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// refused says that the database refuses a statement for want of a privilege, and not
// for another reason.
func refused(t *testing.T, db *postgres.DB, statement string) {
	t.Helper()
	err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), statement)
		return err
	})
	const insufficientPrivilege = "42501"
	var said *pq.Error
	require.True(t, errors.As(err, &said) && said.Code == insufficientPrivilege, "%s: %v", statement, err)
}

func TestTheProgramsRoleMakesDropsAndAltersNothingAndReadsNoPasswords(t *testing.T) {
	t.Parallel()
	db := as(t, devtest.DSN(t), postgres.ProgramRole)
	for _, statement := range []string{
		`CREATE TABLE mine (id integer)`, `CREATE SCHEMA mine`, `CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'`,
		`CREATE ROLE mine`, `ALTER ROLE payonce_program SUPERUSER`, `SET ROLE payonce_owner`,
		`DROP TABLE payments`, `DROP TABLE ` + today("outbox_events"), `ALTER TABLE payments ADD COLUMN mine integer`,
		`ALTER TABLE outbox_events DETACH PARTITION ` + today("outbox_events"), `ALTER TABLE ledger_entries DISABLE TRIGGER ALL`,
		`TRUNCATE payments`, `CREATE INDEX mine ON payments (id)`, `SET session_replication_role = replica`,
		`SELECT * FROM pg_authid`, `SELECT pg_read_file('PG_VERSION')`, `COPY payments TO PROGRAM 'true'`,
		// The books are written once.
		`UPDATE ledger_transactions SET kind = kind`, `DELETE FROM ledger_entries`, `DELETE FROM payments`, `DELETE FROM consumer_inbox`,
		`UPDATE dead_letter_decisions SET who = who`, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (1, true)`,
		// The days of other tables, days without number, a day that is not over, and SQL in the place of a name.
		`SELECT ensure_day_partitions('payments', current_date, current_date)`, `SELECT ensure_day_partitions('outbox_events', current_date, current_date + 4000)`,
		`SELECT drop_day_partition('outbox_events', '` + today("outbox_events") + `')`, `SELECT drop_day_partition('payments', 'payments')`,
		`SELECT drop_day_partition('outbox_events', 'payments')`, `SELECT drop_day_partition('outbox_events', '` + today("outbox_events") + `', 'true')`,
	} {
		refused(t, db, statement)
	}
	var strong []string
	require.NoError(t, db.Select(t.Context(), &strong, strongSQL))
	require.Empty(t, strong, "these roles may more than their privileges say, or are another one too")
}

const strongSQL = `
SELECT rolname::text FROM pg_roles r
 WHERE rolname IN ('payonce_owner', 'payonce_program', 'payonce_reader')
   AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls OR rolreplication
        OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid AND r.rolname <> 'payonce_owner'))`

func TestTheReadersRoleReadsEveryTableAndWritesNone(t *testing.T) {
	t.Parallel()
	db := as(t, devtest.DSN(t), postgres.ReaderRole)
	var tables []string
	require.NoError(t, db.Select(t.Context(), &tables, `SELECT c.relname::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')`))
	require.Greater(t, len(tables), 30)
	for _, table := range tables {
		var n int
		require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM (SELECT FROM `+pq.QuoteIdentifier(table)+` LIMIT 1) AS one`))
	}
	for _, statement := range []string{
		`INSERT INTO merchants (id, api_key_hash) VALUES (gen_random_uuid(), 'x')`, `UPDATE payments SET status = status`, `DELETE FROM activity`,
		`TRUNCATE activity`, `CREATE TABLE mine (id integer)`, `SELECT id FROM payments FOR UPDATE`, `SELECT nextval('outbox_seq')`, `SELECT * FROM pg_authid`,
		`SELECT ensure_day_partitions('outbox_events', current_date, current_date)`,
	} {
		refused(t, db, statement)
	}
}

const privilegesSQL = `
SELECT privilege || ' ' || c.relname FROM pg_class c, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND has_table_privilege('payonce_program', c.oid, privilege)`

// Of two that differ the one in grants.sql is changed: a privilege that nothing uses
// goes, and one that is missing is a program that fails.
func TestTheProgramsRoleMayWriteWhatTheSourcesWriteAndNothingElse(t *testing.T) {
	t.Parallel()
	db := as(t, devtest.DSN(t), postgres.ProgramRole)
	var may []string
	require.NoError(t, postgres.InTx(t.Context(), db, func(tx postgres.Tx) error { return tx.Select(t.Context(), &may, privilegesSQL) }))
	slices.Sort(may)
	require.Equal(t, writing(t), may)
}

var (
	inserts  = regexp.MustCompile(`INSERT INTO \{?([a-z_]+)\b`)
	upserts  = regexp.MustCompile(`INSERT INTO \{?([a-z_]+)\b(?:[^` + "`" + `]*?)ON CONFLICT[^` + "`" + `]*?DO UPDATE`)
	updates  = regexp.MustCompile(`UPDATE \{?([a-z_]+)\}?(?: AS [a-z]+| [a-z]+)?\s+SET`)
	deletes  = regexp.MustCompile(`DELETE FROM \{?([a-z_]+)\b`)
	lockings = regexp.MustCompile(`FROM \{?(webhook_receipts)\b[^` + "`" + `]*FOR UPDATE`)
	comment  = regexp.MustCompile(`(?m)^\s*//.*$`)
)

// notHere are tables of once/schema that the shop does without.
var notHere = []string{"troubles", "consumer_inbox_any", "calls"}

// writing lists the privileges that the statements of the shop's sources ask for, as
// "INSERT table".
func writing(t *testing.T) (list []string) {
	t.Helper()
	root := filepath.Join("..", "..", "..")
	for _, folder := range []string{"internal/edge", "internal/platform", "internal/shop", "once", "cmd/api", "cmd/relay", "cmd/worker"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && (strings.HasSuffix(path, "test") || strings.HasSuffix(path, "testdata") || strings.HasSuffix(path, "once/schema") || strings.HasSuffix(path, "once/examples")) {
				return fs.SkipDir // tests, what the owner of the tables runs, and other programs
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			source, err := os.ReadFile(path)
			text := comment.ReplaceAllString(string(source), "")
			for privilege, found := range map[string][]*regexp.Regexp{"INSERT ": {inserts}, "UPDATE ": {updates, upserts, lockings}, "DELETE ": {deletes}} {
				for _, pattern := range found {
					for _, match := range pattern.FindAllStringSubmatch(text, -1) {
						if !slices.Contains(notHere, match[1]) {
							list = append(list, privilege+match[1])
						}
					}
				}
			}
			return err
		})
		require.NoError(t, err)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestRolesThatAreMadeAfterTheMigrationsGetTheirsWithTheNextOne(t *testing.T) {
	t.Parallel()
	dsn := devtest.DSN(t)
	owner := as(t, dsn, devstack.OwnerRole)
	require.NoError(t, postgres.InTx(t.Context(), owner, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), `REVOKE ALL ON ALL TABLES IN SCHEMA public FROM payonce_program`)
		return err
	}))
	program := as(t, dsn, postgres.ProgramRole)
	var n int
	require.Error(t, program.Get(t.Context(), &n, `SELECT count(*) FROM payments`))
	applied, err := postgres.Migrate(t.Context(), postgres.Config{DSN: devstack.RoleDSN(dsn, devstack.OwnerRole)}, migrations.Files)
	require.NoError(t, err)
	require.Zero(t, applied)
	require.NoError(t, program.Get(t.Context(), &n, `SELECT count(*) FROM payments`))
}

func today(table string) string { return table + "_" + time.Now().UTC().Format("20060102") }
