package inbox_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/oncetest/dbtest"
)

// A unique key of a partitioned table must hold the partition key. Partitioned
// by the time of processing the key holds that time, and nothing is unique.
func TestAnInboxPartitionedByProcessedAtAdmitsTheSameEventTwiceAndByEventIDOnce(t *testing.T) {
	t.Parallel()
	db := dbtest.Pq(t, "bank")
	event := uuid.Must(uuid.NewV7())
	admitted := func(insert string, at time.Time) (n int64) {
		t.Helper()
		if err := db.InTx(t.Context(), func(tx once.Tx) (err error) {
			n, err = tx.Exec(t.Context(), insert, event, at)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := db.InTx(t.Context(), func(tx once.Tx) error {
		_, err := tx.Exec(t.Context(), `CREATE TABLE naive_inbox (event_id uuid, processed_at timestamptz, PRIMARY KEY (event_id, processed_at)) PARTITION BY RANGE (processed_at)`)
		if err == nil {
			_, err = tx.Exec(t.Context(), `CREATE TABLE naive_inbox_ever PARTITION OF naive_inbox FOR VALUES FROM ('2000-01-01') TO ('2100-01-01')`)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const naive = `INSERT INTO naive_inbox (event_id, processed_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	const ours = `INSERT INTO bank.consumer_inbox (consumer, event_id, processed_at) VALUES ('bank', $1, $2) ON CONFLICT DO NOTHING`
	first, later := time.Now(), time.Now().Add(time.Second)
	if n := admitted(naive, first) + admitted(naive, later); n != 2 {
		t.Errorf("the trap is gone: admitted %d times", n)
	}
	if n := admitted(ours, first) + admitted(ours, later); n != 1 {
		t.Errorf("admitted %d times", n)
	}
}

// The row commits with the effect: an effect that fails leaves no memory of its
// event, and the next delivery is not taken for a duplicate.
func TestAnEventIsNotMarkedBeforeItIsApplied(t *testing.T) {
	t.Parallel()
	db := bank(t)
	m := newAdded(t, nil)
	for round, want := range []int{1, 1, 0} {
		var fresh []string
		err := db.InTx(t.Context(), func(tx once.Tx) error {
			var err error
			if fresh, err = window.Admit(t.Context(), tx, "bank", []string{m.EventID}); err != nil || len(fresh) == 0 {
				return err
			}
			if round == 0 {
				return errKilled
			}
			return addAll(t.Context(), tx, []inbox.Message{m})
		})
		if (err != nil) != (round == 0) || len(fresh) != want {
			t.Errorf("round %d: %v, %d fresh", round, err, len(fresh))
		}
	}
	if n := sevens(t, db, m); n != 1 {
		t.Errorf("applied %d times", n)
	}
}
