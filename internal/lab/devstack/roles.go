package devstack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

	"github.com/lib/pq"

	shop "payonce/internal/platform/postgres"
)

// OwnerRole owns the shop's schema and runs its migrations; the programs are
// [shop.ProgramRole]. The outside world's database has an owner of its own.
const (
	OwnerRole = "payonce_owner"
	worldRole = "payonce_world"
)

// OwnerDSN addresses one database as the role that owns its schema; on a Postgres that
// was given, as the user that was given: its roles are its administrator's business.
func (s *Stack) OwnerDSN(database string) string { return s.as(database, owner(database)) }

// ProgramDSN is [Stack.OwnerDSN] as the role that the shop's programs are.
func (s *Stack) ProgramDSN(database string) string { return s.as(database, shop.ProgramRole) }

// ReaderDSN is [Stack.OwnerDSN] as the role that only reads.
func (s *Stack) ReaderDSN(database string) string { return s.as(database, shop.ReaderRole) }

func (s *Stack) as(database, role string) string {
	if s.postgres == nil {
		return s.PostgresDSN(database)
	}
	return RoleDSN(s.PostgresDSN(database), role)
}

func owner(database string) string {
	if database == SimulatorDatabase {
		return worldRole
	}
	return OwnerRole
}

// RoleDSN is where an administrator's DSN leads, as a role that [EnsureRoles] made
// with that DSN. A DSN that cannot be read is returned as it is.
func RoleDSN(admin, role string) string {
	if target, err := url.Parse(admin); err == nil && target.Scheme != "" {
		password, _ := target.User.Password()
		target.User = url.UserPassword(role, rolePassword(password, role))
		return target.String()
	}
	words, err := pq.NewConfig(admin)
	if err != nil {
		return admin
	}
	return admin + " user=" + role + " password=" + rolePassword(words.Password, role)
}

// rolePassword is another for each role, and leads to no other one's.
func rolePassword(admin, role string) string {
	sum := hmac.New(sha256.New, []byte(admin))
	sum.Write([]byte(role))
	return hex.EncodeToString(sum.Sum(nil))
}

// What people break a demo with: they look at sessions, end them, and plant rows that
// a trigger or a foreign key would refuse. In production an owner has none of it.
const toBreakWithSQL = `
GRANT pg_monitor, pg_signal_backend TO payonce_owner;
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    GRANT pg_checkpoint TO payonce_owner;
    GRANT SET ON PARAMETER session_replication_role TO payonce_owner;
  END IF;
END $$`

// EnsureRoles makes the roles of the shop's database where they are missing, and gives
// them the passwords that [RoleDSN] knows. It needs a superuser's DSN. Several may do
// it at once.
func EnsureRoles(ctx context.Context, admin string) error {
	config, err := pq.NewConfig(admin)
	if err != nil {
		return errors.New("the administrator's DSN cannot be parsed") // the parser's error may quote the password
	}
	text := `SELECT pg_advisory_xact_lock(hashtext('payonce.roles'));`
	for _, role := range []string{OwnerRole, shop.ProgramRole, shop.ReaderRole, worldRole} {
		text += fmt.Sprintf(`
DO $$ BEGIN IF to_regrole('%[1]s') IS NULL THEN CREATE ROLE %[1]s; END IF; END $$;
ALTER ROLE %[1]s LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %[2]s;`,
			role, pq.QuoteLiteral(rolePassword(config.Password, role)))
	}
	db, err := sql.Open("postgres", admin)
	if err != nil {
		return fmt.Errorf("roles: %w", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, text+toBreakWithSQL); err != nil { // one message is one transaction
		return fmt.Errorf("roles: %w", err)
	}
	return nil
}

// What an earlier version's superuser made goes to the owner. A sequence that belongs
// to a column follows its table.
const handOverSQL = `
DO $$
DECLARE
  statement text;
BEGIN
  FOR statement IN
    SELECT format('ALTER SCHEMA %%I OWNER TO %[1]s', nspname) FROM pg_namespace
     WHERE nspowner = current_user::regrole AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION ALL
    SELECT format('ALTER TABLE %%s OWNER TO %[1]s', c.oid::regclass) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE relowner = current_user::regrole AND relkind IN ('r', 'p', 'v', 'm', 'S') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND (d.deptype = 'e' OR relkind = 'S' AND d.deptype IN ('a', 'i')))
    UNION ALL
    SELECT format('ALTER ROUTINE %%s OWNER TO %[1]s', p.oid::regprocedure) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE proowner = current_user::regrole AND nspname !~ '^pg_' AND nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  LOOP
    EXECUTE statement;
  END LOOP;
  EXECUTE format('ALTER DATABASE %%I OWNER TO %[1]s', current_database());
END $$`

// handOver gives a database, and all that the administrator made in it, to its owner.
func (s *Stack) handOver(ctx context.Context, databases []string) error {
	if err := EnsureRoles(ctx, s.PostgresDSN("postgres")); err != nil {
		return err
	}
	for _, database := range databases {
		if err := statement(ctx, s.PostgresDSN(database), fmt.Sprintf(handOverSQL, owner(database))); err != nil {
			return fmt.Errorf("owner of %s: %w", database, err)
		}
	}
	return nil
}
