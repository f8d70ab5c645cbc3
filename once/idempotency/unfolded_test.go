package idempotency_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/idempotency"
)

// begin is the first transaction of an effect outside, statement by statement.
func (s store) begin(r idempotency.Request, token uuid.UUID, try string) error {
	return s.DB.InTx(s.t.Context(), func(tx once.Tx) error {
		if err := s.Claim(s.t.Context(), tx, r, r.Fingerprint(s.Secret), token); err != nil {
			return err
		}
		if _, err := tx.Exec(s.t.Context(), `INSERT INTO effects VALUES ($1, $2)`, r.Scope, r.Key); err != nil {
			return err
		}
		return s.Bind(s.t.Context(), tx, r, token, try, 1)
	})
}

func TestAKeyIsClaimedAndAnsweredInTheCallersTransactions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s store) {
		r, token, try := request("K"), uuid.New(), uuid.NewString()
		require.NoError(t, s.begin(r, token, try))
		row, found, err := s.Lookup(t.Context(), r.Scope, "K")
		require.NoError(t, err)
		require.True(t, found && !row.Completed() && row.Leased)
		require.Equal(t, []any{token.String(), try, 1}, []any{row.ClaimToken, row.Subject, row.SubjectNo})

		require.ErrorIs(t, s.begin(r, uuid.New(), uuid.NewString()), idempotency.ErrTaken)
		answer := func(try, body string) {
			require.NoError(t, s.DB.InTx(t.Context(), func(tx once.Tx) error {
				return s.Complete(t.Context(), tx, try, 1, text(body), "toy_1")
			}))
		}
		answer(uuid.NewString(), "of another try")
		answer(try, "made")
		answer(try, "made once more")
		row, _, err = s.Lookup(t.Context(), r.Scope, "K")
		require.NoError(t, err)
		require.Equal(t, "made", bodyOf(t, row))
		require.Equal(t, "toy_1", row.Resource)

		s.ends(r, 0)
		require.NoError(t, s.begin(r, uuid.New(), uuid.NewString()), "what has expired gives way")
		var effects int
		require.True(t, s.read(&effects, `SELECT count(*) FROM effects`))
		require.Equal(t, 2, effects, "the one whose key was taken was rolled back")
	})
}

func TestAKeyIsGivenBackWhileItRunsAndNotOnceItHasItsAnswer(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s store) {
		r, try := request("K"), uuid.NewString()
		require.NoError(t, s.begin(r, uuid.New(), try))
		inTx := func(do func(tx once.Tx) error) { require.NoError(t, s.DB.InTx(t.Context(), do)) }
		inTx(func(tx once.Tx) error { return s.Release(t.Context(), tx, uuid.NewString(), 1) })
		require.ErrorIs(t, s.begin(r, uuid.New(), uuid.NewString()), idempotency.ErrTaken, "another try was given back")
		inTx(func(tx once.Tx) error { return s.Release(t.Context(), tx, try, 1) })
		require.NoError(t, s.begin(r, uuid.New(), try), "the key is as new")
		inTx(func(tx once.Tx) error { return s.Complete(t.Context(), tx, try, 1, text("made"), "") })
		inTx(func(tx once.Tx) error { return s.Release(t.Context(), tx, try, 1) })
		_, found, err := s.Lookup(t.Context(), r.Scope, "K")
		require.NoError(t, err)
		require.True(t, found, "what has an answer keeps it")
	})
}

func TestAKeyThatIsNotTheCallersIsNotBound(t *testing.T) {
	t.Parallel()
	s := kinds["pq"](t)
	r := request("K")
	require.NoError(t, s.begin(r, uuid.New(), uuid.NewString()))
	require.Error(t, s.DB.InTx(t.Context(), func(tx once.Tx) error {
		return s.Bind(t.Context(), tx, r, uuid.New(), uuid.NewString(), 2)
	}))
}
