package idempotency_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"payonce/internal/lab/devstack/devtest"
	"payonce/internal/pattern/idempotency"
	"payonce/internal/platform/postgres"
)

var (
	claimTrySQL    = `WITH p AS (SELECT $1::uuid AS subject_id, 1 AS subject_no), ` + idempotency.ClaimFrom("p", 2) + ` SELECT 1`
	completeTrySQL = `WITH p AS (SELECT $1::uuid AS subject_id, 1 AS subject_no) ` + idempotency.CompleteFrom("p", 2)
)

// store is a store of keys with what a test does to it from outside.
type store struct {
	*idempotency.Keys
	t  *testing.T
	db *postgres.DB
}

func openStore(t *testing.T) store {
	t.Helper()
	db := devtest.Postgres(t)
	return store{Keys: keysOn(db), t: t, db: db}
}

func (s store) exec(query string, args ...any) (n int64, err error) {
	s.t.Helper()
	err = postgres.InTx(s.t.Context(), s.db, func(tx postgres.Tx) error {
		n, err = tx.Exec(s.t.Context(), query, args...)
		return err
	})
	return n, err
}

// claim is the first transaction of an effect outside.
func (s store) claim(r idempotency.Request, try uuid.UUID) error {
	s.t.Helper()
	_, err := s.exec(claimTrySQL, append([]any{try}, s.ClaimParams(r, r.Fingerprint(s.Secret), uuid.New())...)...)
	return err
}

// complete is the second.
func (s store) complete(try uuid.UUID, a idempotency.Answer) int64 {
	s.t.Helper()
	n, err := s.exec(completeTrySQL, append([]any{try}, s.CompleteParams(a, "")...)...)
	require.NoError(s.t, err)
	return n
}

func (s store) ends(r idempotency.Request, in time.Duration) {
	s.t.Helper()
	n, err := s.exec(`UPDATE idempotency_keys SET expires_at = clock_timestamp() + $2::float8 * interval '1 second' WHERE key = $1`, r.Key, in.Seconds())
	require.NoError(s.t, err)
	require.EqualValues(s.t, 1, n)
}

func (s store) left(r idempotency.Request) (ends time.Duration, there bool) {
	s.t.Helper()
	var seconds []float64
	require.NoError(s.t, s.db.Select(s.t.Context(), &seconds,
		`SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM idempotency_keys WHERE key = $1`, r.Key))
	if len(seconds) == 0 {
		return 0, false
	}
	return time.Duration(seconds[0] * float64(time.Second)), true
}

func text(body string) idempotency.Answer {
	return idempotency.Answer{Status: 200, ContentType: "text/plain", Body: []byte(body)}
}

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
		out, err := s.Do(s.t.Context(), r, func(postgres.Tx) (idempotency.Answer, string, error) { return text("anew"), "", nil })
		if err != nil {
			require.ErrorIs(s.t, err, idempotency.ErrInProgress)
		}
		return err == nil && !out.Replayed
	},
	"a claim before the effect": func(s store, r idempotency.Request) bool {
		err := s.claim(r, uuid.New())
		if err != nil {
			require.True(s.t, idempotency.Taken(err), "%v", err)
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
		err := postgres.InTx(s.t.Context(), s.db, func(tx postgres.Tx) error {
			_, err := idempotency.RemoveExpired(s.t.Context(), tx, 10)
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
				s, try := openStore(t), uuid.New()
				r := idempotency.Request{Scope: uuid.New(), Key: "K", Operation: "POST /toys"}
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
	s, try := openStore(t), uuid.New()
	r := idempotency.Request{Scope: uuid.New(), Key: "K", Operation: "POST /toys"}
	require.NoError(t, s.claim(r, try))
	s.ends(r, -time.Minute)
	require.EqualValues(t, 1, s.complete(try, text("late")))
	row, found, err := s.Lookup(t.Context(), r.Scope, r.Key)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "late", string(row.Body))
	left, _ := s.left(r)
	require.Greater(t, left, s.TTL-2*s.Lease)
}

// An index on the end makes moving it dear.
func TestARunWithinItsLeaseLeavesTheEndWhereTheClaimPutIt(t *testing.T) {
	t.Parallel()
	s, try := openStore(t), uuid.New()
	r := idempotency.Request{Scope: uuid.New(), Key: "K", Operation: "POST /toys"}
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
	s, try := openStore(t), uuid.New()
	scope := uuid.New()
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
	require.False(t, row.SubjectID.Valid, "no try of the first request is found under it")
	require.Equal(t, "game", row.Resource.String)
	require.Greater(t, row.ExpiresAt.Sub(row.CreatedAt), s.TTL-time.Minute)
}
