package call_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/call"
	"payonce/once/oncetest/dbtest"
)

// deciding is a program whose attempts a person looks at, and an outside that says what a test
// has it say.
type deciding struct {
	t     *testing.T
	books call.Attempts

	mu     sync.Mutex
	says   map[string]call.Outcome // by key
	silent bool
	ended  []call.Status
}

func decides(t *testing.T, db once.DB) *deciding {
	d := &deciding{t: t, says: map[string]call.Outcome{}}
	d.books = call.Attempts{DB: db, Schema: "shipping", Kind: "pick-up", Ended: func(_ context.Context, _ once.Tx, _ call.Record, o call.Outcome) error {
		d.ended = append(d.ended, o.Status)
		return nil
	}}
	return d
}

var errSilent = errors.New("no answer")

func (d *deciding) runner(cancels bool) *call.Runner[call.Record, call.Outcome] {
	outside := call.Outside[call.Record, call.Outcome]{
		Send: func(context.Context, call.Record) (call.Outcome, error) { return call.Outcome{}, errSilent },
		Ask: func(_ context.Context, r call.Record) (call.Outcome, bool, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.silent {
				return call.Outcome{}, false, errSilent
			}
			o, known := d.says[r.Key]
			return o, known, nil
		},
	}
	if cancels {
		outside.Cancel = func(_ context.Context, r call.Record) (call.Outcome, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.says[r.Key] = call.Outcome{Status: call.Abandoned, Reason: "cancelled"}
			return d.says[r.Key], nil
		}
	}
	r, err := call.New(call.Config[call.Record, call.Outcome]{Store: d.books, Outside: outside, Doubt: []time.Duration{time.Hour}})
	require.NoError(d.t, err)
	return r
}

func (d *deciding) begun(subject string) (r call.Record, err error) {
	err = d.books.DB.InTx(d.t.Context(), func(tx once.Tx) error {
		r, err = d.books.Begin(d.t.Context(), tx, call.Intent{Subject: subject, Lease: time.Minute})
		return err
	})
	return r, err
}

// inDoubt is an attempt whose call was not answered.
func (d *deciding) inDoubt(subject string) call.Record {
	d.t.Helper()
	a, err := d.begun(subject)
	require.NoError(d.t, err)
	a, err = d.runner(true).Run(d.t.Context(), a)
	require.NoError(d.t, err)
	require.Equal(d.t, call.InDoubt, a.Status)
	return a
}

func (d *deciding) decide(a call.Record, cancels bool, status call.Status) (call.Record, error) {
	return d.books.Decide(d.t.Context(), d.runner(cancels), a.ID, call.Decision{Status: status, By: "ada", Why: "asked on the phone"})
}

func (d *deciding) count(query string, args ...any) (n int) {
	d.t.Helper()
	rows, err := d.books.DB.Read(d.t.Context(), d.books.Schema.In(query), args...)
	_, err = once.One(rows, err, &n)
	require.NoError(d.t, err)
	return n
}

func (d *deciding) decisions() int {
	return d.count(`SELECT count(*) FROM {calls} WHERE decided_by = 'ada' AND decided_why <> '' AND decided_at IS NOT NULL`)
}

func TestAPersonIsNotBelievedAgainstTheOutside(t *testing.T) {
	t.Parallel()
	for driver, over := range dbtest.Over {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			d := decides(t, over(t, "shipping"))
			a := d.inDoubt("silent")
			d.silent = true
			after, err := d.decide(a, true, call.Abandoned)
			require.ErrorIs(t, err, errSilent)
			require.Equal(t, call.InDoubt, after.Status, "nothing is decided, and it is asked about as before")
			d.silent = false

			var otherwise *call.ContradictedError
			_, err = d.decide(a, true, call.Done)
			require.ErrorAs(t, err, &otherwise)
			require.Empty(t, otherwise.Found.Status, "it does not know the key")

			_, err = d.decide(a, false, call.Abandoned)
			require.ErrorIs(t, err, call.ErrCannotCancel)

			d.says[a.Key] = call.Outcome{Status: call.Done, Ref: "P7"}
			after, err = d.decide(a, true, call.Abandoned)
			require.ErrorAs(t, err, &otherwise)
			require.Equal(t, call.Done, otherwise.Found.Status)
			require.Equal(t, []any{call.Done, "P7"}, []any{after.Status, after.Ref}, "what it says is the outcome")
			require.Equal(t, []call.Status{call.Done}, d.ended)
			require.Zero(t, d.decisions())
			_, err = d.decide(a, true, call.Done)
			require.ErrorIs(t, err, call.ErrNothingToDecide)
		})
	}
}

