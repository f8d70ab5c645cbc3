package idempotency_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/idempotency"
	"payonce/once/oncetest/dbtest"
	"payonce/once/schema"
)

// store is a store of keys with what a test does to it from outside.
type store struct {
	*idempotency.Keys
	t testing.TB
}

// kinds are the databases on which each claim is made: both adapters, and a table of the
// program's own beside the one that the schema brings.
var kinds = map[string]func(t testing.TB) store{
	"pq":                         func(t testing.TB) store { return open(t, dbtest.Pq, idempotency.Table{Schema: "toys"}) },
	"pgx":                        func(t testing.TB) store { return open(t, dbtest.Pgx, idempotency.Table{Schema: "toys"}) },
	"pq, a table with uuid ids":  func(t testing.TB) store { return open(t, dbtest.Pq, idempotency.Table{Scope: "tenant_id"}) },
	"pgx, a table with uuid ids": func(t testing.TB) store { return open(t, dbtest.Pgx, idempotency.Table{Scope: "tenant_id"}) },
}

func everywhere(t *testing.T, claim func(t *testing.T, s store)) {
	t.Helper()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claim(t, kind(t))
		})
	}
}

func open(t testing.TB, adapter func(testing.TB, once.Name) once.DB, table idempotency.Table) store {
	t.Helper()
	db := adapter(t, once.Name(table.Schema))
	keys, err := idempotency.New(idempotency.Config{DB: db, Table: table, Secret: []byte("secret"), TTL: 72 * time.Hour, Lease: 15 * time.Second})
	require.NoError(t, err)
	s := store{t: t, Keys: keys}
	statements := []string{`CREATE TABLE effects (scope text NOT NULL, toy text NOT NULL)`}
	if table.Schema == "" {
		statements = append(statements, ownTable(t)...)
	}
	for _, statement := range statements {
		_, err := s.exec(statement)
		require.NoError(t, err)
	}
	return s
}

// ownTable is the schema's, but with ids of type uuid and the scope under another name.
func ownTable(t testing.TB) []string {
	t.Helper()
	file, err := schema.Files.ReadFile("0002_idempotency_keys.sql")
	require.NoError(t, err)
	own := strings.NewReplacer("scope              text", "tenant_id uuid", "(scope, key)", "(tenant_id, key)", "subject_id         text", "subject_id uuid").Replace(string(file))
	require.Equal(t, 2, strings.Count(own, "tenant_id")) // the column and the key
	return strings.SplitAfter(own, ";\n")[:2]
}

// exec runs a statement in which the table is called as it is here.
func (s store) exec(query string, args ...any) (n int64, err error) {
	s.t.Helper()
	err = s.DB.InTx(s.t.Context(), func(tx once.Tx) error {
		n, err = tx.Exec(s.t.Context(), s.Table.Schema.In(query), args...)
		return err
	})
	return n, err
}

func (s store) named(text string, args once.Args) (int64, error) {
	s.t.Helper()
	statement := once.Named(text)
	return s.exec(statement.Text(), statement.Values(args)...)
}

// read reads the one row of a query, if there is one.
func (s store) read(into any, query string, args ...any) (found bool) {
	s.t.Helper()
	rows, err := s.DB.Read(s.t.Context(), s.Table.Schema.In(query), args...)
	found, err = once.One(rows, err, into)
	require.NoError(s.t, err)
	return found
}

// claim is the first transaction of an effect outside.
func (s store) claim(r idempotency.Request, try string) error {
	s.t.Helper()
	_, err := s.named(s.of(`WITH p AS (SELECT @try::uuid AS subject_id, 1 AS subject_no), `)+s.Table.ClaimFrom("p")+` SELECT 1`,
		s.ClaimArgs(r, r.Fingerprint(s.Secret), uuid.New()).With(once.Args{"try": try}))
	return err
}

// complete is the second.
func (s store) complete(try string, a idempotency.Answer) int64 {
	s.t.Helper()
	n, err := s.named(s.of(`WITH p AS (SELECT @try::uuid AS subject_id, 1 AS subject_no) `)+s.Table.CompleteFrom("p"),
		s.CompleteArgs(a, "").With(once.Args{"try": try}))
	require.NoError(s.t, err)
	return n
}

// of writes the type of the table's ids.
func (s store) of(query string) string {
	if s.Table.Schema != "" {
		return strings.ReplaceAll(query, "::uuid", "::text")
	}
	return query
}

func (s store) ends(r idempotency.Request, in time.Duration) {
	s.t.Helper()
	n, err := s.exec(`UPDATE {idempotency_keys} SET expires_at = clock_timestamp() + $2 * interval '1 second' WHERE key = $1`, r.Key, in.Seconds())
	require.NoError(s.t, err)
	require.EqualValues(s.t, 1, n)
}

func (s store) left(r idempotency.Request) (ends time.Duration, there bool) {
	s.t.Helper()
	var seconds float64
	there = s.read(&seconds, `SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM {idempotency_keys} WHERE key = $1`, r.Key)
	return time.Duration(seconds * float64(time.Second)), there
}

func text(body string) idempotency.Answer {
	return idempotency.Answer{Status: 200, ContentType: "text/plain", Body: []byte(body)}
}

func bodyOf(t testing.TB, row idempotency.Row) string {
	t.Helper()
	a, err := row.Answer()
	require.NoError(t, err)
	return string(a.Body)
}

func request(key string) idempotency.Request {
	return idempotency.Request{Scope: uuid.NewString(), Key: key, Operation: "POST /toys"}
}
