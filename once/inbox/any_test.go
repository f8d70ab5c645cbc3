package inbox_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"payonce/once"
	"payonce/once/inbox"
	"payonce/once/oncetest"
	"payonce/once/oncetest/dbtest"
)

func TestEventsWithIDsOfAnyKindAreAppliedOnceInTheirOwnTable(t *testing.T) {
	t.Parallel()
	for name, over := range dbtest.Over {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := withPoints(t, over(t, "bank"))
			text, v4 := newAdded(t, nil), newAdded(t, nil)
			text.EventID, v4.EventID = `order "7" of {anna}, {2026\\}`, uuid.NewString()
			r, conn, _ := start(t, oncetest.Broker(t), db, addAll, nil, func(c *inbox.Config) { c.Table = anyIDs })
			publish(t, conn, text, v4, text, v4, text)
			eventually(t, "two are applied, three absorbed", func() bool { return r.Counts().Applied == 2 && r.Counts().Absorbed == 3 })
			if sevens(t, db, text) != 1 || sevens(t, db, v4) != 1 {
				t.Errorf("applied %d and %d times", sevens(t, db, text), sevens(t, db, v4))
			}
			if err := db.InTx(t.Context(), func(tx once.Tx) error {
				for _, table := range []inbox.Table{anyIDs, window} {
					known, err := table.Applied(t.Context(), tx, "bank", text.EventID)
					if err != nil || known != table.Any {
						t.Errorf("%+v knows the event: %t, %v", table, known, err)
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAnIDThatTheWindowCannotHoldIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	db := bank(t)
	text := newAdded(t, nil)
	text.EventID = "order 7"
	r, conn, _ := start(t, oncetest.Broker(t), db, addAll, nil)
	publish(t, conn, text)
	eventually(t, "it is dead", func() bool { return r.Counts().Dead == 1 })
}

func TestAConsumerWhoseMemoryIsInTheOtherTableDoesNotBegin(t *testing.T) {
	t.Parallel()
	for _, of := range []struct{ before, now inbox.Table }{{window, anyIDs}, {anyIDs, window}} {
		db := bank(t)
		if err := db.InTx(t.Context(), func(tx once.Tx) error {
			_, err := of.before.Admit(t.Context(), tx, "bank", []string{uuid.Must(uuid.NewV7()).String()})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		conn := connect(t, oncetest.Broker(t))
		r, err := inbox.New(config(conn, conn, db, of.now))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(t.Context()); !errors.Is(err, inbox.ErrOtherTable) {
			t.Errorf("from %+v to %+v: %v", of.before, of.now, err)
		}
	}
}
