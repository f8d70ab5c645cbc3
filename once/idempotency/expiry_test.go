package idempotency_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/once"
	"payonce/once/idempotency"
)

// The five ways in which a row is met: each must hold the same rows for absent.
var meetings = map[string]func(s store, r idempotency.Request) (absent bool){
	"a look": func(s store, r idempotency.Request) bool {
		_, found, err := s.Lookup(s.t.Context(), r.Scope, r.Key)
		require.NoError(s.t, err)
		_, there := s.left(r)
		require.True(s.t, there, "a look removed the row")
		return !found
	},
	"a claim with the effect": func(s store, r idempotency.Request) bool {
		out, err := s.Do(s.t.Context(), r, func(once.Tx) (idempotency.Answer, string, error) { return text("anew"), "", nil })
		if err != nil {
			require.ErrorIs(s.t, err, idempotency.ErrInProgress)
		}
		return err == nil && !out.Replayed
	},
	"a claim before the effect": func(s store, r idempotency.Request) bool {
		err := s.claim(r, uuid.NewString())
		if err != nil {
			require.True(s.t, s.Taken(err), "%v", err)
		}
		return err == nil
	},
	"an outcome to store": func(s store, r idempotency.Request) bool {
		out, err := s.Store(s.t.Context(), r, text("anew"), "")
		if err != nil {
			require.ErrorIs(s.t, err, idempotency.ErrInProgress)
		}
		return err == nil && !out.Replayed
	},
	"retention": func(s store, r idempotency.Request) bool {
		err := s.DB.InTx(s.t.Context(), func(tx once.Tx) error {
			_, err := s.Table.RemoveExpired(s.t.Context(), tx, 10)
			return err
		})
		require.NoError(s.t, err)
		_, there := s.left(r)
		return !there
	},
}

func TestEveryWayToMeetAKeyHoldsTheSameRowsForAbsent(t *testing.T) {
	t.Parallel()
	for how, absent := range meetings {
		for _, row := range []struct {
			name      string
			completed bool
			ends      time.Duration
			absent    bool
		}{
			{"an answer within its lifetime", true, time.Hour, false},
			{"an answer past its lifetime", true, -time.Second, true},
			{"a run within its lifetime", false, time.Hour, false},
			{"a run past its lifetime", false, -time.Hour, false},
		} {
			t.Run(how+" meets "+row.name, func(t *testing.T) {
				t.Parallel()
				s, try := kinds["pq"](t), uuid.NewString()
				r := request("K")
				require.NoError(t, s.claim(r, try))
				if row.completed {
					require.EqualValues(t, 1, s.complete(try, text("first")))
				}
				s.ends(r, row.ends)
				require.Equal(t, row.absent, absent(s, r))
				if row.absent {
					return
				}
				// What was not absent is what it was.
				if !row.completed {
					require.EqualValues(t, 1, s.complete(try, text("first")))
				}
				out, err := s.Store(t.Context(), r, text("other"), "")
				require.NoError(t, err)
				require.True(t, out.Replayed)
				require.Equal(t, "first", string(out.Answer.Body))
			})
		}
	}
}

func TestAnAnswerThatComesAfterItsKeysTimeIsKeptForALifetime(t *testing.T) {
	t.Parallel()
	s, try := kinds["pq"](t), uuid.NewString()
	r := request("K")
	require.NoError(t, s.claim(r, try))
	s.ends(r, -time.Minute)
	require.EqualValues(t, 1, s.complete(try, text("late")))
	row, found, err := s.Lookup(t.Context(), r.Scope, r.Key)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "late", bodyOf(t, row))
	left, _ := s.left(r)
	require.Greater(t, left, s.TTL-2*s.Lease)
}

// An index on the end makes moving it dear.
func TestARunWithinItsLeaseLeavesTheEndWhereTheClaimPutIt(t *testing.T) {
	t.Parallel()
	s, try := kinds["pq"](t), uuid.NewString()
	r := request("K")
	require.NoError(t, s.claim(r, try))
	before, _, err := s.Lookup(t.Context(), r.Scope, r.Key)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.complete(try, text("in time")))
	after, _, err := s.Lookup(t.Context(), r.Scope, r.Key)
	require.NoError(t, err)
	require.Equal(t, before.ExpiresAt, after.ExpiresAt)
}

func TestAnExpiredRowBecomesTheNewRequestsWhole(t *testing.T) {
	t.Parallel()
	s, try := kinds["pq"](t), uuid.NewString()
	scope := uuid.NewString()
	first := idempotency.Request{Scope: scope, Key: "K", Operation: "POST /toys", Fields: []idempotency.Field{{Pointer: "/a", Value: "1"}}}
	require.NoError(t, s.claim(first, try))
	s.complete(try, text("first"))
	s.ends(first, -time.Second)
	second := idempotency.Request{Scope: scope, Key: "K", Operation: "POST /games", Fields: []idempotency.Field{{Pointer: "/b", Value: "2"}}}
	_, err := s.Store(t.Context(), second, text("second"), "game")
	require.NoError(t, err)
	row, found, err := s.Lookup(t.Context(), scope, "K")
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, row.Match(second, second.Fingerprint(s.Secret)))
	require.Error(t, row.Match(first, first.Fingerprint(s.Secret)))
	require.Empty(t, row.Subject, "no try of the first request is found under it")
	require.Equal(t, "game", row.Resource)
	require.Greater(t, row.ExpiresAt.Sub(row.CreatedAt), s.TTL-time.Minute)
}
