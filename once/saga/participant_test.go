package saga_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	"payonce/once/outbox"
	"payonce/once/retry"
	"payonce/once/saga"
	"payonce/once/saga/sagatest"
)

var store = saga.Store{Table: saga.Table{Schema: "trip"}, Outbox: outbox.Table{Schema: "trip"}}

// The smallest participant: it takes a seat and frees it.
type seat struct {
	ID string `json:"id"`
}

func seats(over func(testing.TB, once.Name) once.DB) func(testing.TB) once.DB {
	return func(t testing.TB) once.DB {
		t.Helper()
		db := over(t, "trip")
		dbtest.Exec(t, db, `CREATE TABLE seats (id text PRIMARY KEY, broken boolean NOT NULL, taken integer NOT NULL DEFAULT 0)`)
		return db
	}
}

func aSeat(broken bool) func(t testing.TB, db once.DB) (scope, correlation string, data any) {
	return func(t testing.TB, db once.DB) (string, string, any) {
		t.Helper()
		s := seat{ID: uuid.NewString()}
		dbtest.Exec(t, db, `INSERT INTO seats (id, broken) VALUES ($1, $2)`, s.ID, broken)
		return "anna", uuid.NewString(), s
	}
}

func taken(t testing.TB, db once.DB, _ string, data json.RawMessage) int {
	t.Helper()
	var s seat
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return dbtest.Int(t, db, `SELECT taken FROM seats WHERE id = $1`, s.ID)
}

func change(query string) saga.Action {
	return func(ctx context.Context, tx once.Tx, c saga.Command) error {
		s, err := saga.DataOf[seat](c)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, query, s.ID)
		if err == nil && n == 0 {
			return saga.Refuse("broken")
		}
		return err
	}
}

func TestTheSmallestParticipantKeepsThePromise(t *testing.T) {
	t.Parallel()
	for name, over := range dbtest.Over {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sagatest.Run(t, saga.Participant{Store: store, Actions: map[string]saga.Action{
				"seat.take": change(`UPDATE seats SET taken = taken + 1 WHERE id = $1 AND NOT broken`),
				"seat.free": change(`UPDATE seats SET taken = taken - 1 WHERE id = $1`),
			}}, sagatest.Sample{Do: "seat.take", Undo: "seat.free", New: aSeat(false), Refused: aSeat(true), Effects: taken, Postgres: seats(over)})
		})
	}
}

// A far end that dedupes by the saga's id.
func TestTheSmallestParticipantOutsideKeepsThePromise(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	calls := map[string]int{}
	outside := saga.Outside{Store: store, Type: "money.send", Ask: func(_ context.Context, c saga.Command, _ bool) error {
		mu.Lock()
		defer mu.Unlock()
		calls[c.Saga] = 1
		return nil
	}}
	inboxtest.RunAround(t,
		inboxtest.Consumer{Name: "money", Types: []string{outside.Type}, Around: outside.Around(), Table: inbox.Table{Schema: "trip"},
			Names: retry.NamesOf("trip"), Postgres: func(t testing.TB) once.DB { return dbtest.Pq(t, "trip") }, Broker: oncetest.Broker},
		inboxtest.Sample{Want: 2, New: func(t testing.TB, _ once.DB) inbox.Message {
			id := uuid.Must(uuid.NewV7()).String()
			payload, err := json.Marshal(saga.Command{Schema: 1, Saga: id, Step: "money", Direction: saga.Do, Attempt: 1, Data: json.RawMessage(`{}`)})
			if err != nil {
				t.Fatal(err)
			}
			return inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: outside.Type, AggregateID: id, Scope: "anna", Correlation: uuid.NewString(), Payload: payload}
		}, Effects: func(t testing.TB, db once.DB, m inbox.Message) int {
			t.Helper()
			replies := dbtest.Int(t, db, `SELECT count(*) FROM trip.outbox_events WHERE type = 'money.send.done' AND correlation_id = $1`, m.Correlation)
			mu.Lock()
			defer mu.Unlock()
			return replies + calls[m.AggregateID]
		}})
}
