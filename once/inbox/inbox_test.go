package inbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/inbox/inboxtest"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
	"payonce/once/retry"
)

// The tables and the names of these tests.
var (
	window  = inbox.Table{Schema: "bank"}
	anyIDs  = inbox.Table{Schema: "bank", Any: true}
	retries = retry.NamesOf("bank")
)

// The smallest consumer: it adds points to accounts, an effect that would show
// every second delivery.
type added struct {
	Schema int `json:"schema"`
	Points int `json:"points"`
}

const addPoints = `
INSERT INTO points (account, sum) VALUES ($1, $2)
ON CONFLICT (account) DO UPDATE SET sum = points.sum + excluded.sum`

func addAll(ctx context.Context, tx once.Tx, batch []inbox.Message) error {
	for _, m := range batch {
		var a added
		if err := json.Unmarshal(m.Payload, &a); err != nil {
			return retry.Permanent(err)
		}
		if a.Schema != 1 {
			return retry.Permanent(fmt.Errorf("schema %d is unknown", a.Schema))
		}
		if _, err := tx.Exec(ctx, addPoints, m.AggregateID, a.Points); err != nil {
			return err
		}
	}
	return nil
}

// bank gives each test a database that has the table.
func bank(t testing.TB) once.DB { return withPoints(t, dbtest.Pq(t, "bank")) }

func bankPgx(t testing.TB) once.DB { return withPoints(t, dbtest.Pgx(t, "bank")) }

func withPoints(t testing.TB, db once.DB) once.DB {
	t.Helper()
	dbtest.Exec(t, db, `CREATE TABLE points (account text PRIMARY KEY, sum bigint NOT NULL)`)
	return db
}

func newAdded(testing.TB, once.DB) inbox.Message {
	return inbox.Message{EventID: uuid.Must(uuid.NewV7()).String(), Type: "points.added", AggregateID: uuid.NewString(), Payload: []byte(`{"schema":1,"points":7}`)}
}

func sevens(t testing.TB, db once.DB, m inbox.Message) int {
	t.Helper()
	return dbtest.Int(t, db, `SELECT coalesce(sum(sum), 0) FROM points WHERE account = $1`, m.AggregateID) / 7
}

func TestTheSmallestConsumerKeepsThePromise(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) once.DB{"pq": bank, "pgx": bankPgx} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inboxtest.Run(t,
				inboxtest.Consumer{Name: "bank", Types: []string{"points.added"}, Handler: addAll, Table: window, Names: retries,
					Postgres: database, Broker: oncetest.Broker},
				inboxtest.Sample{New: newAdded, Effects: sevens})
		})
	}
}
