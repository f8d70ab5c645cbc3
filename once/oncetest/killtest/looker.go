package killtest

import (
	"database/sql"
	"testing"

	"github.com/lib/pq" // the driver of the judge, not of the subject
)

// looker looks into Postgres past the subject. What it cannot read it does not see: the
// moment is then left out.
type looker struct{ db *sql.DB }

func look(t testing.TB, dsn string) looker {
	t.Helper()
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return looker{db}
}

// one reads a number.
func (l looker) one(query string, args ...any) (n int64) {
	_ = l.db.QueryRow(query, args...).Scan(&n)
	return n
}

// Wrote implements nettest.Looker.
func (l looker) Wrote(pid int) bool {
	return l.one(`SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND backend_xid IS NOT NULL`, pid) > 0
}

// Writers implements nettest.Looker.
func (l looker) Writers() int64 {
	return l.one(`SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)`)
}

// writing counts the transactions that are open and have written.
func (l looker) writing() int64 {
	return l.one(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL`)
}
