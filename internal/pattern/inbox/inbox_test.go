package inbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/pattern/inbox"
	"payonce/internal/pattern/inbox/inboxtest"
	"payonce/internal/pattern/retry"
	"payonce/internal/platform/postgres"
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

func addAll(ctx context.Context, tx postgres.Tx, batch []inbox.Message) error {
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
func bank(t testing.TB) *postgres.DB {
	t.Helper()
	db := devtest.Postgres(t)
	if err := postgres.InTx(t.Context(), db, func(tx postgres.Tx) error {
		_, err := tx.Exec(t.Context(), `CREATE TABLE points (account uuid PRIMARY KEY, sum bigint NOT NULL)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return db
}

func newAdded(testing.TB, *postgres.DB) inbox.Message {
	return inbox.Message{EventID: uuid.Must(uuid.NewV7()), Type: "points.added", AggregateID: uuid.New(), Payload: []byte(`{"schema":1,"points":7}`)}
}

func sevens(t testing.TB, db *postgres.DB, m inbox.Message) int {
	t.Helper()
	var sum int
	if err := db.Get(t.Context(), &sum, `SELECT coalesce(sum(sum), 0) FROM points WHERE account = $1`, m.AggregateID); err != nil {
		t.Fatal(err)
	}
	return sum / 7
}

func TestTheSmallestConsumerKeepsThePromise(t *testing.T) {
	t.Parallel()
	inboxtest.Run(t,
		inboxtest.Consumer{Name: "bank", Types: []string{"points.added"}, Handler: addAll, Postgres: bank, Broker: devtest.Broker},
		inboxtest.Sample{New: newAdded, Effects: sevens})
}
