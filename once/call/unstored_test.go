package call_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/call"
	"payonce/once/oncetest/dbtest"
)

// The effect is there, its outcome is known, and what follows from it fails each time: the
// money is spent and no client hears of it, so a person must.
func TestAnOutcomeThatCannotBeStoredIsAskedAboutBySchedulesAndRaisedForAPerson(t *testing.T) {
	t.Parallel()
	db := dbtest.Pq(t, "unstored")
	broken := true
	attempts := call.Attempts{DB: db, Schema: "unstored", Kind: "label", Ended: func(ctx context.Context, tx once.Tx, _ call.Record, _ call.Outcome) error {
		if !broken {
			return nil
		}
		_, err := tx.Exec(ctx, `SELECT 1/0`)
		return err
	}}
	done := call.Outcome{Status: call.Done, Ref: "L1"}
	runner, err := call.New(call.Config[call.Record, call.Outcome]{
		Store: attempts, Lease: 50 * time.Millisecond, Overdue: time.Nanosecond, Doubt: []time.Duration{time.Millisecond},
		Outside: call.Outside[call.Record, call.Outcome]{
			Send: func(context.Context, call.Record) (call.Outcome, error) { return done, nil },
			Ask:  func(context.Context, call.Record) (call.Outcome, bool, error) { return done, true, nil },
		},
	})
	require.NoError(t, err)
	var a call.Record
	require.NoError(t, db.InTx(t.Context(), func(tx once.Tx) (err error) {
		a, err = attempts.Begin(t.Context(), tx, call.Intent{Subject: "s", Lease: time.Nanosecond})
		return err
	}))
	_, err = runner.Recover(t.Context(), a.ID)
	require.ErrorContains(t, err, "the effect may be there, and its outcome is not stored")
	now, err := attempts.Read(t.Context(), a.ID)
	require.NoError(t, err)
	require.Equal(t, []any{call.InDoubt, false}, []any{now.Status, now.Leased}, "it waits for the schedule, and no one holds it")
	open := `SELECT count(*) FROM unstored.troubles WHERE kind = 'call_in_doubt' AND ended_at IS NULL AND facts->>'reason' LIKE '%division by zero%'`
	require.Equal(t, 1, dbtest.Int(t, db, open))

	broken = false
	now, err = runner.Recover(t.Context(), a.ID)
	require.NoError(t, err)
	require.Equal(t, call.Done, now.Status)
	require.Zero(t, dbtest.Int(t, db, open), "the trouble ends with the outcome")
}

func TestASubjectThatNoEventCouldNameIsRefusedBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	db := dbtest.Pq(t, "subjects")
	begin := func(kind, subject string) error {
		return db.InTx(t.Context(), func(tx once.Tx) error {
			_, err := call.Attempts{DB: db, Schema: "subjects", Kind: kind}.Begin(t.Context(), tx, call.Intent{Subject: subject})
			return err
		})
	}
	for what, subject := range map[string]string{"nothing": "", "too long": strings.Repeat("s", 201), "no text": "a\x00b", "no UTF-8": "\xff"} {
		require.ErrorIs(t, begin("label", subject), call.ErrSubject, what)
		require.False(t, call.Possible(subject), what)
	}
	require.NoError(t, begin("label", strings.Repeat("s", 200)))
	require.ErrorContains(t, begin("", "s"), "Kind")
}
