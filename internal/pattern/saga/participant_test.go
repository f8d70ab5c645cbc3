package saga_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/pattern/saga"
	"payonce/internal/pattern/saga/sagatest"
	"payonce/internal/platform/patterns"
	"payonce/internal/platform/postgres"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
)

// The smallest participant: it takes a seat and frees it.
type seat struct {
	ID uuid.UUID `json:"id"`
}

func seats(t testing.TB) *postgres.DB {
	t.Helper()
	db := devtest.Postgres(t)
	if err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), `CREATE TABLE seats (id uuid PRIMARY KEY, broken boolean NOT NULL, taken integer NOT NULL DEFAULT 0)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return db
}

func aSeat(broken bool) func(t testing.TB, db *postgres.DB) (scope, correlation uuid.UUID, data any) {
	return func(t testing.TB, db *postgres.DB) (uuid.UUID, uuid.UUID, any) {
		t.Helper()
		s := seat{ID: uuid.New()}
		if err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO seats (id, broken) VALUES ($1, $2)`, s.ID, broken)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return uuid.New(), uuid.New(), s
	}
}

func taken(t testing.TB, db *postgres.DB, _ uuid.UUID, data json.RawMessage) (n int) {
	t.Helper()
	var s seat
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if err := db.Get(t.Context(), &n, `SELECT taken FROM seats WHERE id = $1`, s.ID); err != nil {
		t.Fatal(err)
	}
	return n
}

func change(query string) saga.Action {
	return func(ctx context.Context, tx postgres.Tx, c saga.Command) error {
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
	sagatest.Run(t, saga.Participant{
		"seat.take": change(`UPDATE seats SET taken = taken + 1 WHERE id = $1 AND NOT broken`),
		"seat.free": change(`UPDATE seats SET taken = taken - 1 WHERE id = $1`),
	}, sagatest.Sample{Do: "seat.take", Undo: "seat.free", New: aSeat(false), Refused: aSeat(true), Effects: taken, Postgres: seats})
}

// A far end that dedupes by the saga's id.
func TestTheSmallestParticipantOutsideKeepsThePromise(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	calls := map[uuid.UUID]int{}
	outside := saga.Outside{Type: "money.send", Ask: func(_ context.Context, c saga.Command, _ bool) error {
		mu.Lock()
		defer mu.Unlock()
		calls[c.Saga] = 1
		return nil
	}}
	inboxtest.RunAround(t,
		devtest.ConsumerOf(inbox.Config{Consumer: "money", Types: []string{outside.Type}, Around: outside.Around()}),
		devtest.SampleOf(func(t testing.TB, _ *postgres.DB) inbox.Message {
			id := uuid.Must(uuid.NewV7())
			payload, err := json.Marshal(saga.Command{Schema: 1, Saga: id, Step: "money", Direction: saga.Do, Attempt: 1, Data: json.RawMessage(`{}`)})
			if err != nil {
				t.Fatal(err)
			}
			return inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: outside.Type, AggregateID: id.String(), Scope: uuid.New().String(), Correlation: uuid.New().String(), Payload: payload}
		}, func(t testing.TB, db *postgres.DB, m inbox.Message) (n int) {
			t.Helper()
			if err := db.Get(t.Context(), &n, `SELECT count(*) FROM outbox_events WHERE type = 'money.send.done' AND correlation_id = $1`, m.Correlation); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			return n + calls[patterns.ID(m.AggregateID)]
		}, 2))
}