func TestADecisionIsFinalAndRemembered(t *testing.T) {
	t.Parallel()
	for driver, over := range dbtest.Over {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			d := decides(t, over(t, "shipping"))
			held, err := d.begun("held")
			require.NoError(t, err)
			_, err = d.decide(held, true, call.Abandoned)
			require.ErrorIs(t, err, call.ErrHeld, "its holder is still at it")

			a := d.inDoubt("gone")
			after, err := d.decide(a, true, call.Abandoned)
			require.NoError(t, err)
			require.Equal(t, call.Abandoned, after.Status)
			require.Equal(t, []call.Status{call.Abandoned}, d.ended)
			require.Equal(t, 1, d.decisions())

			// The one who slept meanwhile, with the answer after all.
			late, changed, err := d.books.Complete(t.Context(), a, call.Outcome{Status: call.Done, Ref: "late"})
			require.NoError(t, err)
			require.False(t, changed, late)
			next, err := d.begun("gone")
			require.NoError(t, err)
			require.Equal(t, 2, next.No, "and another attempt may begin")
		})
	}
}

func TestAContradictionEndsByADecisionThatTheOutsideBearsOut(t *testing.T) {
	t.Parallel()
	for driver, over := range dbtest.Over {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			d := decides(t, over(t, "shipping"))
			refused := func(subject string) call.Record {
				a := d.inDoubt(subject)
				after, changed, err := d.books.Complete(t.Context(), a, call.Outcome{Status: call.Refused, Reason: "no such street"})
				require.NoError(t, err)
				require.True(t, changed)
				require.NoError(t, d.books.Contradict(t.Context(), after, call.Outcome{Status: call.Done, Ref: "P8"}))
				d.says[a.Key] = call.Outcome{Status: call.Done, Ref: "P8"}
				_, err = d.begun(subject)
				require.ErrorIs(t, err, call.ErrAttempted, "no attempt begins")
				return a
			}
			open := func() int {
				return d.count(`SELECT count(*) FROM {troubles} WHERE kind = $1 AND ended_at IS NULL`, call.TroubleContradiction.Name)
			}
			theirs := refused("theirs")
			var otherwise *call.ContradictedError
			_, err := d.decide(theirs, true, call.Refused)
			require.ErrorAs(t, err, &otherwise, "it is done")
			require.Equal(t, 1, open())
			d.ended = nil
			after, err := d.decide(theirs, true, call.Done)
			require.NoError(t, err)
			require.Equal(t, []any{call.Done, "P8", false}, []any{after.Status, after.Ref, after.Contradicted})
			require.Equal(t, []call.Status{call.Done}, d.ended)
			require.Zero(t, open())

			ours := refused("ours")
			d.says[ours.Key] = call.Outcome{Status: call.Refused} // undone there, after a call on the phone
			d.ended = nil
			after, err = d.decide(ours, true, call.Refused)
			require.NoError(t, err)
			require.Equal(t, call.Refused, after.Status)
			require.Empty(t, d.ended, "what followed from it has followed")
			require.Zero(t, open())
			_, err = d.begun("ours")
			require.NoError(t, err, "the next attempt may begin")
			require.Equal(t, 2, d.decisions())
		})
	}
}
