package main

import (
	"testing"
	"time"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/platform/postgres"
)

// A partition that a person has detached keeps its name: a worker that starts meanwhile
// has none to make, and what it made instead could not give way to the one that returns.
func TestWorkersThatStartWhileTodaysPartitionIsDetachedMakeNoOtherAndGoOnWhenItIsBack(t *testing.T) {
	t.Parallel()
	s := open(t, devtest.DSN(t))
	part := "outbox_events_" + time.Now().UTC().Format("20060102")
	var bound string
	if err := s.db.Get(t.Context(), &bound, `SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = $1`, part); err != nil {
		t.Fatal(err)
	}
	alter := func(how string) {
		t.Helper()
		if err := postgres.InTx(t.Context(), s.db, func(tx postgres.Tx) error {
			_, err := tx.Exec(t.Context(), `ALTER TABLE outbox_events `+how)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	missing := `SELECT count(*) FROM alerts WHERE state = 'open' AND kind = 'partition_missing' AND subject = '` + part + `'`
	alter(`DETACH PARTITION ` + part)
	for range 2 {
		worker := s.start()
		s.until("it says which is missing", func() bool {
			return s.count(missing) == 1 && s.count(`SELECT count(*) FROM heartbeats WHERE process = 'worker'`) > 0
		})
		kill(worker)
	}
	if n := s.count(`SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE '` + part + `%'`); n != 1 {
		t.Errorf("%d tables of today", n)
	}
	alter(`ATTACH PARTITION ` + part + ` ` + bound)
	s.start()
	s.publish(s.captured())
	s.until("it works, and nothing is missing", func() bool { return s.count(inboxRows) == 3 && s.count(ticketEvents) == 1 && s.count(missing) == 0 })
}
